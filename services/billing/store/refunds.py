"""Refunds and the requests they serve; one refund of a charge is under way at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.billing.domain.errors import RefundUnknown
from services.billing.domain.refund import Refund, Refundable, RefundState
from shared.db import Connection, Row
from shared.rails.permissions import OFFERED, Permissions, RefundLimits

NEXT_SEND: Final = "SELECT min(next_at) FROM refunds WHERE next_at IS NOT NULL"
"""When a refund wants to be sent or asked about next."""


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


async def refundable(
    conn: Connection, agreement_id: UUID, permissions: Permissions
) -> list[Refundable]:
    """Return the agreement's charges that brought money to its wallet, newest first."""
    return await _refundable(conn, permissions, agreement_id=agreement_id, attempt_id=None)


async def refundable_charge(
    conn: Connection, attempt_id: UUID, permissions: Permissions
) -> Refundable:
    """Return one successful charge, also one that came twice."""
    (found,) = await _refundable(conn, permissions, agreement_id=None, attempt_id=attempt_id)
    return found


async def _refundable(
    conn: Connection,
    permissions: Permissions,
    *,
    agreement_id: UUID | None,
    attempt_id: UUID | None,
) -> list[Refundable]:
    rows = await conn.fetch(
        """
        SELECT a.attempt_id, a.instalment_id, a.rail, a.product, a.paid_at,
               count(r.refund_id) FILTER (WHERE r.state <> 'failed') AS parts,
               a.amount_fen - coalesce(sum(r.amount_fen) FILTER (WHERE r.state <> 'failed'), 0)
               AS free_fen
          FROM attempts AS a
          LEFT JOIN refunds AS r USING (attempt_id)
         WHERE a.state = 'succeeded'
           AND ((a.agreement_id = $1 AND NOT a.surplus) OR a.attempt_id = $2)
         GROUP BY a.attempt_id
         ORDER BY a.paid_at DESC, a.attempt_id
        """,
        agreement_id,
        attempt_id,
    )
    return [
        Refundable(
            row["attempt_id"],
            row["instalment_id"],
            row["rail"],
            int(row["free_fen"]),
            row["product"],
            row["paid_at"],
            row["parts"],
            _limits(permissions, row["rail"], row["product"]),
        )
        for row in rows
    ]


def _limits(permissions: Permissions, rail: str, product: str) -> RefundLimits:
    """Return what the product permits; an order paid by hand has its rail's usual terms."""
    found = permissions.get((rail, product)) or permissions.get((rail, OFFERED.get(rail, "")))
    return found.refund if found else RefundLimits(None, None)


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


async def lock(conn: Connection, refund_id: UUID) -> Refund | None:
    """Return one refund, locked until the transaction ends."""
    row = await conn.fetchrow("SELECT * FROM refunds WHERE refund_id = $1 FOR UPDATE", refund_id)
    return None if row is None else refund(row)


async def find(conn: Connection, merchant_id: UUID, refund_id: UUID) -> Refund:
    """
    Return one merchant's refund.

    Raises:
        RefundUnknown: There is no such refund, or it is another merchant's.
    """
    row = await conn.fetchrow(
        "SELECT * FROM refunds WHERE merchant_id = $1 AND refund_id = $2", merchant_id, refund_id
    )
    if row is None:
        raise RefundUnknown("No such refund.", refund_id=str(refund_id))
    return refund(row)


async def failures(conn: Connection, refund_id: UUID) -> int:
    """Return how often a refund has failed for good so far."""
    found = await conn.fetchval(
        """
        SELECT count(*) FROM history
         WHERE thing_id = $1 AND thing = 'refund' AND to_state = 'failed'
        """,
        refund_id,
    )
    return int(found)


async def open_since(
    conn: Connection, *, before: datetime, after: UUID | None, limit: int
) -> list[tuple[Refund, str, datetime]]:
    """
    Return refunds asked for before a moment that have not reached the customer.

    Each with the reason and the moment of the request; by their ids, those after *after*.
    """
    rows = await conn.fetch(
        """
        SELECT r.*, s.reason AS asked_for, s.requested_at
          FROM refunds AS r LEFT JOIN settlements AS s USING (settlement_id)
         WHERE r.state <> 'succeeded' AND r.created_at < $1
           AND ($2::uuid IS NULL OR r.refund_id > $2)
         ORDER BY r.refund_id
         LIMIT $3
        """,
        before,
        after,
        limit,
    )
    return [_open(dict(row)) for row in rows]


def _open(row: dict[str, Any]) -> tuple[Refund, str, datetime]:
    asked_for, asked_at = row.pop("asked_for") or "", row.pop("requested_at")
    one = Refund(**{**row, "state": RefundState(row["state"])})
    return one, asked_for, asked_at or one.created_at


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
    state: str | None,
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
           AND ($6::text IS NULL OR state = $6)
         ORDER BY created_at, refund_id
         LIMIT $5
        """,
        merchant_id,
        agreement_id,
        *(after or (None, None)),
        limit,
        state,
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
