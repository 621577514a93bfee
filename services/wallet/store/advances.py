"""The table ``advances``: each is written before the partner is asked to pay it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.wallet.contract.merchant_states import AdvanceState
from services.wallet.domain.advance import Advance
from services.wallet.domain.order import LEASE
from shared.db import Connection, Row

NEXT_DUE: Final = "SELECT min(next_at) FROM advances WHERE next_at IS NOT NULL"
"""When an advance wants to be looked at next."""


BATCH: Final = 50


async def add(conn: Connection, advance: Advance) -> None:
    """Write a quoted advance; the same one again stays."""
    await conn.execute(
        """
        INSERT INTO advances (merchant_id, advance_id, state, amount_fen, covered_fen,
                              interest_ppm, quote_ref, valid_until, asked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
        """,
        advance.merchant_id,
        advance.advance_id,
        advance.state,
        advance.amount_fen,
        advance.covered_fen,
        advance.interest_ppm,
        advance.quote_ref,
        advance.valid_until,
        advance.asked_at,
    )


async def claim(conn: Connection, *, now: datetime) -> list[Advance]:
    """Take up those that are due and return them as before; see ``payouts.claim``."""
    rows = await conn.fetch(
        """
        WITH due AS (
             SELECT * FROM advances WHERE next_at <= $1
              ORDER BY next_at, merchant_id, advance_id LIMIT $2 FOR UPDATE SKIP LOCKED),
        taken AS (
             UPDATE advances a SET state = 'unknown', next_at = $3, tries = a.tries + 1
               FROM due
              WHERE a.merchant_id = due.merchant_id AND a.advance_id = due.advance_id)
        SELECT * FROM due
        """,
        now,
        BATCH,
        now + LEASE,
    )
    return [_advance(row) for row in rows]


async def lock(conn: Connection, merchant_id: UUID, advance_id: UUID) -> Advance | None:
    """Return one merchant's advance, locked, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM advances WHERE merchant_id = $1 AND advance_id = $2 FOR UPDATE",
        merchant_id,
        advance_id,
    )
    return _advance(row) if row else None


async def lock_open(conn: Connection, merchant_id: UUID) -> list[Advance]:
    """Return a merchant's advances that are drawn and not repaid, oldest first, locked."""
    rows = await conn.fetch(
        """
        SELECT * FROM advances WHERE merchant_id = $1 AND state = 'drawn'
         ORDER BY drawn_at, advance_id FOR UPDATE
        """,
        merchant_id,
    )
    return [_advance(row) for row in rows]


async def save(conn: Connection, advances: Sequence[Advance]) -> None:
    """Write back locked advances; few at a time."""
    await conn.executemany(
        """
        UPDATE advances
           SET state = $3, next_at = $4, reference = $5, failure = $6, interest_fen = $7,
               repaid_fen = $8, accrued_through = $9, drawn_at = $10
         WHERE merchant_id = $1 AND advance_id = $2
        """,
        [
            (
                a.merchant_id,
                a.advance_id,
                a.state,
                a.next_at,
                a.reference,
                a.failure,
                a.interest_fen,
                a.repaid_fen,
                a.accrued_through,
                a.drawn_at,
            )
            for a in advances
        ],
    )


async def merchants_owing(conn: Connection) -> list[UUID]:
    """Return the merchants who have an advance to repay, in order."""
    rows = await conn.fetch(
        "SELECT DISTINCT merchant_id FROM advances WHERE state = 'drawn' ORDER BY 1"
    )
    return [row["merchant_id"] for row in rows]


async def on_their_way(conn: Connection, merchant_id: UUID) -> int:
    """Return what is being drawn and not decided yet, in fen."""
    total = await conn.fetchval(
        "SELECT sum(amount_fen) FROM advances WHERE merchant_id = $1 AND next_at IS NOT NULL",
        merchant_id,
    )
    return int(total or 0)


async def get(conn: Connection, merchant_id: UUID, advance_id: UUID) -> Advance | None:
    """Return one merchant's advance, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM advances WHERE merchant_id = $1 AND advance_id = $2",
        merchant_id,
        advance_id,
    )
    return _advance(row) if row else None


async def page(
    conn: Connection, merchant_id: UUID, *, limit: int, before: tuple[datetime, UUID] | None
) -> list[Advance]:
    """Return up to *limit* of a merchant's advances, newest first."""
    moment, advance_id = before or (None, None)
    rows = await conn.fetch(
        """
        SELECT * FROM advances
         WHERE merchant_id = $1
           AND ($2::timestamptz IS NULL OR (asked_at, advance_id) < ($2, $3::uuid))
         ORDER BY asked_at DESC, advance_id DESC LIMIT $4
        """,
        merchant_id,
        moment,
        advance_id,
        limit,
    )
    return [_advance(row) for row in rows]


def _advance(row: Row) -> Advance:
    return Advance(**{**row, "state": AdvanceState(row["state"])})
