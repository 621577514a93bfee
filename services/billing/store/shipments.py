"""What fulfillment promised for each period, and whether it came."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from shared.db import Connection


async def planned(
    conn: Connection, instalment_id: UUID, agreement_id: UUID, seq: int, *, deliver_by: date
) -> None:
    """Keep the day by which a period's parcel is promised; the first promise counts."""
    await conn.execute(
        """
        INSERT INTO shipments_seen AS s (instalment_id, agreement_id, seq, deliver_by)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT (instalment_id) DO UPDATE
           SET deliver_by = coalesce(s.deliver_by, excluded.deliver_by)
        """,
        instalment_id,
        agreement_id,
        seq,
        deliver_by,
    )


async def ended(
    conn: Connection,
    instalment_id: UUID,
    agreement_id: UUID,
    seq: int,
    *,
    delivered_at: datetime | None,
) -> None:
    """Keep that a parcel arrived, or with None that it will not be sent."""
    await conn.execute(
        """
        INSERT INTO shipments_seen AS s
               (instalment_id, agreement_id, seq, delivered_at, cancelled)
        VALUES ($1, $2, $3, $4, $4::timestamptz IS NULL)
            ON CONFLICT (instalment_id) DO UPDATE
           SET delivered_at = coalesce(s.delivered_at, excluded.delivered_at),
               cancelled = s.cancelled OR excluded.cancelled
        """,
        instalment_id,
        agreement_id,
        seq,
        delivered_at,
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
