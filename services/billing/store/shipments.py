"""What fulfillment promised for each period, and whether it came."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What was heard of one period's parcel.

    ``deliver_by`` with a promise; ``delivered_at`` when it came, or None with neither: it
    will not be sent.
    """

    instalment_id: UUID
    agreement_id: UUID
    seq: int
    deliver_by: date | None = None
    delivered_at: datetime | None = None


async def planned(conn: Connection, seen: Sequence[Seen]) -> None:
    """Keep the days by which parcels are promised; the first promise of a period counts."""
    await conn.execute(
        """
        INSERT INTO shipments_seen AS s (instalment_id, agreement_id, seq, deliver_by)
        SELECT DISTINCT ON (n.instalment_id) n.instalment_id, n.agreement_id, n.seq, n.deliver_by
          FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::date[]) WITH ORDINALITY
            AS n (instalment_id, agreement_id, seq, deliver_by, place)
         ORDER BY n.instalment_id, n.place
            ON CONFLICT (instalment_id) DO UPDATE
           SET deliver_by = coalesce(s.deliver_by, excluded.deliver_by)
        """,
        *_columns(seen),
        [one.deliver_by for one in seen],
    )


async def ended(conn: Connection, seen: Sequence[Seen]) -> None:
    """Keep that parcels arrived, or will not be sent."""
    await conn.execute(
        """
        INSERT INTO shipments_seen AS s
               (instalment_id, agreement_id, seq, delivered_at, cancelled)
        SELECT instalment_id, min(agreement_id::text)::uuid, min(seq), min(delivered_at),
               bool_or(delivered_at IS NULL)
          FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::timestamptz[])
            AS n (instalment_id, agreement_id, seq, delivered_at)
         GROUP BY instalment_id
         ORDER BY instalment_id
            ON CONFLICT (instalment_id) DO UPDATE
           SET delivered_at = coalesce(s.delivered_at, excluded.delivered_at),
               cancelled = s.cancelled OR excluded.cancelled
        """,
        *_columns(seen),
        [one.delivered_at for one in seen],
    )


def _columns(seen: Sequence[Seen]) -> tuple[list[UUID], list[UUID], list[int]]:
    return (
        [one.instalment_id for one in seen],
        [one.agreement_id for one in seen],
        [one.seq for one in seen],
    )


async def late_since(conn: Connection, instalment_ids: Sequence[UUID]) -> dict[UUID, date]:
    """Return, by instalment, the promised day of the newest earlier parcel not delivered yet."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (i.instalment_id) i.instalment_id, s.deliver_by, s.delivered_at
          FROM instalments AS i
          JOIN shipments_seen AS s ON s.agreement_id = i.agreement_id AND s.seq < i.seq
         WHERE i.instalment_id = ANY($1::uuid[]) AND NOT s.cancelled
           AND s.deliver_by IS NOT NULL
         ORDER BY i.instalment_id, s.seq DESC
        """,
        instalment_ids,
    )
    return {row["instalment_id"]: row["deliver_by"] for row in rows if row["delivered_at"] is None}
