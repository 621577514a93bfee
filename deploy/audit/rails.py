"""What the rails have on record against what billing has."""

from deploy.audit.finding import Finding, Scene, compare

CAPTURES = "jsonb_to_recordset($1) AS c (rail text, number text, amount_fen bigint)"
REFUNDS = "jsonb_to_recordset($2) AS r (rail text, number text, trade_no text, amount_fen bigint)"


async def captures_are_collected(scene: Scene) -> Finding:
    """Every capture of a rail is one succeeded attempt of the same amount, and back."""
    return await compare(
        scene,
        "rail captures = billing's succeeded attempts",
        f"""
        SELECT coalesce(c.number, a.trade_no) AS id,
               CASE WHEN a.trade_no IS NULL THEN 'at the rail, not in billing'
                    WHEN c.number IS NULL THEN 'in billing, not at the rail'
                    WHEN c.times > 1 THEN 'captured ' || c.times || ' times'
                    WHEN c.amount_fen <> a.amount_fen THEN
                         c.amount_fen || ' fen at the rail, ' || a.amount_fen || ' in billing'
               END AS what
          FROM (SELECT rail, number, max(amount_fen) AS amount_fen, count(*) AS times
                  FROM {CAPTURES} GROUP BY rail, number) c
          FULL JOIN (SELECT rail, trade_no, amount_fen FROM billing.attempts
                      WHERE state = 'succeeded') a
            ON a.rail = c.rail AND a.trade_no = c.number
        """,  # noqa: S608 - constants of this module
        scene.books.captures,
    )


async def no_double_captures(scene: Scene) -> Finding:
    """Money that an instalment got twice has gone back, as the rail's own books say."""
    return await compare(
        scene,
        "no instalment captured twice",
        _KEPT_TWICE,
        scene.books.captures,
        scene.books.refunds,
    )


async def double_captures(scene: Scene) -> int:
    """Return how many captures customers paid twice and have not got back."""
    found = await scene.conn.fetchval(
        f"SELECT coalesce(sum(surplus), 0) FROM ({_KEPT_TWICE}) AS kept",  # noqa: S608 - constant
        scene.books.captures,
        scene.books.refunds,
    )
    return int(found)


_KEPT_TWICE = f"""
    SELECT a.instalment_id::text AS id, count(*) FILTER (WHERE kept) AS times,
           greatest(count(*) FILTER (WHERE kept AND a.surplus),
                    count(*) FILTER (WHERE kept) - 1) AS surplus,
           CASE WHEN count(*) FILTER (WHERE kept) > 1 OR bool_or(kept AND a.surplus) THEN
                'holds ' || count(*) FILTER (WHERE kept) || ' captures: '
                || string_agg(a.trade_no, ', ' ORDER BY a.trade_no) END AS what
      FROM (SELECT c.rail, c.number, c.amount_fen > coalesce(b.amount_fen, 0) AS kept
              FROM {CAPTURES}
              LEFT JOIN (SELECT rail, trade_no, sum(amount_fen) AS amount_fen
                           FROM {REFUNDS} GROUP BY rail, trade_no) b
                ON b.rail = c.rail AND b.trade_no = c.number) k
      JOIN billing.attempts a ON a.rail = k.rail AND a.trade_no = k.number
     GROUP BY a.instalment_id
    """  # noqa: S608 - constants of this module


async def refunds_are_refunded(scene: Scene) -> Finding:
    """Every refund of a rail is one succeeded refund of the same charge and amount, and back."""
    return await compare(
        scene,
        "rail refunds = billing's succeeded refunds",
        f"""
        SELECT coalesce(r.number, b.refund_no) AS id,
               CASE WHEN b.refund_no IS NULL THEN 'at the rail, not in billing'
                    WHEN r.number IS NULL THEN 'in billing, not at the rail'
                    WHEN r.times > 1 THEN 'refunded ' || r.times || ' times'
                    WHEN r.amount_fen <> b.amount_fen THEN
                         r.amount_fen || ' fen at the rail, ' || b.amount_fen || ' in billing'
                    WHEN r.trade_no <> b.trade_no THEN 'of another charge: ' || r.trade_no
               END AS what
          FROM (SELECT rail, number, max(trade_no) AS trade_no, max(amount_fen) AS amount_fen,
                       count(*) AS times
                  FROM {REFUNDS.replace("$2", "$1")} GROUP BY rail, number) r
          FULL JOIN (SELECT f.rail, f.refund_no, f.amount_fen, a.trade_no
                       FROM billing.refunds f JOIN billing.attempts a USING (attempt_id)
                      WHERE f.state = 'succeeded') b
            ON b.rail = r.rail AND b.refund_no = r.number
        """,  # noqa: S608 - constants of this module
        scene.books.refunds,
    )


async def refunds_within_charges(scene: Scene) -> Finding:
    """No charge gives back, or is about to give back, more than it collected."""
    return await compare(
        scene,
        "refunds never above the charge",
        """
        SELECT a.trade_no AS id,
               CASE WHEN a.state <> 'succeeded' THEN 'refunded without a charge'
                    WHEN sum(f.amount_fen) > a.amount_fen THEN
                         sum(f.amount_fen) || ' fen back of ' || a.amount_fen END AS what
          FROM billing.refunds f JOIN billing.attempts a USING (attempt_id)
         WHERE f.state <> 'failed'
         GROUP BY a.attempt_id
        """,
    )


async def instalments_match_attempts(scene: Scene) -> Finding:
    """
    An instalment is paid if and only if one attempt of its amount succeeded.

    A free month is given without any; what being late cost is in the attempt beside it.
    """
    return await compare(
        scene,
        "paid instalments = succeeded attempts",
        """
        SELECT i.instalment_id::text AS id,
               CASE WHEN i.amount_fen = 0 THEN
                    CASE WHEN a.times IS NOT NULL THEN 'a free month was charged' END
                    WHEN i.state IN ('paid', 'partly_refunded', 'refunded') THEN
                    CASE WHEN a.times IS NULL THEN i.state || ' without an attempt'
                         WHEN a.times > 1 THEN a.times || ' attempts'
                         WHEN a.amount_fen <> i.amount_fen THEN
                              a.amount_fen || ' fen collected of ' || i.amount_fen
                         WHEN a.charge_id <> i.charge_id THEN 'paid by another attempt' END
                    WHEN a.times IS NOT NULL THEN i.state || ' though collected' END AS what
          FROM billing.instalments i
          LEFT JOIN (SELECT instalment_id, count(*) AS times,
                            max(amount_fen - penalty_fen) AS amount_fen,
                            (array_agg(attempt_id))[1] AS charge_id
                       FROM billing.attempts WHERE state = 'succeeded' AND NOT surplus
                      GROUP BY instalment_id) a USING (instalment_id)
        """,
    )


CHECKS = (
    captures_are_collected,
    no_double_captures,
    refunds_are_refunded,
    refunds_within_charges,
    instalments_match_attempts,
)
