"""What customers were told: once for each cause and channel, here and at the providers."""

from deploy.audit.finding import Finding, Scene, compare

_SMS = """
    SELECT coalesce(m.message_id::text, o.ids) AS id,
           CASE WHEN m.message_id IS NULL THEN 'sent by nobody here' END AS stranger,
           CASE WHEN o.times > 1 THEN 'sent ' || o.times || ' times: ' || o.ids
                WHEN o.times IS NULL AND m.accepted_at IS NOT NULL
                THEN 'not in the provider''s books'
                WHEN o.times IS NOT NULL AND m.accepted_at IS NULL
                     AND m.state NOT IN ('submitted', 'unknown')
                THEN 'sent, but here it is ' || m.state END AS wrong,
           greatest(o.times - 1, 0) + CASE WHEN m.message_id IS NULL THEN 1 ELSE 0 END AS surplus
      FROM (SELECT *, replace(merchant_id || '' || message_id, '-', '') AS out_id
              FROM notify.messages WHERE channel = 'sms') m
      FULL JOIN (SELECT out_id, count(*) AS times, string_agg(id, ', ' ORDER BY id) AS ids
                   FROM jsonb_to_recordset($1) AS o (provider text, id text, out_id text)
                  WHERE provider = 'sms' GROUP BY out_id) o ON o.out_id = m.out_id
    """

_WECHAT = """
    SELECT coalesce(m.message_id::text, o.id) AS id,
           CASE WHEN m.message_id IS NULL AND NOT EXISTS (
                     SELECT FROM notify.messages u
                      WHERE u.provider = 'wechat' AND u.unclear
                        AND u.submitted_at BETWEEN o.at - interval '5 minutes'
                                               AND o.at + interval '30 minutes')
                THEN 'sent by nobody here' END AS stranger,
           CASE WHEN m.times > 1 THEN 'one sending for ' || m.times || ' messages'
                WHEN o.id IS NULL THEN 'not in the provider''s books' END AS wrong,
           CASE WHEN m.message_id IS NULL THEN 1 ELSE 0 END AS surplus
      FROM (SELECT provider_message_id, count(*) AS times,
                   (array_agg(message_id ORDER BY message_id))[1] AS message_id
              FROM notify.messages
             WHERE provider = 'wechat' AND accepted_at IS NOT NULL
               AND provider_message_id IS NOT NULL
             GROUP BY provider_message_id) m
      FULL JOIN (SELECT id, at FROM jsonb_to_recordset($1)
                        AS o (provider text, id text, at timestamptz)
                  WHERE provider = 'wechat') o ON o.id = m.provider_message_id
    """

# Alipay returns no number and keeps none of ours: what can be compared is how many, day by day.
_ALIPAY = """
    SELECT 'alipay ' || day AS id, NULL AS stranger,
           CASE WHEN coalesce(o.times, 0) < coalesce(m.surely, 0)
                  OR coalesce(o.times, 0) > coalesce(m.surely, 0) + coalesce(m.perhaps, 0)
                THEN coalesce(o.times, 0) || ' in the provider''s books, '
                     || coalesce(m.surely, 0) || ' here'
                     || coalesce('; the same twice: ' || o.twice, '') END AS wrong,
           greatest(coalesce(o.times, 0) - coalesce(m.surely, 0) - coalesce(m.perhaps, 0), 0)
               AS surplus
      FROM (SELECT (coalesce(accepted_at, submitted_at) AT TIME ZONE 'Asia/Shanghai')::date AS day,
                   count(*) FILTER (WHERE accepted_at IS NOT NULL) AS surely,
                   count(*) FILTER (WHERE unclear) AS perhaps
              FROM notify.messages
             WHERE provider = 'alipay' AND (accepted_at IS NOT NULL OR unclear)
             GROUP BY 1) m
      FULL JOIN (
           SELECT (at AT TIME ZONE 'Asia/Shanghai')::date AS day, count(*) AS times,
                  string_agg(id, ', ' ORDER BY id) FILTER (WHERE copies > 1) AS twice
             FROM (SELECT *, count(*) OVER (PARTITION BY same) AS copies
                     FROM jsonb_to_recordset($1)
                          AS o (provider text, id text, same text, at timestamptz)
                    WHERE provider = 'alipay') o
            GROUP BY 1) o USING (day)
    """

_ALL = f"""
    SELECT * FROM ({_SMS}) AS sms
    UNION ALL SELECT * FROM ({_WECHAT}) AS wechat
    UNION ALL SELECT * FROM ({_ALIPAY}) AS alipay
    """  # noqa: S608 - constants of this module


async def said_once_here(scene: Scene) -> Finding:
    """One message for each cause, channel and recipient."""
    return await compare(
        scene,
        "one message per cause, channel and recipient",
        """
        SELECT min(message_id::text) AS id,
               CASE WHEN count(*) > 1 THEN
                    count(*) || ' of ' || cause || ' ' || cause_id || ' by ' || channel END AS what
          FROM notify.messages GROUP BY cause, cause_id, channel, customer_id
        """,
    )


async def said_once_there(scene: Scene) -> Finding:
    """What the providers have sent is what notify had sent, one for one."""
    return await compare(
        scene,
        "messages = providers' books",
        f"SELECT id, coalesce(stranger, wrong) AS what FROM ({_ALL}) AS sent",  # noqa: S608
        scene.books.messages,
    )


async def duplicates(scene: Scene) -> int:
    """Return how many messages providers sent beyond one for each of ours."""
    found = await scene.conn.fetchval(
        f"SELECT coalesce(sum(surplus), 0) FROM ({_ALL}) AS sent",  # noqa: S608 - a constant
        scene.books.messages,
    )
    return int(found)


async def nothing_owed_is_late(scene: Scene) -> Finding:
    """Nothing that law or contract owe a customer still waits when its time is over."""
    return await compare(
        scene,
        "no mandatory message past its time",
        """
        SELECT message_id::text AS id,
               CASE WHEN accepted_at IS NULL AND send_by < $1 AND state IN ('queued', 'submitted')
                    THEN cause || ' by ' || channel || ' is still ' || state END AS what
          FROM notify.messages WHERE kind IN ('notice', 'contract', 'payment_failed')
        """,
        scene.books.now,
    )


CHECKS = (said_once_here, said_once_there, nothing_owed_is_late)
