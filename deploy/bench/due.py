"""Customers of billing in the middle of their agreements, laid down by SQL."""

from datetime import datetime, timedelta
from typing import Final

from deploy.bench.ground import NOW
from deploy.bench.rail import PAYEE, PAYER
from shared.calendar import day_in_china
from shared.db import Database
from shared.ids import derived_id

MERCHANT: Final = derived_id("bench", "merchant")
PERIODS: Final = 12
AMOUNT_FEN: Final = 19900
HOLD_FEN: Final = 15000


async def prepare_customers(db: Database, count: int, *, periods: int = PERIODS) -> None:
    """Write *count* active agreements of *periods* with mandates; nothing is due yet."""
    async with db.transaction() as conn:
        await conn.execute(
            """
            INSERT INTO merchants (merchant_id, eligible, payees, told_at)
            VALUES ($1, true, $2, $3)
            """,
            MERCHANT,
            {"alipay": PAYEE},
            NOW,
        )
        await conn.execute(
            """
            INSERT INTO agreements (agreement_id, agreement_no, merchant_id, customer_id, pet_id,
                   plan_name, rail, charge_day, periods, total_fen, hold_fen, auto_ship, state,
                   signed_at)
            SELECT gen_random_uuid(), (n::int)::text, $1, gen_random_uuid(), gen_random_uuid(),
                   '安心月付', 'alipay', 10, $3::smallint, $3::bigint * $4::bigint, $5, true,
                   'active', $2
              FROM generate_series(0, $6::int - 1) AS n
            """,
            MERCHANT,
            NOW - timedelta(days=30),
            periods,
            AMOUNT_FEN,
            HOLD_FEN,
            count,
        )
        await conn.execute(
            """
            INSERT INTO mandates
            SELECT gen_random_uuid(), agreement_id, merchant_id, customer_id, rail,
                   'alipay_general', '20261210' || lpad(agreement_no, 12, '0'), $1, $2, 100000,
                   '2030-01-01', 'active', signed_at
              FROM agreements
            """,
            PAYER,
            PAYEE,
        )
        await conn.execute(
            """
            INSERT INTO instalments (instalment_id, agreement_id, merchant_id, customer_id, seq,
                   periods, amount_fen, due_on, charge_on, charge_at, state, pay_token)
            SELECT gen_random_uuid(), agreement_id, merchant_id, customer_id, seq, periods, $1,
                   ($2::date + make_interval(months => seq - 1))::date,
                   ($2::date + make_interval(months => seq - 1))::date,
                   $3::timestamptz + make_interval(months => seq - 1),
                   'scheduled', gen_random_uuid()::text
              FROM agreements, generate_series(1, periods) AS seq
            """,
            AMOUNT_FEN,
            day_in_china(NOW),
            NOW,
        )


async def make_due(db: Database, *, first: int, count: int, at: datetime = NOW) -> None:
    """Let the first period of customers *first* and after be due *at*, every notice proven."""
    async with db.transaction() as conn:
        await conn.execute(
            """
            UPDATE instalments AS i
               SET state = 'noticed', next_try_at = $1, next_notice_at = NULL, charge_at = $1,
                   charge_on = $4
              FROM agreements AS a
             WHERE a.agreement_id = i.agreement_id AND i.seq = 1
               AND a.agreement_no::int BETWEEN $2::int AND $2::int + $3::int - 1
            """,
            at,
            first,
            count,
            day_in_china(at),
        )
        await conn.execute(
            """
            INSERT INTO notices (notice_id, instalment_id, merchant_id, kind, channels, charge_on,
                   amount_fen, requested_at, send_by)
            SELECT gen_random_uuid(), instalment_id, merchant_id, kind,
                   '{sms,mini_program}', charge_on, amount_fen, charge_at - interval '7 days',
                   charge_at - interval '2 days'
              FROM instalments, unnest('{advance,reminder}'::text[]) AS kind
             WHERE next_try_at = $1
            """,
            at,
        )
        await conn.execute(
            """
            INSERT INTO notice_proofs (notice_id, channel, message_id, accepted_at, delivered_at)
            SELECT n.notice_id, channel, gen_random_uuid(), n.requested_at, n.requested_at
              FROM instalments AS i
              JOIN notices AS n USING (instalment_id), unnest(n.channels) AS channel
             WHERE i.next_try_at = $1
            """,
            at,
        )
