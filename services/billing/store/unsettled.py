"""What has not come to an end: brought up again, and told by age."""

from datetime import date, datetime, timedelta

from shared.db import Connection


async def wake_attempts(conn: Connection, *, now: datetime, older_than: timedelta) -> int:
    """Let old open attempts be asked about at once, and those whose next question is far away."""
    done = await conn.execute(
        """
        UPDATE attempts SET query_at = $1
         WHERE query_at > $1 AND (created_at < $2 OR query_at > $1 + interval '26 hours')
        """,
        now,
        now - older_than,
    )
    return int(done.removeprefix("UPDATE "))


async def wake_refunds(conn: Connection, *, now: datetime, older_than: timedelta) -> int:
    """Let old open refunds be asked about at once, and those that no job would see again."""
    done = await conn.execute(
        """
        UPDATE refunds SET next_at = $1
         WHERE state IN ('waiting', 'sent')
           AND (next_at IS NULL OR (next_at > $1 AND created_at < $2))
        """,
        now,
        now - older_than,
    )
    return int(done.removeprefix("UPDATE "))


async def wake_instalments(conn: Connection, *, at: datetime, before: date) -> int:
    """Let the gate look at instalments whose day has passed and that no job would see again."""
    done = await conn.execute(
        """
        UPDATE instalments AS i SET next_try_at = $1
          FROM agreements AS a
         WHERE a.agreement_id = i.agreement_id AND a.state IN ('cooling_off', 'active')
           AND i.seq > 0 AND i.state IN ('scheduled', 'noticed', 'due')
           AND i.next_try_at IS NULL AND i.charge_on < $2
        """,
        at,
        before,
    )
    return int(done.removeprefix("UPDATE "))


async def ages(conn: Connection, *, now: datetime) -> list[tuple[str, str, datetime]]:
    """
    Return thing, state and since when its oldest one waits, for all that must end.

    An instalment waits from the moment of its charge; a mandate from the day after its
    agreement ended, by which time the rail should have confirmed its end.
    """
    rows = await conn.fetch(
        """
        SELECT 'attempt' AS thing, state, min(created_at) AS since
          FROM attempts WHERE query_at IS NOT NULL GROUP BY state
        UNION ALL
        SELECT 'refund', state, min(created_at)
          FROM refunds WHERE state IN ('waiting', 'sent') GROUP BY state
        UNION ALL
        SELECT 'instalment', state, min(charge_at)
          FROM instalments
         WHERE charge_at <= $1
           AND state IN ('scheduled', 'noticed', 'due', 'collecting', 'overdue')
         GROUP BY state
        UNION ALL
        SELECT 'mandate', 'active_after_end', min(h.moved_at)
          FROM mandates AS m
          JOIN agreements AS a USING (agreement_id)
          JOIN history AS h ON h.thing_id = a.agreement_id AND h.thing = 'agreement'
                           AND h.to_state = a.state
         WHERE m.state = 'active' AND a.state IN ('cancelled', 'terminated', 'completed')
           AND h.moved_at < $1 - interval '24 hours'
        HAVING min(h.moved_at) IS NOT NULL
        """,
        now,
    )
    return [(row["thing"], row["state"], row["since"]) for row in rows]
