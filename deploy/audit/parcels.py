"""Paid periods, holds, shipments, and the warehouse's orders: one of each for one."""

from deploy.audit.finding import Finding, Scene, compare


async def holds_match_shipments(scene: Scene) -> Finding:
    """Each hold has its one shipment; what became of the one became of the other."""
    return await compare(
        scene,
        "wallet holds = shipments",
        """
        SELECT coalesce(h.hold_id, s.hold_id)::text AS id,
               CASE WHEN s.hold_id IS NULL THEN 'held, no shipment'
                    WHEN h.hold_id IS NULL THEN 'shipment ' || s.shipment_id || ' without hold'
                    WHEN s.hold_fen <> h.amount_fen THEN
                         h.amount_fen || ' fen held, ' || s.hold_fen || ' known to the shipment'
                    WHEN s.instalment_id <> h.instalment_id THEN 'of another instalment'
                    WHEN h.state <> CASE
                         WHEN s.state IN ('dispatched', 'delivered', 'returned', 'lost', 'closed')
                         THEN 'captured' WHEN s.state = 'cancelled' THEN 'released'
                         ELSE 'placed' END
                    THEN h.state || ', but shipment ' || s.shipment_id || ' is ' || s.state
               END AS what
          FROM wallet.holds h
          FULL JOIN fulfillment.shipments s
            ON s.merchant_id = h.merchant_id AND s.hold_id = h.hold_id
        """,
    )


async def paid_is_shipped_once(scene: Scene) -> Finding:
    """
    A paid instalment of an auto-ship agreement has one shipment, any other none.

    Money that came after its agreement's end is not held and goes back instead; a month
    that the merchant gave counts as paid, and a down payment (0) brings no parcel.
    """
    return await compare(
        scene,
        "paid instalments = shipments",
        """
        SELECT coalesce(i.instalment_id, s.instalment_id)::text AS id,
               CASE WHEN i.instalment_id IS NULL THEN 'shipment of an unknown instalment'
                    WHEN s.times > 1 THEN s.times || ' shipments'
                    WHEN s.times = 1 AND NOT g.auto_ship THEN 'shipped, but not in the plan'
                    WHEN s.times = 1 AND a.instalment_id IS NULL THEN 'shipped, but not paid'
                    WHEN s.times IS NULL AND a.instalment_id IS NOT NULL AND g.auto_ship
                         AND i.seq > 0
                         AND NOT (l.ended_as IS NOT NULL AND h.hold_id IS NULL)
                    THEN 'paid, no shipment' END AS what
          FROM billing.instalments i
          JOIN billing.agreements g USING (agreement_id)
          LEFT JOIN (SELECT instalment_id FROM billing.attempts
                      WHERE state = 'succeeded' AND NOT surplus
                     UNION SELECT cause_id FROM wallet.transfers WHERE kind = 'bonus_granted') a
            ON a.instalment_id = i.instalment_id
          LEFT JOIN wallet.ledgers l
            ON l.merchant_id = i.merchant_id AND l.agreement_id = i.agreement_id
          LEFT JOIN wallet.holds h
            ON h.merchant_id = i.merchant_id AND h.instalment_id = i.instalment_id
          FULL JOIN (SELECT instalment_id, count(*) AS times
                       FROM fulfillment.shipments GROUP BY instalment_id) s
            ON s.instalment_id = i.instalment_id
        """,
    )


async def warehouse_has_each_once(scene: Scene) -> Finding:
    """
    The warehouse has one order for each shipment that was pushed, and none else.

    News of a departure may be a day late: the warehouse is asked every evening.
    """
    return await compare(
        scene,
        "pushed shipments = warehouse orders",
        """
        SELECT coalesce(s.shipment_id::text, o.number) AS id,
               CASE WHEN s.shipment_id IS NULL THEN 'an order nobody pushed: ' || o.order_nos
                    WHEN o.times > 1 THEN 'ordered ' || o.times || ' times: ' || o.order_nos
                    WHEN o.number IS NULL AND s.state NOT IN (
                         'planned', 'reminded', 'pushed', 'cancelling', 'cancelled')
                    THEN s.state || ', not at the warehouse'
                    WHEN o.number IS NOT NULL AND s.state = 'planned' THEN 'ordered too early'
                    WHEN o.status <> 'Sent' AND s.state IN (
                         'dispatched', 'delivered', 'returned', 'lost', 'closed')
                    THEN s.state || ', at the warehouse ' || o.status
                    WHEN o.status <> 'Cancelled' AND s.state = 'cancelled'
                    THEN 'cancelled, at the warehouse ' || o.status
                    WHEN o.status = 'Cancelled' AND s.state = 'accepted'
                    THEN 'accepted, cancelled at the warehouse'
                    WHEN o.status = 'Sent' AND o.sent_at < $2::timestamptz - interval '25 hours'
                         AND s.state IN ('reminded', 'pushed', 'accepted', 'out_of_stock',
                                         'cancelling')
                    THEN s.state || ', left the warehouse long ago' END AS what
          FROM fulfillment.shipments s
          FULL JOIN (SELECT number, count(*) AS times, min(status) AS status,
                            min(sent_at) AS sent_at, string_agg(order_no, ', ') AS order_nos
                       FROM jsonb_to_recordset($1) AS o (number text, order_no text,
                            status text, sent_at timestamptz)
                      GROUP BY number) o
            ON o.number = 'YF' || replace(s.shipment_id::text, '-', '')
        """,
        scene.books.orders,
        scene.books.now,
    )


CHECKS = (holds_match_shipments, paid_is_shipped_once, warehouse_has_each_once)
