"""The books prove themselves: each kind of error, planted, is found and named."""

import pytest

from services.wallet.jobs import JOBS
from services.wallet.usecases.check_invariants import DIFFERENCES, check_invariants, prove_balances
from shared.db import Database
from shared.jobs import Daily
from tests.support.wallet_builders import (
    AGREEMENT,
    CUSTOMER,
    MERCHANT,
    WalletForTests,
    a_collection,
    a_dispatch,
    a_termination,
)

STRAY = f"""
    INSERT INTO transfers (merchant_id, cause_id, kind, cause_kind, debit_account,
                           credit_account, amount_fen, customer_id, agreement_id, occurred_at)
    SELECT merchant_id, gen_random_uuid(), 'collected', 'instalment',
           'rail:cash', credit_account, 100, customer_id, agreement_id, occurred_at
      FROM transfers WHERE merchant_id = '{MERCHANT}' LIMIT 1
"""

REDEMPTION = f"""
    INSERT INTO redemptions
           (merchant_id, redemption_id, code_id, customer_id, amount_fen, bonus_fen, fee_fen,
            category, clerk, state, accepted_at, booked_at)
    VALUES ('{MERCHANT}', uuidv7(), uuidv7(), '{CUSTOMER}', 100, 0, 0, 'food', 'clerk',
            'booked', now(), now())
"""

PART = f"""
    INSERT INTO redemption_parts
           (merchant_id, redemption_id, agreement_id, part_id, n, principal_fen, bonus_fen,
            fee_fen)
    VALUES ('{MERCHANT}', uuidv7(), '{AGREEMENT}', uuidv7(), 1, 100, 0, 0)
"""

PLANTED = {
    "a balance": (
        "UPDATE accounts SET balance_fen = balance_fen + 1 WHERE code = 'rail:alipay'",
        {
            "balance is the sum of its transfers",
            "what we have is what we owe",
            "the escrow equation",
        },
    ),
    "a vanished account": (
        "DELETE FROM accounts WHERE code = 'platform:fee'",
        {
            "balance is the sum of its transfers",
            "what we have is what we owe",
            "the escrow equation",
        },
    ),
    "a transfer behind our back": (
        STRAY,
        {
            "balance is the sum of its transfers",
            "an agreement's ledger is the sum of its transfers",
        },
    ),
    "a hold": (
        "UPDATE holds SET amount_fen = amount_fen - 1 WHERE state = 'placed'",
        {
            "held is what open holds hold",
            "an agreement holds and has spent what its holds say",
        },
    ),
    "a vanished hold": (
        "DELETE FROM holds WHERE state = 'placed'",
        {
            "held is what open holds hold",
            "an agreement holds and has spent what its holds say",
        },
    ),
    "a ledger": (
        "UPDATE ledgers SET credited_fen = credited_fen + 1",
        {
            "principal is what agreements have not spent",
            "an agreement's ledger is the sum of its transfers",
            "an ended agreement keeps no free money",
        },
    ),
    "bonus": (
        "UPDATE ledgers SET bonus_credited_fen = bonus_credited_fen + 1",
        {
            "bonus is what agreements have not spent of it",
            "an agreement's ledger is the sum of its transfers",
            "an ended agreement keeps no free money",
        },
    ),
    "a hold's bonus": (
        "UPDATE holds SET bonus_fen = 1 WHERE state = 'placed'",
        {"an agreement holds and has spent what its holds say"},
    ),
    "a redemption without parts": (REDEMPTION, {"a redemption is the sum of its parts"}),
    "a part without a redemption": (
        PART,
        {"an agreement has spent in the shop what its redemptions say"},
    ),
    "an end without a refund": (
        "UPDATE ledgers SET ended_as = 'terminated', ended_at = now() WHERE open_holds = 0",
        {"an ended agreement keeps no free money"},
    ),
    "a request": (
        "UPDATE settlements SET amount_fen = amount_fen + 1",
        {"refunds on their way are what was asked less what went back"},
    ),
}


@pytest.fixture
async def wallet(wallet_db: Database) -> WalletForTests:
    """One agreement with a parcel on its way, one without, and one that has ended."""
    wallet = WalletForTests(wallet_db)
    ids = [a_collection(1).instalment_id, a_collection(2).instalment_id, a_collection(3).pet_id]
    await wallet.hear(a_collection(1), a_collection(2))
    await wallet.hear(a_dispatch(1))
    await wallet.hear(a_collection(1, agreement_id=ids[1], auto_ship=False))
    await wallet.hear(a_collection(1, agreement_id=ids[2], auto_ship=False))
    await wallet.hear(a_termination(agreement_id=ids[2]))
    return wallet


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_error_is_found(wallet, planted):
    statement, expected = PLANTED[planted]
    assert await prove_balances(wallet.db) == []

    async with wallet.db.connection() as conn:
        await conn.execute(statement)

    found = await prove_balances(wallet.db)
    assert {difference.check for difference in found} == expected
    assert {difference.merchant_id for difference in found} == {MERCHANT}


async def test_a_negative_wallet_is_found_even_if_the_database_allowed_it(wallet, databases):
    async with wallet.db.connection() as conn:
        name = await conn.fetchval("SELECT current_database()")
    import asyncpg

    owner = await asyncpg.connect(databases.cluster.dsn(name))
    try:
        await owner.execute("ALTER TABLE wallet.accounts DROP CONSTRAINT never_below_zero")
        await owner.execute(
            "UPDATE wallet.accounts SET balance_fen = -5 WHERE code = $1", f"wallet:{CUSTOMER}:held"
        )
    finally:
        await owner.close()

    found = {difference.check: difference for difference in await prove_balances(wallet.db)}

    assert found["nothing is below zero"].about == f"wallet:{CUSTOMER}:held"
    assert found["nothing is below zero"].stands_fen == -5


async def test_the_daily_check_counts_differences_and_leaves_them_for_a_person(wallet):
    assert await check_invariants(wallet.deps) == 0
    async with wallet.db.connection() as conn:
        await conn.execute(
            "UPDATE accounts SET balance_fen = balance_fen + 1 WHERE code = 'rail:alipay'"
        )

    assert await check_invariants(wallet.deps) == 3
    assert DIFFERENCES._value.get() == 3


def test_the_check_runs_once_a_day():
    job = next(job for job in JOBS if job.name == "check_invariants")

    assert isinstance(job, Daily)
    assert (job.name, job.hour) == ("check_invariants", 4)
