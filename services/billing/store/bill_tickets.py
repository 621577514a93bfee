"""Differences between bills and our records, and how each of them ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from services.billing.domain.bill import BrokenRow
from services.billing.domain.bill_day import Resolution, Ticket, TicketKind
from shared.db import Connection, Row

Resolved: TypeAlias = tuple[UUID, Resolution]


async def open_broken(
    conn: Connection,
    day_id: UUID,
    rows: Sequence[BrokenRow],
    *,
    missing_fen: int | None,
    now: datetime,
) -> None:
    """
    Open a ticket for each row that cannot be read.

    *missing_fen* is what the readable rows lack to the bill's own total; where one row is
    broken, it is that row's amount.
    """
    if not rows:
        return
    await conn.execute(
        """
        INSERT INTO bill_tickets
               (day_id, kind, what, cause, number, line_no, rail_fen, opened_at)
        SELECT $1, 'broken_row', 'bill', cause, 'line ' || line_no, line_no, $4, $5
          FROM unnest($2::int[], $3::text[]) AS r (line_no, cause)
            ON CONFLICT DO NOTHING
        """,
        day_id,
        [one.line_no for one in rows],
        [one.fault.value for one in rows],
        abs(missing_fen) if missing_fen is not None and len(rows) == 1 else None,
        now,
    )


async def open_no_bill(
    conn: Connection, day_id: UUID, *, cause: str, number: str, now: datetime
) -> None:
    """Open, or keep open, the ticket that a day has no usable bill."""
    await conn.execute(
        """
        INSERT INTO bill_tickets (day_id, kind, what, cause, number, opened_at)
        VALUES ($1, 'no_bill', 'bill', $2, $3, $4)
            ON CONFLICT (day_id, kind, what, number, line_no) DO UPDATE
           SET cause = excluded.cause
        """,
        day_id,
        cause,
        number,
        now,
    )


async def close_no_bill(conn: Connection, day_id: UUID, *, now: datetime) -> list[Resolved]:
    """The bill came after all."""
    return await _resolved(
        conn,
        """
        UPDATE bill_tickets SET resolution = 'bill_came', resolved_by = 'job', resolved_at = $2
         WHERE day_id = $1 AND kind = 'no_bill' AND resolution IS NULL
        RETURNING ticket_id, resolution
        """,
        day_id,
        now,
    )


async def close_listed(conn: Connection, day_id: UUID, *, now: datetime) -> list[Resolved]:
    """What was missing there is in another day's bill."""
    return await _resolved(
        conn,
        """
        UPDATE bill_tickets AS t
           SET resolution = 'other_day', resolved_by = 'job', resolved_at = $2
         WHERE t.day_id = $1 AND t.kind = 'missing_there' AND t.resolution IS NULL
           AND CASE t.what
               WHEN 'charge' THEN EXISTS (
                    SELECT FROM bill_lines AS b
                     WHERE b.attempt_id = t.attempt_id AND b.kind = 'charge'
                       AND b.outcome = 'matched')
               ELSE EXISTS (
                    SELECT FROM bill_lines AS b
                     WHERE b.refund_id = t.refund_id AND b.kind = 'refund'
                       AND b.outcome = 'matched') END
        RETURNING t.ticket_id, t.resolution
        """,
        day_id,
        now,
    )


async def close_settled(conn: Connection, day_id: UUID, *, now: datetime) -> list[Resolved]:
    """What was missing here has been settled since: its line is matched now."""
    return await _resolved(
        conn,
        """
        WITH settled AS (
            SELECT t.ticket_id, t.line_no, coalesce(a.surplus, false) AS surplus
              FROM bill_tickets AS t
              LEFT JOIN attempts AS a ON t.what = 'charge' AND a.attempt_id = t.attempt_id
              LEFT JOIN refunds AS r ON t.what = 'refund' AND r.refund_id = t.refund_id
             WHERE t.day_id = $1 AND t.kind = 'missing_here' AND t.cause = 'not_settled'
               AND t.resolution IS NULL
               AND coalesce(a.state, r.state) = 'succeeded'
               AND coalesce(a.amount_fen, r.amount_fen) = t.rail_fen),
        lines AS (
            UPDATE bill_lines AS b SET outcome = 'matched'
              FROM settled WHERE b.day_id = $1 AND b.line_no = settled.line_no)
        UPDATE bill_tickets AS t
           SET resolution = CASE WHEN settled.surplus THEN 'surplus_refunded'
                                 ELSE 'settled_here' END,
               resolved_by = 'query', resolved_at = $2
          FROM settled
         WHERE t.ticket_id = settled.ticket_id
        RETURNING t.ticket_id, t.resolution
        """,
        day_id,
        now,
    )


async def close_not_moved(
    conn: Connection, ticket_ids: Sequence[UUID], *, now: datetime
) -> list[Resolved]:
    """The rail itself says of these refunds that nothing moved."""
    return await _resolved(
        conn,
        """
        UPDATE bill_tickets
           SET resolution = 'not_moved', resolved_by = 'query', resolved_at = $2
         WHERE ticket_id = ANY($1::uuid[]) AND resolution IS NULL
        RETURNING ticket_id, resolution
        """,
        ticket_ids,
        now,
    )


async def claim_to_ask(
    conn: Connection, day_id: UUID, *, now: datetime, limit: int
) -> list[Ticket]:
    """Return tickets about money that we did not know of and have not asked about at *now*."""
    rows = await conn.fetch(
        """
        WITH asked AS (
            UPDATE bill_tickets SET asked_at = $2
             WHERE ticket_id IN (
                   SELECT ticket_id FROM bill_tickets
                    WHERE day_id = $1 AND resolution IS NULL AND kind = 'missing_here'
                      AND cause = 'not_settled' AND (asked_at IS NULL OR asked_at < $2)
                    ORDER BY ticket_id
                    LIMIT $3)
            RETURNING *)
        SELECT asked.*, d.rail, d.day FROM asked JOIN bill_days AS d USING (day_id)
         ORDER BY ticket_id
        """,
        day_id,
        now,
        limit,
    )
    return [_ticket(row) for row in rows]


async def any_open(conn: Connection, day_id: UUID) -> bool:
    """Return whether a difference of the day has no resolution yet."""
    found = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM bill_tickets WHERE day_id = $1 AND resolution IS NULL)", day_id
    )
    return bool(found)


async def any_unsettled(conn: Connection, day_id: UUID) -> bool:
    """Return whether some money that we did not know of is still to be asked about."""
    found = await conn.fetchval(
        """
        SELECT EXISTS (SELECT FROM bill_tickets
                        WHERE day_id = $1 AND resolution IS NULL AND cause = 'not_settled')
        """,
        day_id,
    )
    return bool(found)


async def find(
    conn: Connection, ticket_id: UUID, *, merchant_id: UUID | None, lock: bool = False
) -> Ticket | None:
    """Return a ticket; of *merchant_id* only, where one is named."""
    row = await conn.fetchrow(
        f"""
        SELECT t.*, d.rail, d.day FROM bill_tickets AS t JOIN bill_days AS d USING (day_id)
         WHERE ticket_id = $1 AND ($2::uuid IS NULL OR merchant_id = $2)
        {"FOR UPDATE OF t" if lock else ""}
        """,  # noqa: S608 - one of two constants
        ticket_id,
        merchant_id,
    )
    return None if row is None else _ticket(row)


async def resolve(
    conn: Connection,
    ticket_id: UUID,
    resolution: Resolution,
    *,
    reason: str,
    by: str,
    now: datetime,
) -> None:
    """Write down how a locked ticket ended."""
    await conn.execute(
        """
        UPDATE bill_tickets
           SET resolution = $2, reason = $3, resolved_by = $4, resolved_at = $5
         WHERE ticket_id = $1
        """,
        ticket_id,
        resolution.value,
        reason,
        by,
        now,
    )


async def page(
    conn: Connection,
    *,
    merchant_id: UUID | None,
    day_id: UUID | None,
    open_only: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Ticket]:
    """Return tickets after the one named, oldest first; a merchant's, or everybody's."""
    rows = await conn.fetch(
        """
        SELECT t.*, d.rail, d.day FROM bill_tickets AS t JOIN bill_days AS d USING (day_id)
         WHERE ($1::uuid IS NULL OR t.merchant_id = $1)
           AND ($2::uuid IS NULL OR t.day_id = $2)
           AND (NOT $3 OR t.resolution IS NULL)
           AND ($4::timestamptz IS NULL OR (t.opened_at, t.ticket_id) > ($4, $5))
         ORDER BY t.opened_at, t.ticket_id
         LIMIT $6
        """,
        merchant_id,
        day_id,
        open_only,
        *(after or (None, None)),
        limit,
    )
    return [_ticket(row) for row in rows]


async def open_counts(conn: Connection) -> list[tuple[str, int, datetime]]:
    """Return, by kind, how many tickets are open and since when the oldest is."""
    rows = await conn.fetch(
        """
        SELECT kind, count(*)::int AS open, min(opened_at) AS since
          FROM bill_tickets
         WHERE resolution IS NULL
         GROUP BY kind
        """
    )
    return [(row["kind"], row["open"], row["since"]) for row in rows]


async def open_by_kind(conn: Connection, day_id: UUID) -> dict[str, int]:
    """Return how many differences of a day are open, by kind."""
    rows = await conn.fetch(
        """
        SELECT kind, count(*)::int AS open FROM bill_tickets
         WHERE day_id = $1 AND resolution IS NULL
         GROUP BY kind
        """,
        day_id,
    )
    return {row["kind"]: row["open"] for row in rows}


async def _resolved(conn: Connection, statement: str, *args: object) -> list[Resolved]:
    rows = await conn.fetch(statement, *args)
    return [(row["ticket_id"], Resolution(row["resolution"])) for row in rows]


def _ticket(row: Row) -> Ticket:
    fields = {name: row[name] for name in Ticket.__dataclass_fields__}
    resolution = row["resolution"]
    return Ticket(
        **{
            **fields,
            "kind": TicketKind(row["kind"]),
            "resolution": None if resolution is None else Resolution(resolution),
        }
    )
