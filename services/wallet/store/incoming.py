"""Collected money enters the books: the one statement that everything else waits for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.wallet.domain.entry import Credit, Credited
from shared.db import Connection

# Bonus is held first, also what earlier periods left of it: an account that shrinks cannot
# be moved by an INSERT, whose proposed row must pass the check itself.  Then, and when an
# ended agreement is to be settled, no balance is moved here, and all of them together later.
_BOOK: Final = """
WITH given AS MATERIALIZED (
     SELECT * FROM unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
            $7::text[], $8::int[], $9::bigint[], $10::bigint[], $11::timestamptz[],
            $13::int[], $14::bigint[], $15::bigint[])
         AS g (merchant_id, instalment_id, agreement_id, customer_id, hold_id, rail,
               trade_no, periods, principal_fen, hold_fen, collected_at, seq, bonus_fen,
               penalty_fen)),
entered AS (
     INSERT INTO transfers
            (merchant_id, cause_id, kind, cause_kind, debit_account, credit_account,
             amount_fen, customer_id, agreement_id, trade_no, occurred_at)
     SELECT merchant_id, instalment_id,
            CASE WHEN rail IS NULL THEN 'bonus_granted' ELSE 'collected' END, 'instalment',
            coalesce('rail:' || rail, 'merchant:promotion'),
            'wallet:' || customer_id
                || CASE WHEN rail IS NULL THEN ':bonus' ELSE ':principal' END,
            CASE WHEN rail IS NULL THEN bonus_fen ELSE principal_fen END, customer_id,
            agreement_id, trade_no, collected_at
       FROM given ORDER BY merchant_id, instalment_id
     ON CONFLICT DO NOTHING
     RETURNING merchant_id, cause_id AS instalment_id),
fresh AS MATERIALIZED (
     SELECT given.* FROM given JOIN entered USING (merchant_id, instalment_id)),
beside AS (
     INSERT INTO transfers
            (merchant_id, cause_id, kind, cause_kind, debit_account, credit_account,
             amount_fen, customer_id, agreement_id, trade_no, occurred_at)
     SELECT merchant_id, instalment_id, 'bonus_granted', 'instalment', 'merchant:promotion',
            'wallet:' || customer_id || ':bonus', bonus_fen, customer_id, agreement_id,
            NULL, collected_at
       FROM fresh WHERE bonus_fen > 0 AND rail IS NOT NULL
     UNION ALL
     SELECT merchant_id, instalment_id, 'penalty_kept', 'instalment', 'rail:' || rail,
            'merchant:payable', penalty_fen, customer_id, agreement_id, trade_no,
            collected_at
       FROM fresh WHERE penalty_fen > 0),
credited AS MATERIALIZED (
     INSERT INTO ledgers AS l
            (merchant_id, agreement_id, customer_id, rail, periods, periods_paid,
             credited_fen, bonus_credited_fen, held_fen, bonus_held_fen, open_holds)
     SELECT merchant_id, agreement_id, any_value(customer_id), max(rail),
            max(periods), count(*) FILTER (WHERE seq > 0), sum(principal_fen),
            sum(bonus_fen),
            coalesce(sum(hold_fen), 0) - least(coalesce(sum(hold_fen), 0), sum(bonus_fen)),
            least(coalesce(sum(hold_fen), 0), sum(bonus_fen)),
            count(hold_fen)
       FROM fresh GROUP BY merchant_id, agreement_id ORDER BY merchant_id, agreement_id
     ON CONFLICT (merchant_id, agreement_id) DO UPDATE
        SET rail = coalesce(l.rail, EXCLUDED.rail),
            periods = EXCLUDED.periods,
            periods_paid = l.periods_paid + EXCLUDED.periods_paid,
            credited_fen = l.credited_fen + EXCLUDED.credited_fen,
            bonus_credited_fen = l.bonus_credited_fen + EXCLUDED.bonus_credited_fen,
            bonus_held_fen = l.bonus_held_fen + CASE WHEN l.ended_as IS NULL THEN least(
                EXCLUDED.held_fen + EXCLUDED.bonus_held_fen,
                l.bonus_credited_fen + EXCLUDED.bonus_credited_fen - l.bonus_held_fen
                - l.bonus_captured_fen - l.bonus_spent_fen - l.bonus_lapsed_fen) ELSE 0 END,
            held_fen = l.held_fen + CASE WHEN l.ended_as IS NULL THEN
                EXCLUDED.held_fen + EXCLUDED.bonus_held_fen - least(
                EXCLUDED.held_fen + EXCLUDED.bonus_held_fen,
                l.bonus_credited_fen + EXCLUDED.bonus_credited_fen - l.bonus_held_fen
                - l.bonus_captured_fen - l.bonus_spent_fen - l.bonus_lapsed_fen) ELSE 0 END,
            open_holds = l.open_holds
                + CASE WHEN l.ended_as IS NULL THEN EXCLUDED.open_holds ELSE 0 END
     RETURNING merchant_id, agreement_id, ended_as IS NOT NULL AS ended,
               new.bonus_held_fen - coalesce(old.bonus_held_fen, 0) AS bonus_held_fen,
               new.bonus_credited_fen - coalesce(old.bonus_credited_fen, 0) AS bonus_new_fen),
done AS MATERIALIZED (
     SELECT f.*, ended, CASE WHEN ended OR bonus_held_fen = 0 THEN 0 ELSE
            greatest(0, least(hold_fen, bonus_held_fen - (sum(hold_fen) OVER (
                PARTITION BY f.merchant_id, f.agreement_id
                    ORDER BY collected_at, instalment_id) - hold_fen)))::bigint END
                AS by_bonus_fen
       FROM fresh f JOIN credited USING (merchant_id, agreement_id)),
placed AS (
     SELECT * FROM done WHERE hold_fen IS NOT NULL AND NOT ended),
held AS (
     INSERT INTO holds (merchant_id, hold_id, instalment_id, agreement_id, customer_id,
                        amount_fen, bonus_fen, state, placed_at)
     SELECT merchant_id, hold_id, instalment_id, agreement_id, customer_id, hold_fen,
            by_bonus_fen, 'placed', $12
       FROM placed),
held_transfers AS (
     INSERT INTO transfers
            (merchant_id, cause_id, kind, cause_kind, debit_account, credit_account,
             amount_fen, customer_id, agreement_id, occurred_at)
     SELECT merchant_id, instalment_id, kind, 'instalment',
            'wallet:' || customer_id || purse,
            'wallet:' || customer_id || ':held', part_fen, customer_id, agreement_id, $12
       FROM placed CROSS JOIN LATERAL (VALUES
            ('held', ':principal', hold_fen - by_bonus_fen),
            ('bonus_held', ':bonus', by_bonus_fen)) AS p (kind, purse, part_fen)
      WHERE part_fen > 0),
moved AS (
     INSERT INTO accounts AS a (merchant_id, code, normal_side, balance_fen)
     SELECT merchant_id, code, side, sum(change_fen)
       FROM (SELECT merchant_id, 'rail:' || rail AS code, 'debit' AS side,
                    principal_fen + penalty_fen AS change_fen FROM fresh
              WHERE rail IS NOT NULL
             UNION ALL
             SELECT merchant_id, 'wallet:' || customer_id || ':principal', 'credit',
                    principal_fen FROM fresh WHERE rail IS NOT NULL
             UNION ALL
             SELECT merchant_id, 'wallet:' || customer_id || ':principal', 'credit',
                    by_bonus_fen - hold_fen FROM placed WHERE hold_fen > by_bonus_fen
             UNION ALL
             SELECT merchant_id, 'wallet:' || customer_id || ':held', 'credit',
                    hold_fen FROM placed
             UNION ALL
             SELECT merchant_id, 'merchant:promotion', 'debit', bonus_fen FROM fresh
              WHERE bonus_fen > 0
             UNION ALL
             SELECT merchant_id, 'wallet:' || customer_id || ':bonus', 'credit', bonus_fen
               FROM fresh WHERE bonus_fen > 0
             UNION ALL
             SELECT merchant_id, 'wallet:' || customer_id || ':bonus', 'credit',
                    -by_bonus_fen FROM placed WHERE by_bonus_fen > 0
             UNION ALL
             SELECT merchant_id, 'merchant:payable', 'credit', penalty_fen FROM fresh
              WHERE penalty_fen > 0) sides
      WHERE NOT (SELECT bool_or(ended OR bonus_held_fen > bonus_new_fen) FROM credited)
      GROUP BY merchant_id, code, side ORDER BY merchant_id, code
     ON CONFLICT (merchant_id, code) DO UPDATE
        SET balance_fen = a.balance_fen + EXCLUDED.balance_fen)
SELECT instalment_id, merchant_id, agreement_id, ended,
       CASE WHEN hold_fen IS NOT NULL AND NOT ended THEN hold_id END,
       CASE WHEN ended THEN 0 ELSE coalesce(hold_fen, 0) END,
       CASE WHEN hold_fen IS NULL THEN 0 ELSE by_bonus_fen END,
       NOT (SELECT bool_or(ended OR bonus_held_fen > bonus_new_fen) FROM credited)
  FROM done
"""


async def book(conn: Connection, credits_: Sequence[Credit], *, now: datetime) -> list[Credited]:
    """
    Book those of *credits_* whose instalment is not booked yet, and return them.

    Transfers, ledgers, holds and balances in one statement, which costs a fifth of one
    statement each; locks are taken in this order, each table's by key.  Instalments
    must differ.  Where ``moved`` is false for the batch, the caller moves the balances, in
    one go with what it books besides.

    Raises:
        asyncpg.CheckViolationError: An amount is not positive.
    """
    # A plan made for any number of rows joins them row by row, at twice the cost.
    await conn.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    rows = await conn.fetch(
        _BOOK,
        [c.merchant_id for c in credits_],
        [c.instalment_id for c in credits_],
        [c.agreement_id for c in credits_],
        [c.customer_id for c in credits_],
        [c.hold_id for c in credits_],
        [c.rail for c in credits_],
        [c.trade_no for c in credits_],
        [c.periods for c in credits_],
        [c.principal_fen for c in credits_],
        [c.hold_fen for c in credits_],
        [c.collected_at for c in credits_],
        now,
        [c.seq for c in credits_],
        [c.bonus_fen for c in credits_],
        [c.penalty_fen for c in credits_],
    )
    return [Credited(*row) for row in rows]
