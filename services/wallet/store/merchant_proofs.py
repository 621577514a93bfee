"""Statements that find what in a merchant's own money disagrees; see ``proofs``."""

from collections.abc import Mapping
from typing import Final

CHECKS: Final[Mapping[str, str]] = {
    "the escrow equation": """
        SELECT 'held against owed' AS about,
               sum(balance_fen) FILTER (
                   WHERE code LIKE 'rail:%' OR code = 'supervised') AS stands,
               coalesce(sum(balance_fen) FILTER (
                   WHERE code LIKE 'wallet:%' OR code LIKE 'refund:%'
                      OR code LIKE 'supplier:%' OR code LIKE 'partner:%'
                      OR code IN ('merchant:payable', 'merchant:guarantee', 'platform:fee')), 0)
               - coalesce(sum(balance_fen) FILTER (
                   WHERE code LIKE 'rail\\_fee:%'
                      OR code IN ('merchant:advance', 'merchant:promotion')), 0) AS should
          FROM accounts WHERE merchant_id = $1 AND unit = 'fen'
    """,
    "every account stands in the escrow equation": """
        SELECT code AS about, 1 AS stands, 0 AS should
          FROM accounts
         WHERE merchant_id = $1 AND unit = 'fen'
           AND NOT (code LIKE 'rail:%' OR code LIKE 'wallet:%' OR code LIKE 'refund:%'
                    OR code LIKE 'supplier:%' OR code LIKE 'partner:%'
                    OR code LIKE 'rail\\_fee:%'
                    OR code IN ('supervised', 'merchant:payable', 'merchant:guarantee',
                                'platform:fee', 'merchant:advance', 'merchant:promotion'))
    """,
    "the supervised account is what rails paid in and payouts took": """
        SELECT 'supervised' AS about,
               coalesce((SELECT balance_fen FROM accounts
                          WHERE merchant_id = $1 AND code = 'supervised'), 0) AS stands,
               coalesce((SELECT sum(captured_fen - refunded_fen - fee_fen)
                           FROM reconciled_days WHERE merchant_id = $1), 0)
               - coalesce((SELECT sum(amount_fen) FROM payouts
                            WHERE merchant_id = $1 AND state <> 'failed'), 0)
               + coalesce((SELECT sum(amount_fen) FROM transfers
                            WHERE merchant_id = $1 AND kind = 'guarantee_kept'
                              AND debit_account = 'supervised'), 0) AS should
    """,
    "what merchants owe on advances is what advances say": """
        SELECT 'merchant:advance' AS about,
               coalesce((SELECT balance_fen FROM accounts
                          WHERE merchant_id = $1 AND code = 'merchant:advance'), 0) AS stands,
               coalesce((SELECT sum(amount_fen + interest_fen - repaid_fen) FROM advances
                          WHERE merchant_id = $1 AND drawn_at IS NOT NULL), 0) AS should
    """,
    "a payout is booked as it stands": """
        SELECT p.payout_id::text AS about,
               coalesce(t.taken_fen, 0) - coalesce(t.back_fen, 0) AS stands,
               CASE p.state WHEN 'failed' THEN 0 ELSE p.amount_fen END AS should
          FROM payouts p
          LEFT JOIN (
               SELECT cause_id,
                      sum(amount_fen) FILTER (WHERE kind <> 'payout_failed') AS taken_fen,
                      sum(amount_fen) FILTER (WHERE kind = 'payout_failed') AS back_fen
                 FROM transfers WHERE merchant_id = $1 AND cause_kind = 'payout'
                GROUP BY cause_id) t ON t.cause_id = p.payout_id
         WHERE p.merchant_id = $1
    """,
    "what is payable is what was stated and what came since": """
        SELECT 'merchant:payable' AS about,
               (SELECT balance_fen FROM accounts
                 WHERE merchant_id = $1 AND code = 'merchant:payable') AS stands,
               coalesce((SELECT payable_fen FROM statements
                          WHERE merchant_id = $1 AND period = 'day'
                          ORDER BY from_day DESC LIMIT 1), 0)
               + coalesce((SELECT sum(CASE 'merchant:payable' WHEN t.credit_account
                                           THEN amount_fen ELSE -amount_fen END)
                             FROM transfers t
                            WHERE t.merchant_id = $1
                              AND 'merchant:payable' IN (t.debit_account, t.credit_account)
                              AND NOT EXISTS (
                                  SELECT FROM statement_lines l
                                   WHERE l.merchant_id = t.merchant_id
                                     AND l.cause_id = t.cause_id AND l.kind = t.kind)), 0)
               AS should
    """,
    "a day's statement is the sum of its transfers": """
        SELECT s.from_day || ' ' || f.figure AS about, f.stands, f.should
          FROM (SELECT * FROM statements WHERE merchant_id = $1 AND period = 'day') s
          LEFT JOIN (
               SELECT l.statement_id, count(*) AS transfers,
                      sum(CASE 'merchant:payable' WHEN t.credit_account THEN amount_fen
                               WHEN t.debit_account THEN -amount_fen ELSE 0 END) AS payable,
                      sum(amount_fen) FILTER (
                          WHERE t.kind IN ('collected', 'penalty_kept')) AS collected,
                      sum(amount_fen) FILTER (WHERE t.kind = 'refunded') AS refunded
                 FROM statement_lines l JOIN transfers t USING (merchant_id, cause_id, kind)
                WHERE l.merchant_id = $1 GROUP BY l.statement_id) t USING (statement_id)
         CROSS JOIN LATERAL (VALUES
               ('transfers', s.transfers, coalesce(t.transfers, 0)),
               ('payable', s.payable_fen - s.opening_fen, coalesce(t.payable, 0)),
               ('collected', (s.figures->>'collected_fen')::bigint, coalesce(t.collected, 0)),
               ('refunded', (s.figures->>'refunded_fen')::bigint, coalesce(t.refunded, 0)))
               AS f (figure, stands, should)
    """,
    "statements follow one another": """
        SELECT period || ' ' || from_day AS about,
               opening_fen + CASE WHEN previous = before_digest THEN 0 ELSE 1 END AS stands,
               before_fen AS should
          FROM (SELECT *, coalesce(lag(payable_fen) OVER w, 0) AS before_fen,
                       coalesce(lag(digest) OVER w, '') AS before_digest
                  FROM statements WHERE merchant_id = $1
                WINDOW w AS (PARTITION BY period ORDER BY from_day)) chain
    """,
}
"""By their names; each answers for one merchant with about, stands, should."""
