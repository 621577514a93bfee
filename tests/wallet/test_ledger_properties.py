"""Whatever many tasks do at once: each balance is the sum of its transfers, none negative."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.wallet.contract.states import Category
from services.wallet.domain.accounts import Purse
from services.wallet.domain.redemption_code import Code, write
from services.wallet.domain.redemption_errors import RedemptionReturned
from services.wallet.domain.transfer import CAUSE_OF
from services.wallet.usecases.check_invariants import seal_transfers
from services.wallet.usecases.redeem import Sale, redeem
from services.wallet.usecases.return_redemption import return_redemption
from shared.db import Database
from shared.errors import Conflict, NotFound, Rejected
from shared.ids import derived_id, new_id
from tests.support.wallet_builders import (
    NOON,
    WalletForTests,
    a_collection,
    a_dispatch,
    a_refund,
    a_shipment_cancelled,
    a_termination,
)
from tests.wallet.test_bonus import a_grant

TASKS: Final = 6
AGREEMENTS: Final = 3
PERIODS: Final = 3

Step = tuple[str, int, int, int]
"""What is done, to which agreement, in which period, with how much money."""

STEPS = st.tuples(
    st.sampled_from(
        [
            "credit",
            "credit",
            "grant",
            "capture",
            "release",
            "redeem",
            "redeem",
            "return",
            "end",
            "refund",
            "seal",
        ]
    ),
    st.integers(0, AGREEMENTS - 1),
    st.integers(1, PERIODS),
    st.integers(1, 30000),
)
LIVES = st.lists(st.lists(STEPS, min_size=3, max_size=10), min_size=TASKS, max_size=TASKS)


class Shop:
    """One merchant of its own, whose two customers share three agreements."""

    def __init__(self, wallet: WalletForTests) -> None:
        self.wallet = wallet
        self.merchant_id = new_id()
        self.redeemed: list[UUID] = []

    def who(self, agreement: int) -> dict[str, UUID]:
        return {
            "merchant_id": self.merchant_id,
            "agreement_id": derived_id("agreement", self.merchant_id, agreement),
            "customer_id": self.customer(agreement),
        }

    def customer(self, agreement: int) -> UUID:
        return derived_id("customer", self.merchant_id, agreement // 2)

    async def do(self, step: Step) -> None:
        """Do one step; what the business refuses is fine, anything else is not."""
        what, agreement, seq, amount_fen = step
        try:
            await getattr(self, f"_{what}")(agreement, seq, amount_fen)
        except (Conflict, NotFound, Rejected):
            return

    async def _credit(self, agreement: int, seq: int, amount_fen: int) -> None:
        bonus_fen = amount_fen % 3 * 1000
        more = {"amount_fen": 20000 - bonus_fen, "bonus_fen": bonus_fen, "penalty_fen": seq * 7}
        await self.wallet.hear(a_collection(seq, **self.who(agreement), **more))

    async def _grant(self, agreement: int, seq: int, _: int) -> None:
        await self.wallet.hear(a_grant(seq + PERIODS, **self.who(agreement)))

    async def _capture(self, agreement: int, seq: int, _: int) -> None:
        await self.wallet.hear(a_dispatch(seq, **self.who(agreement)))

    async def _release(self, agreement: int, seq: int, _: int) -> None:
        await self.wallet.hear(a_shipment_cancelled(seq, **self.who(agreement)))

    async def _end(self, agreement: int, seq: int, amount_fen: int) -> None:
        if seq == 1:
            event = a_termination(**self.who(agreement), penalty_fen=amount_fen // 10)
            await self.wallet.hear(event)

    async def _redeem(self, agreement: int, _: int, amount_fen: int) -> None:
        self.redeemed.append(
            await redeem_once(self.wallet, self.merchant_id, self.customer(agreement), amount_fen)
        )

    async def _return(self, _: int, seq: int, amount_fen: int) -> None:
        if self.redeemed:
            await return_redemption(
                self.wallet.deps,
                merchant_id=self.merchant_id,
                redemption_id=self.redeemed[amount_fen % len(self.redeemed)],
                return_id=new_id(),
                amount_fen=None if seq == 1 else amount_fen,
                reason="returned",
            )

    async def _refund(self, _: int, __: int, ___: int) -> None:
        for told in await self.wallet.told("wallet.refund.requested.v1"):
            if told.body["merchant_id"] == str(self.merchant_id):
                settlement_id = UUID(told.body["settlement_id"])
                who = {"merchant_id": self.merchant_id, "refund_id": derived_id(settlement_id)}
                await self.wallet.hear(a_refund(settlement_id, told.body["amount_fen"], **who))

    async def _seal(self, _: int, __: int, ___: int) -> None:
        await seal_transfers(self.wallet.deps)


async def redeem_once(
    wallet: WalletForTests, merchant_id: UUID, customer_id: UUID, amount_fen: int
) -> UUID:
    code = Code(
        merchant_id=merchant_id,
        customer_id=customer_id,
        code_id=new_id(),
        max_amount_fen=0,
        offline_limit_fen=0,
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=5),
    )
    sale = Sale(
        code=write(code, wallet.deps.redemption.key),
        category=Category.FOOD,
        amount_fen=amount_fen,
        service_code=None,
        clerk="clerk",
    )
    redeemed = await redeem(wallet.deps, merchant_id=merchant_id, redemption_id=new_id(), sale=sale)
    return redeemed.redemption_id


async def assert_every_balance_is_its_transfers(db: Database) -> None:
    """Rebuild all balances in Python, from nothing but the transfers."""
    async with db.connection() as conn:
        moved = await conn.fetch(
            "SELECT merchant_id, debit_account, credit_account, amount_fen FROM transfers"
        )
        accounts = await conn.fetch(
            "SELECT merchant_id, code, normal_side, balance_fen FROM accounts"
        )
    rebuilt: dict[tuple[UUID, str], int] = {}
    for row in moved:
        debit, credit = row["debit_account"], row["credit_account"]
        rebuilt[row["merchant_id"], debit] = (
            rebuilt.get((row["merchant_id"], debit), 0) + row["amount_fen"]
        )
        rebuilt[row["merchant_id"], credit] = (
            rebuilt.get((row["merchant_id"], credit), 0) - row["amount_fen"]
        )
    signed = {
        (row["merchant_id"], row["code"]): row["balance_fen"]
        * (1 if row["normal_side"] == "debit" else -1)
        for row in accounts
    }
    assert {key: fen for key, fen in signed.items() if fen} == {
        key: fen for key, fen in rebuilt.items() if fen
    }
    assert sum(rebuilt.values()) == 0
    below = [row["code"] for row in accounts if row["balance_fen"] < 0]
    assert not [code for code in below if code.startswith(("wallet:", "refund:"))]


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lives=LIVES)
async def test_many_tasks_at_once_keep_the_books(wallet_db: Database, lives: list[list[Step]]):
    shop = Shop(WalletForTests(wallet_db))

    async def live(steps: list[Step]) -> None:
        for step in steps:
            await shop.do(step)

    await asyncio.gather(*(live(steps) for steps in lives))

    await assert_every_balance_is_its_transfers(wallet_db)
    await shop.wallet.assert_books_agree()


async def test_the_steps_do_reach_every_kind_of_transfer(wallet_db: Database):
    """The property above would prove little if its steps were always refused."""
    shop = Shop(WalletForTests(wallet_db))
    life = "credit grant credit redeem capture redeem return release credit end return refund seal"
    chance = random.Random(7)

    for what in life.split() * 12:
        await shop.do((what, chance.randrange(AGREEMENTS), chance.randint(1, PERIODS), 3001))

    async with wallet_db.connection() as conn:
        rows = await conn.fetch("SELECT DISTINCT kind FROM transfers")
    assert {row["kind"] for row in rows} == {kind.value for kind in CAUSE_OF} & WALLETS_OWN
    await assert_every_balance_is_its_transfers(wallet_db)


WALLETS_OWN: Final = frozenset(
    f"{bonus}{kind}"
    for bonus in ("", "bonus_")
    for kind in ("held", "released", "captured", "captured_fee", "captured_supply")
) | {
    *("collected", "penalty", "penalty_kept", "refund_requested", "refunded"),
    *("bonus_granted", "bonus_lapsed", "spent", "spent_bonus", "spent_fee"),
    *("returned", "returned_bonus", "returned_fee"),
}


PAIRS: Final = 500
CUSTOMERS: Final = 25


async def test_of_a_thousand_returns_of_five_hundred_redemptions_exactly_five_hundred_win(
    wallet_db: Database,
):
    """Each redemption is returned by two tasks at once."""
    wallet = WalletForTests(wallet_db)
    merchant_id = new_id()
    customers = [derived_id("customer", merchant_id, n) for n in range(CUSTOMERS)]
    for n, customer_id in enumerate(customers):
        who = {"merchant_id": merchant_id, "customer_id": customer_id}
        agreement_id = derived_id("agreement", merchant_id, n)
        paid = a_collection(1, agreement_id=agreement_id, auto_ship=False, bonus_fen=900, **who)
        await wallet.hear(paid)
    before = [await purses(wallet, merchant_id, customer_id) for customer_id in customers]
    at_once = asyncio.Semaphore(16)

    async def bounded(do: Callable[[], Awaitable[UUID]]) -> UUID | None:
        async with at_once:
            try:
                return await do()
            except RedemptionReturned:
                return None

    def buy(n: int) -> Callable[[], Awaitable[UUID]]:
        customer_id = customers[n % CUSTOMERS]
        return lambda: redeem_once(wallet, merchant_id, customer_id, 100)

    def give_back(redemption_id: UUID | None) -> Callable[[], Awaitable[UUID]]:
        async def run() -> UUID:
            assert redemption_id is not None
            returned = await return_redemption(
                wallet.deps,
                merchant_id=merchant_id,
                redemption_id=redemption_id,
                return_id=new_id(),
                amount_fen=None,
                reason="race",
            )
            return returned.redemption_id

        return run

    redeemed = await asyncio.gather(*(bounded(buy(n)) for n in range(PAIRS)))
    twice = [one for one in redeemed for _ in range(2)]
    won = await asyncio.gather(*(bounded(give_back(one)) for one in twice))

    winners = [one for one in won if one is not None]
    assert len(won) == 2 * PAIRS
    assert len(winners) == PAIRS
    assert set(winners) == set(redeemed)
    assert [await purses(wallet, merchant_id, customer) for customer in customers] == before
    assert await wallet.balance("merchant:payable", merchant_id) == 0
    assert await wallet.balance("platform:fee", merchant_id) == 0
    await assert_every_balance_is_its_transfers(wallet_db)
    await wallet.assert_books_agree()


async def purses(wallet: WalletForTests, merchant_id: UUID, customer_id: UUID) -> list[int]:
    return [await wallet.balance(f"wallet:{customer_id}:{purse}", merchant_id) for purse in Purse]
