"""What wallet has booked, against billing, against the rails, and against itself."""

from deploy.audit.finding import Finding, Scene, compare
from deploy.audit.rails import CAPTURES, REFUNDS


async def collected_is_credited(scene: Scene) -> Finding:
    """
    Each collected instalment is one transfer of the same amount and trade, and back.

    What being late cost is a transfer of its own, beside it, to the merchant.
    """
    return await compare(
        scene,
        "collected instalments = wallet transfers 'collected'",
        """
        SELECT coalesce(a.instalment_id, t.cause_id)::text AS id,
               CASE WHEN t.cause_id IS NULL THEN 'collected, not credited'
                    WHEN a.instalment_id IS NULL THEN 'credited, not collected'
                    WHEN t.amount_fen <> a.amount_fen THEN
                         a.amount_fen || ' fen collected, ' || t.amount_fen || ' credited'
                    WHEN t.trade_no IS DISTINCT FROM a.trade_no THEN
                         'credited from another trade: ' || coalesce(t.trade_no, 'none')
               END AS what
          FROM (SELECT merchant_id, instalment_id, amount_fen, trade_no FROM billing.attempts
                 WHERE state = 'succeeded' AND NOT surplus) a
          FULL JOIN (SELECT merchant_id, cause_id, sum(amount_fen) AS amount_fen,
                            min(trade_no) AS trade_no FROM wallet.transfers
                      WHERE kind IN ('collected', 'penalty_kept')
                      GROUP BY merchant_id, cause_id) t
            ON t.merchant_id = a.merchant_id AND t.cause_id = a.instalment_id
        """,
    )


async def refunds_are_booked(scene: Scene) -> Finding:
    """Each refund that wallet asked for and billing carried out is one transfer, and back."""
    return await compare(
        scene,
        "refunds of settlements = wallet transfers 'refunded'",
        """
        SELECT coalesce(f.refund_id, t.cause_id)::text AS id,
               CASE WHEN t.cause_id IS NULL THEN 'refunded, not booked'
                    WHEN f.refund_id IS NULL THEN 'booked, not refunded'
                    WHEN t.amount_fen <> f.amount_fen THEN
                         f.amount_fen || ' fen refunded, ' || t.amount_fen || ' booked'
               END AS what
          FROM (SELECT merchant_id, refund_id, amount_fen FROM billing.refunds
                 WHERE state = 'succeeded' AND settlement_id IS NOT NULL) f
          FULL JOIN (SELECT merchant_id, cause_id, amount_fen FROM wallet.transfers
                      WHERE kind = 'refunded') t
            ON t.merchant_id = f.merchant_id AND t.cause_id = f.refund_id
        """,
    )


async def settlements_are_known(scene: Scene) -> Finding:
    """What wallet asked billing to send back is what billing was asked for."""
    return await compare(
        scene,
        "wallet's settlements = billing's settlements",
        """
        SELECT coalesce(w.settlement_id, b.settlement_id)::text AS id,
               CASE WHEN b.settlement_id IS NULL THEN 'asked by wallet, unknown to billing'
                    WHEN w.settlement_id IS NULL THEN 'known to billing, never asked'
                    WHEN w.amount_fen <> b.amount_fen THEN
                         w.amount_fen || ' fen asked, ' || b.amount_fen || ' understood'
               END AS what
          FROM wallet.settlements w FULL JOIN billing.settlements b USING (settlement_id)
        """,
    )


async def granted_is_given(scene: Scene) -> Finding:
    """Bonus reaches a wallet only for an instalment that is paid or was given, once."""
    return await compare(
        scene,
        "bonus granted = instalments paid or given",
        """
        SELECT t.cause_id::text AS id,
               CASE WHEN i.instalment_id IS NULL THEN 'bonus for an unknown instalment'
                    WHEN i.state NOT IN ('paid', 'partly_refunded', 'refunded')
                    THEN 'bonus for an instalment that is ' || i.state END AS what
          FROM (SELECT cause_id FROM wallet.transfers WHERE kind = 'bonus_granted') t
          LEFT JOIN billing.instalments i ON i.instalment_id = t.cause_id
        """,
    )


async def rails_hold_what_ledger_says(scene: Scene) -> Finding:
    """
    Captured less refunded at each rail is, to the fen, what its accounts hold or passed on.

    Passed on is what a reconciled day has settled, and the fee that the rail kept of it.
    """
    return await compare(
        scene,
        "rail money = ledger's rail accounts",
        f"""
        SELECT coalesce(m.rail, a.rail) AS id,
               CASE WHEN coalesce(m.fen, 0) <> coalesce(a.fen, 0) THEN
                    coalesce(m.fen, 0) || ' fen at the rail, ' || coalesce(a.fen, 0)
                    || ' in the ledger' END AS what
          FROM (SELECT rail, sum(fen) AS fen
                  FROM (SELECT rail, amount_fen AS fen FROM {CAPTURES}
                        UNION ALL SELECT rail, -amount_fen FROM {REFUNDS}) both_ways
                 GROUP BY rail) m
          FULL JOIN (SELECT substr(code, 6) AS rail, sum(fen) AS fen
                       FROM (SELECT code, balance_fen AS fen FROM wallet.accounts
                             UNION ALL
                             SELECT credit_account, amount_fen FROM wallet.transfers
                              WHERE cause_kind = 'day'
                             UNION ALL
                             SELECT debit_account, -amount_fen FROM wallet.transfers
                              WHERE cause_kind = 'day') moves
                      WHERE code LIKE 'rail:%' GROUP BY code) a
            ON a.rail = m.rail
        """,  # noqa: S608 - constants
        scene.books.captures,
        scene.books.refunds,
    )


async def balances_are_transfers(scene: Scene) -> Finding:
    """Each account's balance is the sum of its transfers, on its normal side."""
    return await compare(
        scene,
        "balances = sums of transfers",
        """
        SELECT coalesce(a.merchant_id, m.merchant_id) || ' ' || coalesce(a.code, m.code) AS id,
               CASE WHEN a.code IS NULL THEN 'moved, but no such account'
                    WHEN a.balance_fen <> coalesce(m.fen, 0)
                         * CASE a.normal_side WHEN 'debit' THEN 1 ELSE -1 END
                    THEN a.balance_fen || ' fen stand, transfers make '
                         || coalesce(m.fen, 0)
                         * CASE a.normal_side WHEN 'debit' THEN 1 ELSE -1 END END AS what
          FROM wallet.accounts a
          FULL JOIN (SELECT merchant_id, code, sum(fen) AS fen
                       FROM (SELECT merchant_id, debit_account AS code, amount_fen AS fen
                               FROM wallet.transfers
                             UNION ALL
                             SELECT merchant_id, credit_account, -amount_fen
                               FROM wallet.transfers) moves
                      GROUP BY merchant_id, code) m
            ON m.merchant_id = a.merchant_id AND m.code = a.code
        """,
    )


async def sides_are_equal(scene: Scene) -> Finding:
    """All debit balances of a merchant are all its credit balances, in each unit."""
    return await compare(
        scene,
        "debit = credit",
        """
        SELECT merchant_id || ' ' || unit AS id,
               CASE WHEN sum(side * balance_fen) <> 0 THEN
                    'differ by ' || sum(side * balance_fen) END AS what
          FROM (SELECT *, CASE normal_side WHEN 'debit' THEN 1 ELSE -1 END AS side
                  FROM wallet.accounts) a
         GROUP BY merchant_id, unit
        """,
    )


async def nothing_is_negative(scene: Scene) -> Finding:
    """No wallet and no refund account is below zero."""
    return await compare(
        scene,
        "no balance below zero",
        """
        SELECT merchant_id || ' ' || code AS id,
               CASE WHEN balance_fen < 0 THEN balance_fen || ' fen' END AS what
          FROM wallet.accounts WHERE code LIKE 'wallet:%' OR code LIKE 'refund:%'
        """,
    )


async def escrow_holds(scene: Scene) -> Finding:
    """
    What rails and the supervised account hold is what all others are owed.

    The escrow equation; what the merchant gave away and rails' fees are not held by anybody.
    """
    return await compare(
        scene,
        "escrow equation",
        """
        SELECT merchant_id::text AS id,
               CASE WHEN have <> owe THEN have || ' fen held, ' || owe || ' owed' END AS what
          FROM (SELECT merchant_id,
                       coalesce(sum(balance_fen) FILTER (
                           WHERE code LIKE 'rail:%' OR code = 'supervised'), 0) AS have,
                       coalesce(sum(balance_fen) FILTER (
                           WHERE code LIKE 'wallet:%' OR code LIKE 'refund:%'
                              OR code LIKE 'supplier:%' OR code LIKE 'partner:%'
                              OR code IN ('merchant:payable', 'merchant:guarantee',
                                          'platform:fee')), 0)
                       - coalesce(sum(balance_fen) FILTER (
                           WHERE code LIKE 'rail_fee:%'
                              OR code IN ('merchant:advance', 'merchant:promotion')), 0) AS owe
                  FROM wallet.accounts WHERE unit = 'fen' GROUP BY merchant_id) equation
        """,
    )


async def ledgers_are_transfers(scene: Scene) -> Finding:
    """Each agreement's ledger is the sum of its transfers and holds, figure by figure."""
    return await compare(
        scene,
        "ledgers = transfers and holds",
        """
        SELECT coalesce(l.agreement_id, t.agreement_id)::text AS id,
               nullif(concat_ws(', ',
                   CASE WHEN coalesce(l.credited_fen, 0) <> coalesce(t.credited, 0)
                        THEN 'credited ' || coalesce(l.credited_fen, 0) || '/'
                             || coalesce(t.credited, 0) END,
                   CASE WHEN coalesce(l.captured_fen, 0) <> coalesce(t.captured, 0)
                        THEN 'captured ' || coalesce(l.captured_fen, 0) || '/'
                             || coalesce(t.captured, 0) END,
                   CASE WHEN coalesce(l.penalty_fen, 0) <> coalesce(t.penalty, 0)
                        THEN 'penalty ' || coalesce(l.penalty_fen, 0) || '/'
                             || coalesce(t.penalty, 0) END,
                   CASE WHEN coalesce(l.refunded_fen, 0) <> coalesce(t.refunded, 0)
                        THEN 'refunded ' || coalesce(l.refunded_fen, 0) || '/'
                             || coalesce(t.refunded, 0) END,
                   CASE WHEN coalesce(l.spent_fen, 0) <> coalesce(t.spent, 0)
                        THEN 'spent ' || coalesce(l.spent_fen, 0) || '/'
                             || coalesce(t.spent, 0) END,
                   CASE WHEN coalesce(l.bonus_credited_fen, 0) <> coalesce(t.bonus, 0)
                        THEN 'bonus ' || coalesce(l.bonus_credited_fen, 0) || '/'
                             || coalesce(t.bonus, 0) END,
                   CASE WHEN coalesce(l.bonus_captured_fen, 0) <> coalesce(t.bonus_captured, 0)
                        THEN 'bonus captured ' || coalesce(l.bonus_captured_fen, 0) || '/'
                             || coalesce(t.bonus_captured, 0) END,
                   CASE WHEN coalesce(l.bonus_spent_fen, 0) <> coalesce(t.bonus_spent, 0)
                        THEN 'bonus spent ' || coalesce(l.bonus_spent_fen, 0) || '/'
                             || coalesce(t.bonus_spent, 0) END,
                   CASE WHEN coalesce(l.bonus_lapsed_fen, 0) <> coalesce(t.bonus_lapsed, 0)
                        THEN 'bonus lapsed ' || coalesce(l.bonus_lapsed_fen, 0) || '/'
                             || coalesce(t.bonus_lapsed, 0) END,
                   CASE WHEN coalesce(l.held_fen, 0) <> coalesce(h.held, 0)
                        THEN 'held ' || coalesce(l.held_fen, 0) || '/'
                             || coalesce(h.held, 0) END,
                   CASE WHEN coalesce(l.bonus_held_fen, 0) <> coalesce(h.bonus_held, 0)
                        THEN 'bonus held ' || coalesce(l.bonus_held_fen, 0) || '/'
                             || coalesce(h.bonus_held, 0) END), '') AS what
          FROM wallet.ledgers l
          FULL JOIN (
               SELECT merchant_id, agreement_id,
                      sum(amount_fen) FILTER (WHERE kind = 'collected') AS credited,
                      sum(amount_fen) FILTER (WHERE kind LIKE 'captured%') AS captured,
                      sum(amount_fen) FILTER (WHERE kind = 'penalty') AS penalty,
                      sum(amount_fen) FILTER (WHERE kind = 'refund_requested') AS refunded,
                      sum(CASE kind WHEN 'spent' THEN amount_fen
                          WHEN 'returned' THEN -amount_fen END) AS spent,
                      sum(amount_fen) FILTER (WHERE kind = 'bonus_granted') AS bonus,
                      sum(amount_fen) FILTER (WHERE kind LIKE 'bonus_captured%')
                          AS bonus_captured,
                      sum(CASE kind WHEN 'spent_bonus' THEN amount_fen
                          WHEN 'returned_bonus' THEN -amount_fen END) AS bonus_spent,
                      sum(amount_fen) FILTER (WHERE kind = 'bonus_lapsed') AS bonus_lapsed
                 FROM wallet.transfers GROUP BY merchant_id, agreement_id) t
            ON t.merchant_id = l.merchant_id AND t.agreement_id = l.agreement_id
          LEFT JOIN (SELECT merchant_id, agreement_id, sum(amount_fen - bonus_fen) AS held,
                            sum(bonus_fen) AS bonus_held
                       FROM wallet.holds WHERE state = 'placed'
                      GROUP BY merchant_id, agreement_id) h
            ON h.merchant_id = l.merchant_id AND h.agreement_id = l.agreement_id
        """,
    )


async def sealed_transfers_stand(scene: Scene) -> Finding:
    """What a night has sealed is there, and is what was sealed, to the letter."""
    return await compare(
        scene,
        "sealed transfers stand as they were sealed",
        """
        SELECT s.cause_id || ' ' || s.kind AS id,
               CASE WHEN t.cause_id IS NULL THEN 'sealed by ' || s.seq || ', but gone'
                    WHEN wallet.transfer_digest(t) <> s.digest
                    THEN 'changed after seal ' || s.seq END AS what
          FROM wallet.sealed_transfers s
          LEFT JOIN wallet.transfers t
            ON t.merchant_id = s.merchant_id AND t.cause_id = s.cause_id AND t.kind = s.kind
        """,
    )


async def seals_are_a_chain(scene: Scene) -> Finding:
    """Each merchant's seals follow one another, and each covers what it says."""
    return await compare(
        scene,
        "seals are an unbroken chain",
        """
        SELECT coalesce(g.merchant_id, m.merchant_id) || ' ' || coalesce(g.seq, m.seq) AS id,
               CASE WHEN g.seq IS NULL THEN 'its seal is gone'
                    WHEN m.seq IS NULL THEN 'covers nothing'
                    WHEN g.seq <> coalesce(g.seq_before, 0) + 1 THEN 'the seal before it is gone'
                    WHEN g.previous <> coalesce(g.before, ''::bytea)
                    THEN 'does not follow the seal before it'
                    WHEN m.transfers <> g.transfers THEN
                         m.transfers || ' transfers covered, ' || g.transfers || ' sealed'
                    WHEN g.digest <> sha256(g.previous || m.digests) THEN 'its digest is another'
               END AS what
          FROM (SELECT merchant_id, seq, transfers, digest, previous,
                       lag(digest) OVER chain AS before, lag(seq) OVER chain AS seq_before
                  FROM wallet.seals
                WINDOW chain AS (PARTITION BY merchant_id ORDER BY seq)) g
          FULL JOIN (
               SELECT merchant_id, seq, count(*) AS transfers,
                      string_agg(digest, ''::bytea ORDER BY cause_id, kind) AS digests
                 FROM wallet.sealed_transfers GROUP BY merchant_id, seq) m
            ON m.merchant_id = g.merchant_id AND m.seq = g.seq
        """,
    )


CHECKS = (
    collected_is_credited,
    refunds_are_booked,
    settlements_are_known,
    granted_is_given,
    rails_hold_what_ledger_says,
    balances_are_transfers,
    sides_are_equal,
    nothing_is_negative,
    escrow_holds,
    ledgers_are_transfers,
    sealed_transfers_stand,
    seals_are_a_chain,
)
