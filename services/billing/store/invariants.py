"""What must always hold, as statements that find where it does not."""

from datetime import datetime
from uuid import UUID

from shared.db import Connection


async def broken(conn: Connection, *, stuck_before: datetime) -> list[tuple[str, UUID]]:
    """Return (promise, id of what breaks it) for everything that is wrong."""
    rows = await conn.fetch(
        """
        SELECT 'paid_without_charge' AS name, i.instalment_id AS id
          FROM instalments AS i
          LEFT JOIN attempts AS a ON a.attempt_id = i.charge_id AND a.state = 'succeeded'
         WHERE i.state IN ('paid', 'partly_refunded', 'refunded') AND a.attempt_id IS NULL
           AND i.amount_fen > 0
        UNION ALL
        SELECT 'charge_differs', a.attempt_id
          FROM instalments AS i
          JOIN attempts AS a ON a.attempt_id = i.charge_id
         WHERE a.amount_fen - a.penalty_fen <> i.amount_fen
        UNION ALL
        SELECT 'lines_differ', i.instalment_id
          FROM instalments AS i
          LEFT JOIN instalment_lines AS l USING (instalment_id)
         GROUP BY i.instalment_id
        HAVING coalesce(sum(l.amount_fen), -1) <> i.amount_fen
            OR -coalesce(sum(l.amount_fen) FILTER (WHERE l.kind IN
                ('discount', 'free_month', 'first_month_half')), 0) <> i.bonus_fen
        UNION ALL
        SELECT 'down_payment_charged', a.attempt_id
          FROM attempts AS a
          JOIN instalments AS i USING (instalment_id)
         WHERE a.kind = 'automatic' AND (i.seq = 0 OR i.amount_fen = 0)
        UNION ALL
        SELECT 'charge_without_payment', a.attempt_id
          FROM attempts AS a
          JOIN instalments AS i USING (instalment_id)
         WHERE a.state = 'succeeded' AND NOT a.surplus AND i.charge_id IS DISTINCT FROM a.attempt_id
        UNION ALL
        SELECT 'collecting_without_attempt', i.instalment_id
          FROM instalments AS i
         WHERE i.state = 'collecting'
           AND NOT EXISTS (SELECT FROM attempts AS a
                            WHERE a.instalment_id = i.instalment_id AND a.query_at IS NOT NULL)
        UNION ALL
        SELECT 'refunded_too_much', a.attempt_id
          FROM attempts AS a
          JOIN refunds AS r USING (attempt_id)
         WHERE r.state <> 'failed'
         GROUP BY a.attempt_id
        HAVING sum(r.amount_fen) > a.amount_fen
        UNION ALL
        SELECT 'surplus_not_returned', a.attempt_id
          FROM attempts AS a
         WHERE a.surplus
           AND NOT EXISTS (SELECT FROM refunds AS r WHERE r.attempt_id = a.attempt_id)
        UNION ALL
        SELECT 'schedule_differs', g.agreement_id
          FROM agreements AS g
          JOIN instalments AS i USING (agreement_id)
         GROUP BY g.agreement_id
        HAVING sum(i.amount_fen) <> g.total_fen
            OR count(*) FILTER (WHERE i.seq > 0) <> g.periods
        UNION ALL
        SELECT 'attempt_stuck', attempt_id
          FROM attempts
         WHERE query_at IS NOT NULL AND created_at < $1
        """,
        stuck_before,
    )
    return [(row["name"], row["id"]) for row in rows]
