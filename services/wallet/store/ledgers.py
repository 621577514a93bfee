"""The table ``ledgers``: what became of the money of each agreement."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.wallet.contract.states import EndedAs
from services.wallet.domain.ledger import Ledger
from shared.db import Connection, Row

LedgerKey = tuple[UUID, UUID]
"""Merchant and agreement."""


async def open_all(conn: Connection, ledgers: Sequence[Ledger]) -> None:
    """Make an empty ledger for each agreement; one that stands only learns its terms."""
    rows = sorted({(ledger.merchant_id, ledger.agreement_id): ledger for ledger in ledgers}.items())
    await conn.execute(
        """
        INSERT INTO ledgers AS l (merchant_id, agreement_id, customer_id, rail, periods)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[])
        ON CONFLICT (merchant_id, agreement_id) DO UPDATE
           SET rail = coalesce(l.rail, EXCLUDED.rail), periods = EXCLUDED.periods
        """,
        [ledger.merchant_id for _, ledger in rows],
        [ledger.agreement_id for _, ledger in rows],
        [ledger.customer_id for _, ledger in rows],
        [ledger.rail for _, ledger in rows],
        [ledger.periods for _, ledger in rows],
    )


async def end(
    conn: Connection,
    *,
    merchant_id: UUID,
    agreement_id: UUID,
    customer_id: UUID,
    ended_as: EndedAs,
    penalty_due_fen: int,
    now: datetime,
) -> None:
    """Mark an agreement as ended, even before its first money; the first end counts."""
    await conn.execute(
        """
        INSERT INTO ledgers AS l
               (merchant_id, agreement_id, customer_id, ended_as, penalty_due_fen, ended_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (merchant_id, agreement_id) DO UPDATE
           SET ended_as = EXCLUDED.ended_as, ended_at = EXCLUDED.ended_at,
               penalty_due_fen = EXCLUDED.penalty_due_fen
         WHERE l.ended_as IS NULL
        """,
        merchant_id,
        agreement_id,
        customer_id,
        ended_as,
        penalty_due_fen,
        now,
    )


async def lock(conn: Connection, keys: Sequence[LedgerKey]) -> dict[LedgerKey, Ledger]:
    """Return those of *keys* that exist, locked in the order of their keys."""
    rows = await conn.fetch(
        """
        SELECT l.*
          FROM ledgers l
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, agreement_id)) k USING (merchant_id, agreement_id)
         ORDER BY l.merchant_id, l.agreement_id
           FOR UPDATE OF l
        """,
        [merchant_id for merchant_id, _ in keys],
        [agreement_id for _, agreement_id in keys],
    )
    return {(row["merchant_id"], row["agreement_id"]): _ledger(row) for row in rows}


async def lock_of_customer(
    conn: Connection, merchant_id: UUID, customer_id: UUID
) -> dict[UUID, Ledger]:
    """Return the ledgers of one merchant's customer by agreement, locked in their order."""
    rows = await conn.fetch(
        """
        SELECT * FROM ledgers WHERE merchant_id = $1 AND customer_id = $2
         ORDER BY agreement_id FOR UPDATE
        """,
        merchant_id,
        customer_id,
    )
    return {row["agreement_id"]: _ledger(row) for row in rows}


async def save(conn: Connection, ledgers: Sequence[Ledger]) -> None:
    """Write back the amounts of *ledgers*, which are locked."""
    await conn.execute(
        """
        UPDATE ledgers l
           SET held_fen = n.held_fen, captured_fen = n.captured_fen,
               penalty_fen = n.penalty_fen, refunded_fen = n.refunded_fen,
               open_holds = n.open_holds, settlements = n.settlements,
               spent_fen = n.spent_fen, bonus_held_fen = n.bonus_held_fen,
               bonus_captured_fen = n.bonus_captured_fen, bonus_spent_fen = n.bonus_spent_fen,
               bonus_lapsed_fen = n.bonus_lapsed_fen
          FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[],
                      $6::bigint[], $7::int[], $8::int[], $9::bigint[], $10::bigint[],
                      $11::bigint[], $12::bigint[], $13::bigint[])
               AS n (merchant_id, agreement_id, held_fen, captured_fen, penalty_fen,
                     refunded_fen, open_holds, settlements, spent_fen, bonus_held_fen,
                     bonus_captured_fen, bonus_spent_fen, bonus_lapsed_fen)
         WHERE l.merchant_id = n.merchant_id AND l.agreement_id = n.agreement_id
        """,
        [ledger.merchant_id for ledger in ledgers],
        [ledger.agreement_id for ledger in ledgers],
        [ledger.held_fen for ledger in ledgers],
        [ledger.captured_fen for ledger in ledgers],
        [ledger.penalty_fen for ledger in ledgers],
        [ledger.refunded_fen for ledger in ledgers],
        [ledger.open_holds for ledger in ledgers],
        [ledger.settlements for ledger in ledgers],
        [ledger.spent_fen for ledger in ledgers],
        [ledger.bonus_held_fen for ledger in ledgers],
        [ledger.bonus_captured_fen for ledger in ledgers],
        [ledger.bonus_spent_fen for ledger in ledgers],
        [ledger.bonus_lapsed_fen for ledger in ledgers],
    )


async def get(conn: Connection, merchant_id: UUID, agreement_id: UUID) -> Ledger | None:
    """Return one merchant's ledger of an agreement, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM ledgers WHERE merchant_id = $1 AND agreement_id = $2",
        merchant_id,
        agreement_id,
    )
    return _ledger(row) if row else None


async def of_customer(conn: Connection, merchant_id: UUID, customer_id: UUID) -> list[Ledger]:
    """Return the ledgers of one merchant's customer, in the order of their ids."""
    rows = await conn.fetch(
        """
        SELECT * FROM ledgers WHERE merchant_id = $1 AND customer_id = $2 ORDER BY agreement_id
        """,
        merchant_id,
        customer_id,
    )
    return [_ledger(row) for row in rows]


def _ledger(row: Row) -> Ledger:
    ended_as = EndedAs(row["ended_as"]) if row["ended_as"] else None
    return Ledger(**{**row, "ended_as": ended_as})
