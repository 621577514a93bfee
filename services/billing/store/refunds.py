"""Refunds and the requests they serve; one refund of a charge is under way at a time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.billing.domain.refund import Refund, Refundable, RefundState
from shared.db import Connection, Row


async def add_settlement(
    conn: Connection,
    settlement_id: UUID,
    *,
    agreement_id: UUID,
    merchant_id: UUID,
    amount_fen: int,
    reason: str,
    now: datetime,
) -> bool:
    """Write down a request for money back; False if it stood already."""
    done = await conn.execute(
        """
        INSERT INTO settlements
               (settlement_id, agreement_id, merchant_id, amount_fen, reason, requested_at)
        VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING
        """,
        settlement_id,
        agreement_id,
        merchant_id,
        amount_fen,
        reason,
        now,
    )
    return bool(done == "INSERT 0 1")


async def refundable(conn: Connection, agreement_id: UUID) -> list[Refundable]:
    """Return the agreement's charges that have something left to refund, newest first."""
    rows = await conn.fetch(
        """
        SELECT a.attempt_id, a.instalment_id, a.rail,
               a.amount_fen - coalesce(sum(r.amount_fen) FILTER (WHERE r.state <> 'failed'), 0)
               AS free_fen
          FROM attempts AS a
          LEFT JOIN refunds AS r USING (attempt_id)
         WHERE a.agreement_id = $1 AND a.state = 'succeeded' AND NOT a.surplus
         GROUP BY a.attempt_id
         ORDER BY a.paid_at DESC, a.attempt_id
        """,
        agreement_id,
    )
    return [
        Refundable(row["attempt_id"], row["instalment_id"], row["rail"], int(row["free_fen"]))
        for row in rows
    ]


async def refunded_fen(conn: Connection, attempt_id: UUID) -> int:
    """Return how much of a charge has gone back for good."""
    found = await conn.fetchval(
        """
        SELECT coalesce(sum(amount_fen), 0) FROM refunds
         WHERE attempt_id = $1 AND state = 'succeeded'
        """,
        attempt_id,
    )
    return int(found)


async def add(conn: Connection, refunds: Sequence[Refund]) -> None:
    """Add refunds; one that stands already stays as it is."""
    await conn.execute(
        """
        INSERT INTO refunds
        SELECT * FROM jsonb_populate_recordset(NULL::refunds, $1)
            ON CONFLICT (refund_id) DO NOTHING
        """,
        list(refunds),
    )


async def save(conn: Connection, refund: Refund) -> None:
    """Write back what may change of a locked refund."""
    await conn.execute(
        """
        UPDATE refunds
           SET state = $2, next_at = $3, settled_at = $4, failure_code = $5, tries = $6
         WHERE refund_id = $1
        """,
        refund.refund_id,
        refund.state.value,
        refund.next_at,
        refund.settled_at,
        refund.failure_code,
        refund.tries,
    )


async def claim_to_send(
    conn: Connection, *, now: datetime, until: datetime, limit: int
) -> list[Refund]:
    """
    Return refunds to send or to ask about, and put them on the way; they rest *until* then.

    Of each charge the one under way goes first; the next one starts when that has ended.
    """
    rows = await conn.fetch(
        """
        WITH due AS (
            SELECT refund_id, attempt_id, state FROM refunds
             WHERE next_at <= $1
             ORDER BY next_at, refund_id
             LIMIT $3
               FOR UPDATE SKIP LOCKED),
        one AS (
            SELECT DISTINCT ON (attempt_id) refund_id, state, attempt_id FROM due
             ORDER BY attempt_id, state = 'sent' DESC, refund_id),
        free AS (
            SELECT refund_id FROM one
             WHERE state = 'sent' OR NOT EXISTS (
                   SELECT FROM refunds AS other
                    WHERE other.attempt_id = one.attempt_id AND other.state = 'sent')),
        later AS (
            UPDATE refunds SET next_at = $2
             WHERE refund_id IN (SELECT refund_id FROM due EXCEPT SELECT refund_id FROM free))
        UPDATE refunds SET state = 'sent', next_at = $2, tries = tries + 1
         WHERE refund_id IN (SELECT refund_id FROM free)
        RETURNING *
        """,
        now,
        until,
        limit,
    )
    return [refund(row) for row in rows]


async def next_send_at(conn: Connection) -> datetime | None:
    """Return when a refund wants to be sent or asked about next."""
    found: datetime | None = await conn.fetchval(
        "SELECT min(next_at) FROM refunds WHERE next_at IS NOT NULL"
    )
    return found


async def lock(conn: Connection, refund_id: UUID) -> Refund | None:
    """Return one refund, locked until the transaction ends."""
    row = await conn.fetchrow("SELECT * FROM refunds WHERE refund_id = $1 FOR UPDATE", refund_id)
    return None if row is None else refund(row)


async def by_ids(conn: Connection, refund_ids: Sequence[UUID]) -> list[Refund]:
    """Return the refunds as they stand."""
    rows = await conn.fetch(
        "SELECT * FROM refunds WHERE refund_id = ANY($1::uuid[]) ORDER BY refund_id", refund_ids
    )
    return [refund(row) for row in rows]


async def find_by_no(conn: Connection, refund_no: str) -> Refund | None:
    """Return the refund that a rail names, None if it is none of ours."""
    row = await conn.fetchrow("SELECT * FROM refunds WHERE refund_no = $1", refund_no)
    return None if row is None else refund(row)


async def of_instalment(conn: Connection, instalment_id: UUID) -> list[Refund]:
    """Return every refund of an instalment's charges, oldest first."""
    rows = await conn.fetch(
        "SELECT * FROM refunds WHERE instalment_id = $1 ORDER BY created_at, refund_id",
        instalment_id,
    )
    return [refund(row) for row in rows]


async def page(
    conn: Connection,
    merchant_id: UUID,
    *,
    agreement_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Refund]:
    """Return a merchant's refunds after the one named, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM refunds
         WHERE merchant_id = $1
           AND ($2::uuid IS NULL OR agreement_id = $2)
           AND ($3::timestamptz IS NULL OR (created_at, refund_id) > ($3, $4))
         ORDER BY created_at, refund_id
         LIMIT $5
        """,
        merchant_id,
        agreement_id,
        *(after or (None, None)),
        limit,
    )
    return [refund(row) for row in rows]


def refund(row: Row) -> Refund:
    """Return a row of ``refunds`` as a record."""
    return Refund(**{**row, "state": RefundState(row["state"])})


async def ask_now(conn: Connection, refund_id: UUID, *, now: datetime) -> None:
    """Let an open refund be asked about at once."""
    await conn.execute(
        "UPDATE refunds SET next_at = least(next_at, $2) WHERE refund_id = $1 AND state = 'sent'",
        refund_id,
        now,
    )


async def ask_later(conn: Connection, refund_id: UUID, *, at: datetime) -> None:
    """Put an open refund that cannot be settled now off until *at*."""
    await conn.execute(
        "UPDATE refunds SET next_at = $2 WHERE refund_id = $1 AND next_at IS NOT NULL",
        refund_id,
        at,
    )
