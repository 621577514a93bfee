"""Days of bills: opened by date, claimed with a lease, moved forward under a fence."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from services.billing.domain.bill import Tally
from services.billing.domain.bill_day import BillDay, DayState
from shared.db import Connection, Row

NEXT_STEP: Final = "SELECT min(next_at) FROM bill_days WHERE next_at IS NOT NULL"
"""When a day wants to be looked at next."""


async def last_day(conn: Connection, rail: str, account_no: str) -> date | None:
    """Return the latest day that was opened."""
    found: date | None = await conn.fetchval(
        "SELECT max(day) FROM bill_days WHERE rail = $1 AND account_no = $2", rail, account_no
    )
    return found


async def first_payment_at(conn: Connection, rail: str) -> datetime | None:
    """Return when a charge of *rail* was first paid."""
    found: datetime | None = await conn.fetchval(
        "SELECT min(paid_at) FROM attempts WHERE rail = $1 AND state = 'succeeded'", rail
    )
    return found


async def add(conn: Connection, days: Sequence[BillDay]) -> int:
    """Add days; those that stand already stay. Return how many are new."""
    done = await conn.execute(
        """
        INSERT INTO bill_days SELECT * FROM jsonb_populate_recordset(NULL::bill_days, $1)
            ON CONFLICT (day_id) DO NOTHING
        """,
        list(days),
    )
    return int(done.split()[-1])


async def wake_open(conn: Connection, *, now: datetime) -> int:
    """Let every day that is not closed and waits for nothing else be looked at now."""
    done = await conn.execute(
        """
        UPDATE bill_days SET next_at = $1
         WHERE day_id IN (
               SELECT day_id FROM bill_days
                WHERE state <> 'closed' AND next_at IS NULL
                ORDER BY day DESC
                  FOR UPDATE)
        """,
        now,
    )
    return int(done.split()[-1])


async def wake(conn: Connection, day_id: UUID, *, now: datetime) -> None:
    """Let one day be looked at now, unless somebody is at it."""
    await conn.execute(
        """
        UPDATE bill_days SET next_at = $2
         WHERE day_id = $1 AND state <> 'closed' AND next_at IS NULL
        """,
        day_id,
        now,
    )


async def wake_before(conn: Connection, day: BillDay, *, now: datetime) -> None:
    """
    Let earlier days be looked at now: what they lack may be in this day's bill.

    One that is being worked on is only locked: who works on it looks here before it rests.
    """
    await conn.execute(
        """
        UPDATE bill_days SET next_at = coalesce(next_at, $4)
         WHERE day_id IN (
               SELECT day_id FROM bill_days
                WHERE rail = $1 AND account_no = $2 AND day < $3 AND state <> 'closed'
                ORDER BY day DESC
                  FOR UPDATE)
        """,
        day.rail,
        day.account_no,
        day.day,
        now,
    )


async def claim(conn: Connection, *, now: datetime, until: datetime, limit: int) -> list[BillDay]:
    """Take the earliest due days and rest them *until* then; who holds a fence may go on."""
    rows = await conn.fetch(
        """
        UPDATE bill_days SET next_at = $2, fence = fence + 1
         WHERE day_id IN (
               SELECT day_id FROM bill_days
                WHERE next_at <= $1
                ORDER BY day, rail, account_no
                LIMIT $3
                  FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        now,
        until,
        limit,
    )
    return [_day(row) for row in rows]


async def hold(conn: Connection, day: BillDay, *, until: datetime | None = None) -> BillDay | None:
    """
    Return the day as it stands, locked, while its fence is still *day*'s; None if it is not.

    *until* renews the lease.
    """
    row = await conn.fetchrow(
        """
        UPDATE bill_days SET next_at = coalesce($3, next_at)
         WHERE day_id = $1 AND fence = $2
        RETURNING *
        """,
        day.day_id,
        day.fence,
        until,
    )
    return None if row is None else _day(row)


async def fetched(conn: Connection, day_id: UUID, tally: Tally, *, now: datetime) -> None:
    """The bill stands in staging, as *tally* counted it."""
    await conn.execute(
        """
        UPDATE bill_days
           SET state = 'fetched', refused = NULL, lines = $2, matched_to = 0, charges = $3,
               refunds = $4, captured_fen = $5, refunded_fen = $6, fee_fen = $7, fetched_at = $8
         WHERE day_id = $1
        """,
        day_id,
        tally.lines + tally.broken,
        tally.charges,
        tally.refunds,
        tally.captured_fen,
        tally.refunded_fen,
        tally.fee_fen,
        now,
    )


async def matched_to(conn: Connection, day_id: UUID, line_no: int) -> None:
    """Lines up to *line_no* are matched."""
    await conn.execute("UPDATE bill_days SET matched_to = $2 WHERE day_id = $1", day_id, line_no)


async def move(conn: Connection, day_id: UUID, state: DayState, *, now: datetime) -> None:
    """The day is *state* now."""
    await conn.execute(
        """
        UPDATE bill_days
           SET state = $2,
               matched_at = CASE WHEN $2 = 'matched' THEN $3 ELSE matched_at END,
               closed_at = CASE WHEN $2 = 'closed' THEN $3::timestamptz END
         WHERE day_id = $1
        """,
        day_id,
        state.value,
        now,
    )


async def compared(conn: Connection, day_id: UUID) -> None:
    """Our own records of the day have been looked for in the bills."""
    await conn.execute("UPDATE bill_days SET compared = true WHERE day_id = $1", day_id)


async def refuse(conn: Connection, day_id: UUID, refused: str) -> None:
    """There is no usable bill, for this reason."""
    await conn.execute(
        "UPDATE bill_days SET refused = $2, tries = tries + 1 WHERE day_id = $1", day_id, refused
    )


async def rest(conn: Connection, day: BillDay, *, until: datetime | None) -> None:
    """Let go of a claimed day; None until a new day, or a person, wakes it."""
    await conn.execute(
        "UPDATE bill_days SET next_at = $3 WHERE day_id = $1 AND fence = $2",
        day.day_id,
        day.fence,
        until,
    )


async def next_is_matched(conn: Connection, day: BillDay) -> bool:
    """Return whether the bill of the following day has been matched, too."""
    found = await conn.fetchval(
        """
        SELECT true FROM bill_days
         WHERE rail = $1 AND account_no = $2 AND day = $3 AND state IN ('matched', 'closed')
        """,
        day.rail,
        day.account_no,
        day.day + timedelta(days=1),
    )
    return bool(found)


async def find(conn: Connection, day_id: UUID) -> BillDay | None:
    """Return one day."""
    row = await conn.fetchrow("SELECT * FROM bill_days WHERE day_id = $1", day_id)
    return None if row is None else _day(row)


async def page(
    conn: Connection,
    *,
    rail: str | None,
    open_only: bool,
    after: tuple[date, UUID] | None,
    limit: int,
) -> list[BillDay]:
    """Return days after the one named, the earliest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM bill_days
         WHERE ($1::text IS NULL OR rail = $1)
           AND (NOT $2 OR state <> 'closed')
           AND ($3::date IS NULL OR (day, day_id) > ($3, $4))
         ORDER BY day, day_id
         LIMIT $5
        """,
        rail,
        open_only,
        *(after or (None, None)),
        limit,
    )
    return [_day(row) for row in rows]


async def oldest_open(conn: Connection) -> list[tuple[str, datetime]]:
    """Return since when the oldest day of each open state waits."""
    rows = await conn.fetch(
        """
        SELECT state, min(opened_at) AS since FROM bill_days
         WHERE state <> 'closed' GROUP BY state
        """
    )
    return [(row["state"], row["since"]) for row in rows]


def _day(row: Row) -> BillDay:
    return BillDay(**{**row, "state": DayState(row["state"])})
