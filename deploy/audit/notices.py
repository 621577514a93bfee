"""Every automatic charge was announced in time, and the announcements really went out."""

from deploy.audit.finding import Finding, Scene, compare
from shared.rails.permissions import PERMISSIONS

ANNOUNCING = [
    {
        "rail": row.rail,
        "product": row.product,
        "first_day": row.notice_window.first_day,
        "last_day": row.notice_window.last_day,
    }
    for row in PERMISSIONS.values()
    if row.notice_window is not None
]
"""Products whose rail must announce a charge itself, and how many days before."""

CHARGES_WITH_PROOFS = """
    WITH reached AS (
         SELECT attempt_id, instalment_id, trade_no, rail, product, amount_fen, on_day, created_at
           FROM billing.attempts
          WHERE kind = 'automatic' AND state <> 'prepared'
            AND coalesce(failure_code, '') <> 'not_arrived'),
    -- A notice for one day covers retries on the next: it states the retry rule.
    charges AS (
         SELECT *, min(created_at) OVER (
                       PARTITION BY instalment_id ORDER BY on_day
                       RANGE BETWEEN interval '1 day' PRECEDING AND CURRENT ROW) AS charge_at
           FROM reached),
    proofs AS (
         SELECT n.instalment_id, n.charge_on, n.amount_fen,
                min(p.accepted_at) FILTER (WHERE n.kind = 'advance') AS advance_at,
                CASE WHEN count(DISTINCT p.channel) FILTER (WHERE n.kind = 'reminder') >= 2
                     THEN max(p.accepted_at) FILTER (WHERE n.kind = 'reminder') END AS reminder_at,
                max((p.accepted_at AT TIME ZONE 'Asia/Shanghai')::date)
                    FILTER (WHERE n.kind = 'rail') AS rail_on
           FROM billing.notices n JOIN billing.notice_proofs p USING (notice_id)
          WHERE p.accepted_at IS NOT NULL
          GROUP BY n.instalment_id, n.charge_on, n.amount_fen)
    SELECT c.attempt_id, c.trade_no,
           coalesce(bool_or(p.advance_at <= c.charge_at - interval '120 hours'), false) AS advance,
           coalesce(bool_or(p.reminder_at <= c.charge_at - interval '48 hours'), false)
               AS reminder,
           w.rail IS NOT NULL AS rail_owed,
           w.rail IS NOT NULL AND coalesce(
               bool_or(c.on_day - p.rail_on BETWEEN w.first_day AND w.last_day), false) AS rail
      FROM charges c
      LEFT JOIN proofs p ON p.instalment_id = c.instalment_id AND p.amount_fen = c.amount_fen
                        AND p.charge_on BETWEEN c.on_day - 1 AND c.on_day
      LEFT JOIN jsonb_to_recordset($1)
                AS w (rail text, product text, first_day integer, last_day integer)
        ON w.rail = c.rail AND w.product = c.product
     GROUP BY c.attempt_id, c.trade_no, w.rail
    """
"""Each automatic charge that a rail was asked for, and which of its proofs stand."""


async def charges_were_announced(scene: Scene) -> Finding:
    """Each has its notice 120 h before, its reminder 48 h before on two channels, its rail's."""
    return await compare(
        scene,
        "automatic charges = proven notices",
        f"""
        SELECT attempt_id::text AS id,
               nullif(concat_ws(', ',
                   CASE WHEN NOT advance THEN 'no notice 120 h before' END,
                   CASE WHEN NOT reminder THEN 'no reminder 48 h before on two channels' END,
                   CASE WHEN rail_owed AND NOT rail THEN 'no notice by the rail' END), '') AS what
          FROM ({CHARGES_WITH_PROOFS}) AS charges
        """,  # noqa: S608 - a constant of this module
        ANNOUNCING,
    )


async def proofs_are_messages(scene: Scene) -> Finding:
    """Each proof is a message that notify sent for that notice, and that its provider has."""
    return await compare(
        scene,
        "notice proofs = messages sent",
        """
        WITH sent AS MATERIALIZED (
             SELECT * FROM jsonb_to_recordset($1) AS o (provider text, id text, out_id text))
        SELECT p.notice_id || ' ' || p.channel AS id,
               CASE WHEN m.message_id IS NULL THEN 'no such message'
                    WHEN m.cause_id <> p.notice_id OR m.channel <> p.channel
                      OR m.cause <> 'notice.' || n.kind THEN 'proven by another message'
                    WHEN m.accepted_at IS NULL THEN 'message is ' || m.state
                    WHEN m.accepted_at <> p.accepted_at THEN 'accepted at another moment'
                    WHEN m.channel = 'sms' AND s.out_id IS NULL
                      OR m.provider = 'wechat' AND w.id IS NULL
                    THEN 'message ' || m.message_id || ' is not in the provider''s books'
               END AS what
          FROM billing.notice_proofs p
          JOIN billing.notices n USING (notice_id)
          LEFT JOIN notify.messages m ON m.message_id = p.message_id
          LEFT JOIN (SELECT DISTINCT out_id FROM sent WHERE provider = 'sms') s
            ON s.out_id = replace(m.merchant_id || '' || m.message_id, '-', '')
          LEFT JOIN (SELECT DISTINCT id FROM sent WHERE provider = 'wechat') w
            ON w.id = m.provider_message_id
         WHERE p.channel <> 'rail' AND p.accepted_at IS NOT NULL
        """,
        scene.books.messages,
    )


async def rails_announced(scene: Scene) -> Finding:
    """Each announcement by a rail stands in that rail's books, for that day and amount."""
    return await compare(
        scene,
        "rail notices = the rail's own",
        """
        SELECT n.notice_id::text AS id,
               CASE WHEN t.notice_id IS NULL THEN 'the rail knows of no such notice' END AS what
          FROM billing.notice_proofs p
          JOIN billing.notices n USING (notice_id)
          LEFT JOIN (
               SELECT DISTINCT n.notice_id
                 FROM jsonb_to_recordset($1) AS o (contract text, day date, amount_fen bigint)
                 JOIN billing.mandates m ON m.rail_agreement_no = o.contract
                 JOIN billing.instalments i ON i.agreement_id = m.agreement_id
                 JOIN billing.notices n ON n.instalment_id = i.instalment_id
                                       AND n.kind = 'rail' AND n.amount_fen <= o.amount_fen
                 JOIN billing.notice_proofs p
                   ON p.notice_id = n.notice_id
                  AND (p.accepted_at AT TIME ZONE 'Asia/Shanghai')::date = o.day) t
            ON t.notice_id = n.notice_id
         WHERE n.kind = 'rail' AND p.accepted_at IS NOT NULL
        """,
        scene.books.prenotices,
    )


CHECKS = (charges_were_announced, proofs_are_messages, rails_announced)
