"""What must always be true of shipments, as questions to the database."""

from uuid import UUID

from shared.db import Connection


async def violations(conn: Connection) -> list[tuple[str, UUID]]:
    """Return (check, shipment) for whatever contradicts itself; none when all is well."""
    rows = await conn.fetch(
        """
        SELECT 'left without a parcel' AS what, s.shipment_id
          FROM shipments s
         WHERE s.state IN ('dispatched', 'delivered', 'returned', 'lost', 'closed')
           AND NOT EXISTS (SELECT FROM parcels p WHERE p.merchant_id = s.merchant_id
                                                   AND p.shipment_id = s.shipment_id)
        UNION ALL
        SELECT 'told without contents', s.shipment_id
          FROM shipments s
         WHERE s.revision > 0
           AND NOT EXISTS (SELECT FROM shipment_items i
                            WHERE i.merchant_id = s.merchant_id
                              AND i.shipment_id = s.shipment_id AND i.revision = s.revision)
        UNION ALL
        SELECT 'arrived without its parcels', s.shipment_id
          FROM shipments s
         WHERE s.state IN ('delivered', 'closed')
           AND EXISTS (SELECT FROM parcels p WHERE p.merchant_id = s.merchant_id
                          AND p.shipment_id = s.shipment_id AND p.delivered_seen_at IS NULL
                          AND p.sent_at <= s.since)
        UNION ALL
        SELECT 'meant for an ended agreement', s.shipment_id
          FROM shipments s
          JOIN agreements a USING (merchant_id, agreement_id)
         WHERE a.ended_at IS NOT NULL
           AND s.state IN ('planned', 'reminded', 'pushed', 'accepted', 'out_of_stock')
        UNION ALL
        SELECT 'history ends elsewhere', s.shipment_id
          FROM shipments s
         WHERE s.state <> (SELECT h.to_state FROM shipment_history h
                            WHERE h.merchant_id = s.merchant_id
                              AND h.shipment_id = s.shipment_id
                            ORDER BY h.n DESC LIMIT 1)
         LIMIT 100
        """
    )
    return [(row["what"], row["shipment_id"]) for row in rows]
