"""Bills line by line: copied into staging, judged set by set, kept for ever."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.billing.domain.bill import BillLine
from services.billing.domain.bill_day import LATE_DAYS, BillDay, bounds
from shared.db import Connection

_LATE: Final = timedelta(days=LATE_DAYS)
LONG_S: Final = 600
"""Seconds that one statement over all lines of a day may take."""

_STAGED: Final = (
    "day_id",
    "line_no",
    "kind",
    "trade_no",
    "refund_no",
    "rail_no",
    "amount_fen",
    "fee_fen",
    "at",
)


async def take_time(conn: Connection) -> None:
    """Let the statements of this transaction take as long as a whole day's lines need."""
    await conn.execute(f"SET LOCAL statement_timeout = {LONG_S * 1000}")


async def clear_staging(conn: Connection, day_id: UUID) -> None:
    """Forget what was read of a bill."""
    await take_time(conn)
    await conn.execute("DELETE FROM bill_staging WHERE day_id = $1", day_id, timeout=LONG_S)


async def stage(conn: Connection, day_id: UUID, lines: Sequence[BillLine]) -> None:
    """Copy lines as they were read."""
    await conn.copy_records_to_table(
        "bill_staging",
        records=[
            (
                day_id,
                one.line_no,
                one.kind.value,
                one.trade_no,
                one.refund_no,
                one.rail_no,
                one.amount_fen,
                one.fee_fen,
                one.at,
            )
            for one in lines
        ],
        columns=_STAGED,
    )


async def match(conn: Connection, day: BillDay, *, to: int, now: datetime) -> None:
    """
    Judge the staged lines after ``day.matched_to`` up to number *to*, and open their tickets.

    A line is ours by its number alone; each charge and each refund is found once.  Runs
    once for each set of lines: the caller moves ``matched_to`` in the same transaction.
    """
    await _by_index(conn)
    await conn.execute(
        """
        WITH found AS (
            SELECT s.*, a.attempt_id, r.refund_id, a.merchant_id, a.agreement_id,
                   CASE s.kind WHEN 'charge' THEN a.amount_fen ELSE r.amount_fen END AS our_fen,
                   CASE s.kind WHEN 'charge' THEN a.state ELSE r.state END AS our_state,
                   row_number() OVER (PARTITION BY s.kind, coalesce(s.refund_no, s.trade_no)
                                          ORDER BY s.line_no) AS nth
              FROM bill_staging AS s
              LEFT JOIN LATERAL (SELECT * FROM attempts
                                  WHERE trade_no = s.trade_no AND rail = $2 LIMIT 1) AS a ON true
              LEFT JOIN LATERAL (SELECT * FROM refunds
                                  WHERE refund_no = s.refund_no AND attempt_id = a.attempt_id
                                  LIMIT 1) AS r ON true
             WHERE s.day_id = $1 AND s.line_no > $3 AND s.line_no <= $4),
        judged AS (
            SELECT f.*,
                   CASE WHEN f.our_fen IS NULL THEN 'unknown_number'
                        WHEN f.nth > 1 OR listed.before THEN 'listed_twice'
                        WHEN f.our_fen <> f.amount_fen THEN 'amount_differs'
                        WHEN f.our_state <> 'succeeded' THEN 'not_settled'
                   END AS cause
              FROM found AS f,
                   LATERAL (SELECT CASE f.kind
                       WHEN 'charge' THEN EXISTS (
                            SELECT FROM bill_lines AS b
                             WHERE b.attempt_id = f.attempt_id AND b.kind = 'charge'
                               AND b.outcome = 'matched')
                       ELSE EXISTS (
                            SELECT FROM bill_lines AS b
                             WHERE b.refund_id = f.refund_id AND b.kind = 'refund'
                               AND b.outcome = 'matched') END AS before) AS listed),
        kept AS (
            INSERT INTO bill_lines
                   (day_id, line_no, kind, trade_no, refund_no, rail_no, amount_fen, fee_fen, at,
                    outcome, merchant_id, attempt_id, refund_id)
            SELECT day_id, line_no, kind, trade_no, refund_no, rail_no, amount_fen, fee_fen, at,
                   CASE WHEN cause IS NULL THEN 'matched'
                        WHEN cause = 'amount_differs' THEN cause ELSE 'missing_here' END,
                   merchant_id, attempt_id, refund_id
              FROM judged)
        INSERT INTO bill_tickets
               (day_id, kind, what, cause, number, line_no, merchant_id, agreement_id, attempt_id,
                refund_id, rail_fen, our_fen, opened_at)
        SELECT day_id,
               CASE WHEN cause = 'amount_differs' THEN cause ELSE 'missing_here' END,
               kind, cause, coalesce(refund_no, trade_no), line_no, merchant_id, agreement_id,
               attempt_id, refund_id, amount_fen, our_fen, $5
          FROM judged
         WHERE cause IS NOT NULL
        """,
        day.day_id,
        day.rail,
        day.matched_to,
        to,
        now,
    )


_OURS: Final = """
    SELECT 'charge' AS what, a.attempt_id, NULL::uuid AS refund_id, a.trade_no AS number,
           a.merchant_id, a.agreement_id, a.amount_fen
      FROM attempts AS a
     WHERE a.rail = $1 AND a.state = 'succeeded' AND a.paid_at >= $4 AND a.paid_at < $3
       AND (a.paid_at >= $2 OR a.settled_at >= $2)
       AND (SELECT true FROM bill_lines AS b
             WHERE b.attempt_id = a.attempt_id AND b.kind = 'charge' AND b.outcome = 'matched'
             LIMIT 1) IS NULL
       AND (SELECT true FROM bill_tickets AS t
             WHERE t.attempt_id = a.attempt_id AND t.what = 'charge' LIMIT 1) IS NULL
    UNION ALL
    SELECT 'refund', r.attempt_id, r.refund_id, r.refund_no, r.merchant_id, r.agreement_id,
           r.amount_fen
      FROM refunds AS r
     WHERE r.rail = $1 AND r.state = 'succeeded' AND r.settled_at >= $2 AND r.settled_at < $3
       AND (SELECT true FROM bill_lines AS b
             WHERE b.refund_id = r.refund_id AND b.kind = 'refund' AND b.outcome = 'matched'
             LIMIT 1) IS NULL
       AND (SELECT true FROM bill_tickets AS t
             WHERE t.attempt_id = r.attempt_id AND t.refund_id = r.refund_id LIMIT 1) IS NULL
"""
# Each is a look-up of its own: as a join, it is planned by statistics that a new day has not got.


async def anything_unlisted(conn: Connection, day: BillDay) -> bool:
    """Return whether a charge or refund of ours of that day is in no bill and no ticket."""
    begin, end = bounds(day.day)
    await _by_index(conn)
    found = await conn.fetchval(
        f"SELECT EXISTS ({_OURS})",
        day.rail,
        begin,
        end,
        begin - _LATE,
        timeout=LONG_S,
    )
    return bool(found)


async def anything_unclear(conn: Connection, day: BillDay) -> bool:
    """Return whether the rail has not said yet what became of an order of that day."""
    begin, end = bounds(day.day)
    found = await conn.fetchval(
        """
        SELECT EXISTS (SELECT FROM attempts
                        WHERE query_at IS NOT NULL AND rail = $1
                          AND created_at >= $2 AND created_at < $3)
        """,
        day.rail,
        begin,
        end,
    )
    return bool(found)


async def open_missing_there(conn: Connection, day: BillDay, *, now: datetime) -> int:
    """Open a ticket for every charge and refund of ours that no bill lists."""
    begin, end = bounds(day.day)
    await _by_index(conn)
    done = await conn.execute(
        f"""
        INSERT INTO bill_tickets
               (day_id, kind, what, cause, number, merchant_id, agreement_id, attempt_id,
                refund_id, our_fen, opened_at)
        SELECT $5, 'missing_there', what, 'not_listed', number, merchant_id, agreement_id,
               attempt_id, refund_id, amount_fen, $6
          FROM ({_OURS}) AS ours
            ON CONFLICT DO NOTHING
        """,  # noqa: S608 - a constant of this module
        day.rail,
        begin,
        end,
        begin - _LATE,
        day.day_id,
        now,
        timeout=LONG_S,
    )
    return int(done.split()[-1])


async def outcomes(conn: Connection, day_id: UUID) -> list[tuple[str, str, int, int, int]]:
    """Return kind, outcome, lines, fen and fee in fen of a day."""
    rows = await conn.fetch(
        """
        SELECT kind, outcome, count(*)::int AS lines, sum(amount_fen)::bigint AS amount_fen,
               sum(fee_fen)::bigint AS fee_fen
          FROM bill_lines
         WHERE day_id = $1
         GROUP BY kind, outcome
         ORDER BY kind, outcome
        """,
        day_id,
    )
    return [
        (row["kind"], row["outcome"], row["lines"], row["amount_fen"], row["fee_fen"])
        for row in rows
    ]


async def _by_index(conn: Connection) -> None:
    """
    Look up line by line: nobody has statistics of tables just filled, and bills only grow.

    Holds for the rest of the transaction, and so does the time that its statements may take.
    """
    await take_time(conn)
    await conn.execute(
        "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
        " SET LOCAL enable_seqscan = off"
    )
