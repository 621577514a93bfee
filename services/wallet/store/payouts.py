"""The table ``payouts``: each is written before anybody is asked to pay it."""

from datetime import datetime
from typing import Final
from uuid import UUID

from services.wallet.contract.merchant_states import Beneficiary, PayoutState
from services.wallet.domain.order import LEASE
from services.wallet.domain.payout import Payout
from shared.db import Connection, Row

NEXT_DUE: Final = "SELECT min(next_at) FROM payouts WHERE next_at IS NOT NULL"
"""When a payout wants to be looked at next."""


BATCH: Final = 50


async def add(conn: Connection, payout: Payout) -> bool:
    """Write a new payout; False if this beneficiary has one of this day."""
    done = await conn.execute(
        """
        INSERT INTO payouts (merchant_id, payout_id, beneficiary, account, account_ref,
                             amount_fen, day, state, next_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
        """,
        payout.merchant_id,
        payout.payout_id,
        payout.beneficiary,
        payout.account,
        payout.account_ref,
        payout.amount_fen,
        payout.day,
        payout.state,
        payout.next_at,
        payout.created_at,
    )
    return done == "INSERT 0 1"


async def claim(conn: Connection, *, now: datetime) -> list[Payout]:
    """
    Take up those that are due, and return them as they were before.

    Each is marked as sent first: whoever dies now leaves a payout that is asked about when
    the lease is over, never one that is sent unasked again.
    """
    rows = await conn.fetch(
        """
        WITH due AS (
             SELECT * FROM payouts WHERE next_at <= $1
              ORDER BY next_at, merchant_id, payout_id LIMIT $2 FOR UPDATE SKIP LOCKED),
        taken AS (
             UPDATE payouts p
                SET state = CASE p.state WHEN 'prepared' THEN 'sent' ELSE p.state END,
                    next_at = $3, tries = p.tries + 1
               FROM due
              WHERE p.merchant_id = due.merchant_id AND p.payout_id = due.payout_id)
        SELECT * FROM due
        """,
        now,
        BATCH,
        now + LEASE,
    )
    return [_payout(row) for row in rows]


async def lock(conn: Connection, merchant_id: UUID, payout_id: UUID) -> Payout | None:
    """Return one payout, locked, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM payouts WHERE merchant_id = $1 AND payout_id = $2 FOR UPDATE",
        merchant_id,
        payout_id,
    )
    return _payout(row) if row else None


async def save(conn: Connection, payout: Payout) -> None:
    """Write back a locked payout."""
    await conn.execute(
        """
        UPDATE payouts SET state = $3, next_at = $4, reference = $5, failure = $6, ended_at = $7
         WHERE merchant_id = $1 AND payout_id = $2
        """,
        payout.merchant_id,
        payout.payout_id,
        payout.state,
        payout.next_at,
        payout.reference,
        payout.failure,
        payout.ended_at,
    )


async def get(conn: Connection, merchant_id: UUID, payout_id: UUID) -> Payout | None:
    """Return one merchant's payout, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM payouts WHERE merchant_id = $1 AND payout_id = $2", merchant_id, payout_id
    )
    return _payout(row) if row else None


async def page(
    conn: Connection, merchant_id: UUID, *, limit: int, before: tuple[datetime, UUID] | None
) -> list[Payout]:
    """Return up to *limit* of a merchant's payouts, newest first."""
    moment, payout_id = before or (None, None)
    rows = await conn.fetch(
        """
        SELECT * FROM payouts
         WHERE merchant_id = $1
           AND ($2::timestamptz IS NULL OR (created_at, payout_id) < ($2, $3::uuid))
         ORDER BY created_at DESC, payout_id DESC LIMIT $4
        """,
        merchant_id,
        moment,
        payout_id,
        limit,
    )
    return [_payout(row) for row in rows]


def _payout(row: Row) -> Payout:
    return Payout(
        **{
            **row,
            "beneficiary": Beneficiary(row["beneficiary"]),
            "state": PayoutState(row["state"]),
        }
    )
