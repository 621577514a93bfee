"""Merchants' own money: the supervised account's mirror, statements, payouts, advances."""

from deploy.audit.finding import Finding, Scene, compare


async def supervised_is_what_came_and_went(scene: Scene) -> Finding:
    """The mirror is what rails paid in and merchants deposited, less every payout not failed."""
    return await compare(
        scene,
        "supervised account = reconciled days + deposits - payouts",
        """
        SELECT coalesce(a.merchant_id, m.merchant_id)::text AS id,
               CASE WHEN coalesce(a.fen, 0) <> coalesce(m.fen, 0) THEN
                    coalesce(a.fen, 0) || ' fen in the ledger, ' || coalesce(m.fen, 0)
                    || ' came and went' END AS what
          FROM (SELECT merchant_id, balance_fen AS fen FROM wallet.accounts
                 WHERE code = 'supervised') a
          FULL JOIN (
               SELECT merchant_id, sum(fen) AS fen
                 FROM (SELECT merchant_id, captured_fen - refunded_fen - fee_fen AS fen
                         FROM wallet.reconciled_days
                       UNION ALL
                       SELECT merchant_id, -amount_fen FROM wallet.payouts
                        WHERE state <> 'failed'
                       UNION ALL
                       SELECT merchant_id, amount_fen FROM wallet.transfers
                        WHERE kind = 'guarantee_kept' AND debit_account = 'supervised') moves
                GROUP BY merchant_id) m
            ON m.merchant_id = a.merchant_id
        """,
    )


async def every_account_has_its_side(scene: Scene) -> Finding:
    """No account stands outside the escrow equation."""
    return await compare(
        scene,
        "accounts stand in the escrow equation",
        """
        SELECT merchant_id || ' ' || code AS id,
               CASE WHEN NOT (code LIKE 'rail:%' OR code LIKE 'wallet:%' OR code LIKE 'refund:%'
                              OR code LIKE 'supplier:%' OR code LIKE 'partner:%'
                              OR code LIKE 'rail\\_fee:%'
                              OR code IN ('supervised', 'merchant:payable', 'merchant:guarantee',
                                          'platform:fee', 'merchant:advance',
                                          'merchant:promotion'))
                    THEN 'stands on no side' END AS what
          FROM wallet.accounts WHERE unit = 'fen'
        """,
    )


async def payouts_are_booked(scene: Scene) -> Finding:
    """Each payout took its amount once, and gave it back if it failed."""
    return await compare(
        scene,
        "payouts = wallet transfers of payouts",
        """
        SELECT coalesce(p.payout_id, t.cause_id)::text AS id,
               CASE WHEN p.payout_id IS NULL THEN 'booked, but no payout'
                    WHEN coalesce(t.fen, 0)
                         <> CASE p.state WHEN 'failed' THEN 0 ELSE p.amount_fen END
                    THEN p.amount_fen || ' fen ' || p.state || ', ' || coalesce(t.fen, 0)
                         || ' booked' END AS what
          FROM wallet.payouts p
          FULL JOIN (
               SELECT merchant_id, cause_id,
                      sum(CASE kind WHEN 'payout_failed' THEN -amount_fen ELSE amount_fen END)
                          AS fen
                 FROM wallet.transfers WHERE cause_kind = 'payout'
                GROUP BY merchant_id, cause_id) t
            ON t.merchant_id = p.merchant_id AND t.cause_id = p.payout_id
        """,
    )


async def payouts_arrived(scene: Scene) -> Finding:
    """Each payout called succeeded is one transfer of the channel, and back."""
    return await compare(
        scene,
        "succeeded payouts = the channel's transfers",
        """
        SELECT coalesce(p.payout_id::text, c.number) AS id,
               CASE WHEN p.payout_id IS NULL THEN 'paid by the channel, not by us'
                    WHEN c.number IS NULL THEN 'unknown to the channel'
                    WHEN c.amount_fen <> p.amount_fen THEN
                         p.amount_fen || ' fen here, ' || c.amount_fen || ' at the channel'
               END AS what
          FROM (SELECT * FROM wallet.payouts WHERE state = 'succeeded') p
          FULL JOIN jsonb_to_recordset($1) AS c (number text, amount_fen bigint)
            ON c.number = replace(p.payout_id::text, '-', '')
        """,
        scene.books.payouts,
    )


async def statements_are_transfers(scene: Scene) -> Finding:
    """Each day's statement changes what is payable by exactly its transfers, and has them all."""
    return await compare(
        scene,
        "statements = their transfers",
        """
        SELECT s.statement_id::text AS id,
               CASE WHEN s.transfers <> coalesce(t.transfers, 0) THEN
                         s.transfers || ' transfers stated, ' || coalesce(t.transfers, 0)
                         || ' there'
                    WHEN s.payable_fen - s.opening_fen <> coalesce(t.fen, 0) THEN
                         s.payable_fen - s.opening_fen || ' fen stated, ' || coalesce(t.fen, 0)
                         || ' booked' END AS what
          FROM wallet.statements s
          LEFT JOIN (
               SELECT l.merchant_id, l.statement_id, count(*) AS transfers,
                      sum(CASE 'merchant:payable' WHEN t.credit_account THEN t.amount_fen
                               WHEN t.debit_account THEN -t.amount_fen ELSE 0 END) AS fen
                 FROM wallet.statement_lines l
                 JOIN wallet.transfers t USING (merchant_id, cause_id, kind)
                GROUP BY l.merchant_id, l.statement_id) t
            ON t.merchant_id = s.merchant_id AND t.statement_id = s.statement_id
         WHERE s.period = 'day'
        """,
    )


async def advances_are_covered(scene: Scene) -> Finding:
    """What merchants owe is what their advances say; none was above half of its receivable."""
    return await compare(
        scene,
        "advances = ledger's advances, within their receivables",
        """
        SELECT coalesce(a.merchant_id, d.merchant_id)::text AS id,
               CASE WHEN d.uncovered > 0 THEN d.uncovered || ' beyond half of what was delivered'
                    WHEN coalesce(a.fen, 0) <> coalesce(d.fen, 0) THEN
                         coalesce(a.fen, 0) || ' fen in the ledger, ' || coalesce(d.fen, 0)
                         || ' owed' END AS what
          FROM (SELECT merchant_id, balance_fen AS fen FROM wallet.accounts
                 WHERE code = 'merchant:advance') a
          FULL JOIN (
               SELECT merchant_id,
                      coalesce(sum(amount_fen + interest_fen - repaid_fen)
                          FILTER (WHERE drawn_at IS NOT NULL), 0) AS fen,
                      count(*) FILTER (WHERE amount_fen * 2 > covered_fen + 1) AS uncovered
                 FROM wallet.advances GROUP BY merchant_id) d
            ON d.merchant_id = a.merchant_id
        """,
    )


CHECKS = (
    supervised_is_what_came_and_went,
    every_account_has_its_side,
    payouts_are_booked,
    payouts_arrived,
    statements_are_transfers,
    advances_are_covered,
)
