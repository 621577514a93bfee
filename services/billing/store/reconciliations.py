"""What closed days came to, merchant by merchant."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.billing.domain.bill_day import BillDay
from services.billing.store.bill_lines import LONG_S, take_time
from shared.db import Connection, Row
from shared.ids import derived_id


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One merchant's share of a closed day, from matched lines alone."""

    reconciliation_id: UUID
    day_id: UUID
    merchant_id: UUID
    rail: str
    day: date
    charges: int
    refunds: int
    captured_fen: int
    refunded_fen: int
    fee_fen: int
    surplus_captured_fen: int
    surplus_refunded_fen: int
    closed_at: datetime


async def add_of(conn: Connection, day: BillDay, *, now: datetime) -> list[Reconciliation]:
    """Sum up a day's matched lines, write the sums down and return them."""
    await take_time(conn)
    rows = await conn.fetch(
        """
        SELECT l.merchant_id,
               (count(*) FILTER (WHERE l.kind = 'charge'))::int AS charges,
               (count(*) FILTER (WHERE l.kind = 'refund'))::int AS refunds,
               coalesce(sum(l.amount_fen) FILTER (WHERE l.kind = 'charge'), 0)::bigint
                   AS captured_fen,
               coalesce(sum(l.amount_fen) FILTER (WHERE l.kind = 'refund'), 0)::bigint
                   AS refunded_fen,
               sum(l.fee_fen)::bigint AS fee_fen,
               coalesce(sum(l.amount_fen) FILTER (WHERE l.kind = 'charge' AND a.surplus), 0)
                   ::bigint AS surplus_captured_fen,
               coalesce(sum(l.amount_fen) FILTER (WHERE l.kind = 'refund' AND a.surplus), 0)
                   ::bigint AS surplus_refunded_fen
          FROM bill_lines AS l
          JOIN attempts AS a USING (attempt_id)
         WHERE l.day_id = $1 AND l.outcome = 'matched'
         GROUP BY l.merchant_id
         ORDER BY l.merchant_id
        """,
        day.day_id,
        timeout=LONG_S,
    )
    made = [
        Reconciliation(
            **row,
            reconciliation_id=derived_id("reconciliation", day.day_id, row["merchant_id"]),
            day_id=day.day_id,
            rail=day.rail,
            day=day.day,
            closed_at=now,
        )
        for row in rows
    ]
    await conn.execute(
        """
        INSERT INTO reconciliations
        SELECT * FROM jsonb_populate_recordset(NULL::reconciliations, $1)
        """,
        made,
    )
    return made


async def page(
    conn: Connection, merchant_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Reconciliation]:
    """Return a merchant's closed days after the one named, in the order they were closed."""
    rows = await conn.fetch(
        """
        SELECT * FROM reconciliations
         WHERE merchant_id = $1
           AND ($2::timestamptz IS NULL OR (closed_at, reconciliation_id) > ($2, $3))
         ORDER BY closed_at, reconciliation_id
         LIMIT $4
        """,
        merchant_id,
        *(after or (None, None)),
        limit,
    )
    return [_reconciliation(row) for row in rows]


def _reconciliation(row: Row) -> Reconciliation:
    return Reconciliation(**row)
