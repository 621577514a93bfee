"""Closed days of rails' bills against their lines, and the lines against charges and refunds."""

from deploy.audit.finding import Finding, Scene, compare


async def closed_days_add_up(scene: Scene) -> Finding:
    """What a closed day came to for each merchant is the sum of its matched lines."""
    return await compare(
        scene,
        "closed bill days = matched lines",
        """
        SELECT concat_ws(' ', d.rail, d.day, coalesce(r.merchant_id, l.merchant_id)) AS id,
               CASE WHEN r.day_id IS NULL THEN 'lines without a sum'
                    WHEN l.day_id IS NULL THEN 'a sum without lines'
                    WHEN (r.captured_fen, r.refunded_fen, r.fee_fen)
                         <> (l.captured_fen, l.refunded_fen, l.fee_fen) THEN
                         'says ' || r.captured_fen || ' - ' || r.refunded_fen || ' - ' || r.fee_fen
                         || ', its lines ' || l.captured_fen || ' - ' || l.refunded_fen || ' - '
                         || l.fee_fen END AS what
          FROM (SELECT b.day_id, b.merchant_id,
                       coalesce(sum(b.amount_fen) FILTER (WHERE b.kind = 'charge'), 0)
                           AS captured_fen,
                       coalesce(sum(b.amount_fen) FILTER (WHERE b.kind = 'refund'), 0)
                           AS refunded_fen,
                       sum(b.fee_fen) AS fee_fen
                  FROM billing.bill_lines b JOIN billing.bill_days c USING (day_id)
                 WHERE b.outcome = 'matched' AND c.state = 'closed'
                 GROUP BY b.day_id, b.merchant_id) l
          FULL JOIN billing.reconciliations r USING (day_id, merchant_id)
          JOIN billing.bill_days d ON d.day_id = coalesce(r.day_id, l.day_id)
        """,
    )


async def closed_days_are_explained(scene: Scene) -> Finding:
    """No closed day has a difference that nobody explained, or a line that nobody judged."""
    return await compare(
        scene,
        "closed bill days are explained",
        """
        SELECT d.rail || ' ' || d.day AS id,
               CASE WHEN t.open > 0 THEN t.open || ' differences open'
                    WHEN NOT d.compared THEN 'our own records were not looked for'
                    WHEN coalesce(l.lines, 0) + coalesce(t.broken, 0) <> d.lines THEN
                         coalesce(l.lines, 0) || ' of ' || d.lines || ' lines judged' END AS what
          FROM billing.bill_days d
          LEFT JOIN (SELECT day_id, count(*) AS lines FROM billing.bill_lines
                      GROUP BY day_id) l USING (day_id)
          LEFT JOIN (SELECT day_id, count(*) FILTER (WHERE resolution IS NULL) AS open,
                            count(*) FILTER (WHERE kind = 'broken_row') AS broken
                       FROM billing.bill_tickets GROUP BY day_id) t USING (day_id)
         WHERE d.state = 'closed'
        """,
    )


async def lines_are_charges(scene: Scene) -> Finding:
    """A matched line is one succeeded charge or refund of that amount; none of a day is left."""
    return await compare(
        scene,
        "bill lines = charges and refunds",
        """
        SELECT l.trade_no AS id,
               CASE WHEN a.state <> 'succeeded' THEN 'listed, but the charge ' || a.state
                    WHEN l.kind = 'charge' AND a.amount_fen <> l.amount_fen THEN
                         l.amount_fen || ' fen in the bill, ' || a.amount_fen || ' here'
                    WHEN l.kind = 'refund' AND f.state <> 'succeeded' THEN
                         'listed, but the refund ' || f.state
                    WHEN l.kind = 'refund' AND f.amount_fen <> l.amount_fen THEN
                         l.amount_fen || ' fen back in the bill, ' || f.amount_fen || ' here'
               END AS what
          FROM billing.bill_lines l
          JOIN billing.attempts a USING (attempt_id)
          LEFT JOIN billing.refunds f USING (refund_id)
         WHERE l.outcome = 'matched'
        UNION ALL
        SELECT a.trade_no, 'paid on a closed day, and in no bill'
          FROM billing.attempts a
          JOIN billing.bill_days d
            ON d.rail = a.rail AND d.day = (a.paid_at AT TIME ZONE 'Asia/Shanghai')::date
         WHERE a.state = 'succeeded' AND d.state = 'closed' AND a.settled_at < d.closed_at
           AND NOT EXISTS (SELECT FROM billing.bill_lines l
                            WHERE l.attempt_id = a.attempt_id AND l.kind = 'charge'
                              AND l.outcome = 'matched')
           AND NOT EXISTS (SELECT FROM billing.bill_tickets t
                            WHERE t.attempt_id = a.attempt_id AND t.what = 'charge')
        """,
    )


CHECKS = (closed_days_add_up, closed_days_are_explained, lines_are_charges)
