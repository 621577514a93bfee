"""The table ``settlements``: refunds asked for, and what has gone back of each."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.wallet.contract.states import RefundReason
from services.wallet.domain.ledger import Settlement
from shared.db import Connection, Row


async def add(conn: Connection, settlements: Sequence[Settlement]) -> None:
    """Write new requests; few at a time."""
    await conn.executemany(
        """
        INSERT INTO settlements (merchant_id, settlement_id, agreement_id, customer_id, seq,
                                 rail, amount_fen, reason, requested_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        [
            (
                s.merchant_id,
                s.settlement_id,
                s.agreement_id,
                s.customer_id,
                s.seq,
                s.rail,
                s.amount_fen,
                s.reason,
                s.requested_at,
            )
            for s in settlements
        ],
    )


async def find(conn: Connection, merchant_id: UUID, settlement_id: UUID) -> Settlement | None:
    """Return one merchant's request as it stands, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM settlements WHERE merchant_id = $1 AND settlement_id = $2",
        merchant_id,
        settlement_id,
    )
    return _settlement(row) if row else None


async def lock(conn: Connection, merchant_id: UUID, settlement_id: UUID) -> Settlement | None:
    """Return one merchant's request, locked, or None."""
    row = await conn.fetchrow(
        """
        SELECT * FROM settlements WHERE merchant_id = $1 AND settlement_id = $2 FOR UPDATE
        """,
        merchant_id,
        settlement_id,
    )
    return _settlement(row) if row else None


async def add_refunded(
    conn: Connection, merchant_id: UUID, settlement_id: UUID, amount_fen: int
) -> None:
    """Add *amount_fen* to what has gone back of a locked request; whole, no failure stands."""
    await conn.execute(
        """
        UPDATE settlements
           SET refunded_fen = refunded_fen + $3,
               failure = CASE WHEN refunded_fen + $3 < amount_fen THEN failure END,
               failed_at = CASE WHEN refunded_fen + $3 < amount_fen THEN failed_at END
         WHERE merchant_id = $1 AND settlement_id = $2
        """,
        merchant_id,
        settlement_id,
        amount_fen,
    )


async def note_failure(
    conn: Connection, merchant_id: UUID, settlement_id: UUID, failure: str, *, now: datetime
) -> bool:
    """Keep why a refund failed, for a person; False if there is no such request."""
    done = await conn.execute(
        """
        UPDATE settlements SET failure = $3, failed_at = $4
         WHERE merchant_id = $1 AND settlement_id = $2
        """,
        merchant_id,
        settlement_id,
        failure,
        now,
    )
    return done == "UPDATE 1"


async def of_agreement(conn: Connection, merchant_id: UUID, agreement_id: UUID) -> list[Settlement]:
    """Return one merchant's requests for an agreement, in their order."""
    rows = await conn.fetch(
        """
        SELECT * FROM settlements WHERE merchant_id = $1 AND agreement_id = $2 ORDER BY seq
        """,
        merchant_id,
        agreement_id,
    )
    return [_settlement(row) for row in rows]


def _settlement(row: Row) -> Settlement:
    return Settlement(**{**row, "reason": RefundReason(row["reason"])})
