"""The tables ``redemptions`` and ``redemption_parts``: one row per consumed code."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.wallet.contract.states import Category, RedemptionState
from services.wallet.domain.spending import Part, Redemption
from shared.db import Connection, Row


async def add(conn: Connection, redemption: Redemption, parts: Sequence[Part]) -> None:
    """
    Write a redemption and what it took from whom.

    Raises:
        asyncpg.UniqueViolationError: Its code was consumed before.
    """
    r = redemption
    await conn.execute(
        """
        INSERT INTO redemptions
               (merchant_id, redemption_id, code_id, customer_id, amount_fen, bonus_fen, fee_fen,
                category, service_code, store_id, device_id, clerk, state, missing_fen,
                accepted_at, booked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        """,
        r.merchant_id,
        r.redemption_id,
        r.code_id,
        r.customer_id,
        r.amount_fen,
        r.bonus_fen,
        r.fee_fen,
        r.category,
        r.service_code,
        r.store_id,
        r.device_id,
        r.clerk,
        r.state,
        r.missing_fen,
        r.accepted_at,
        r.booked_at,
    )
    await conn.execute(
        """
        INSERT INTO redemption_parts
               (merchant_id, redemption_id, agreement_id, part_id, n, principal_fen, bonus_fen,
                fee_fen)
        SELECT $1, $2, * FROM unnest($3::uuid[], $4::uuid[], $5::int[], $6::bigint[],
                                     $7::bigint[], $8::bigint[])
        """,
        r.merchant_id,
        r.redemption_id,
        [part.agreement_id for part in parts],
        [part.part_id for part in parts],
        [part.n for part in parts],
        [part.principal_fen for part in parts],
        [part.bonus_fen for part in parts],
        [part.fee_fen for part in parts],
    )


async def save_return(conn: Connection, redemption: Redemption, parts: Sequence[Part]) -> None:
    """Write what went back of a locked redemption."""
    r = redemption
    await conn.execute(
        """
        UPDATE redemptions
           SET state = $3, return_id = $4, returned_fen = $5, returned_bonus_fen = $6,
               returned_at = $7, return_reason = $8
         WHERE merchant_id = $1 AND redemption_id = $2
        """,
        r.merchant_id,
        r.redemption_id,
        r.state,
        r.return_id,
        r.returned_fen,
        r.returned_bonus_fen,
        r.returned_at,
        r.return_reason,
    )
    await conn.execute(
        """
        UPDATE redemption_parts p
           SET returned_principal_fen = n.principal_fen, returned_bonus_fen = n.bonus_fen,
               returned_fee_fen = n.fee_fen
          FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[])
               AS n (agreement_id, principal_fen, bonus_fen, fee_fen)
         WHERE p.merchant_id = $1 AND p.redemption_id = $2 AND p.agreement_id = n.agreement_id
        """,
        r.merchant_id,
        r.redemption_id,
        [part.agreement_id for part in parts],
        [part.returned_principal_fen for part in parts],
        [part.returned_bonus_fen for part in parts],
        [part.returned_fee_fen for part in parts],
    )


async def of_code(conn: Connection, merchant_id: UUID, code_id: UUID) -> Redemption | None:
    """Return what consumed one merchant's code, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM redemptions WHERE merchant_id = $1 AND code_id = $2", merchant_id, code_id
    )
    return _redemption(row) if row else None


async def get(conn: Connection, merchant_id: UUID, redemption_id: UUID) -> Redemption | None:
    """Return one merchant's redemption, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM redemptions WHERE merchant_id = $1 AND redemption_id = $2",
        merchant_id,
        redemption_id,
    )
    return _redemption(row) if row else None


async def lock(conn: Connection, merchant_id: UUID, redemption_id: UUID) -> Redemption:
    """Return one merchant's redemption, which exists, locked."""
    row = await conn.fetchrow(
        "SELECT * FROM redemptions WHERE merchant_id = $1 AND redemption_id = $2 FOR UPDATE",
        merchant_id,
        redemption_id,
    )
    assert row is not None, "redemptions are never deleted"
    return _redemption(row)


async def parts_of(conn: Connection, merchant_id: UUID, redemption_id: UUID) -> list[Part]:
    """Return from which agreements a redemption took what, in the order of the taking."""
    rows = await conn.fetch(
        """
        SELECT agreement_id, part_id, n, principal_fen, bonus_fen, fee_fen,
               returned_principal_fen, returned_bonus_fen, returned_fee_fen
          FROM redemption_parts WHERE merchant_id = $1 AND redemption_id = $2 ORDER BY n
        """,
        merchant_id,
        redemption_id,
    )
    return [Part(**row) for row in rows]


async def page(
    conn: Connection,
    merchant_id: UUID,
    *,
    customer_id: UUID | None,
    state: RedemptionState | None,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[Redemption]:
    """Return up to *limit* of a merchant's redemptions, newest first, older than *before*."""
    moment, tie = before or (None, None)
    rows = await conn.fetch(
        """
        SELECT * FROM redemptions
         WHERE merchant_id = $1
           AND ($2::uuid IS NULL OR customer_id = $2)
           AND ($3::text IS NULL OR state = $3)
           AND ($4::timestamptz IS NULL OR (booked_at, redemption_id) < ($4, $5::uuid))
         ORDER BY booked_at DESC, redemption_id DESC LIMIT $6
        """,
        merchant_id,
        customer_id,
        state,
        moment,
        tie,
        limit,
    )
    return [_redemption(row) for row in rows]


def _redemption(row: Row) -> Redemption:
    return Redemption(
        **{
            **row,
            "state": RedemptionState(row["state"]),
            "category": Category(row["category"]),
        }
    )
