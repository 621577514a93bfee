"""The escrow equation through random lives of a merchant's money, and planted errors."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wallet.contract.merchant_states import BorneBy
from services.wallet.domain.errors import AdvanceNotCovered, GuaranteeWithdrawal
from services.wallet.domain.escrow import Standing, equation, standing
from services.wallet.domain.order import Answer, Verdict
from services.wallet.domain.settling import Position, distribute
from services.wallet.usecases.check_invariants import prove_balances
from services.wallet.usecases.keep_merchant import deposit, free
from services.wallet.usecases.take_advances import draw_advance, quote_advance
from shared.calendar import day_in_china
from shared.db import Database
from shared.ids import derived_id
from tests.support.merchant_builders import DONE, ShopForTests, a_delivery, a_reconciled_day
from tests.support.wallet_builders import MERCHANT, a_collection, a_dispatch, a_termination

FEN = st.integers(0, 10**7)


@pytest.mark.parametrize(
    ("code", "side"),
    [
        ("rail:alipay", Standing.HELD),
        ("supervised", Standing.HELD),
        ("wallet:1:held", Standing.OWED),
        ("partner:factor:payable", Standing.OWED),
        ("rail_fee:alipay", Standing.UNCOVERED),
        ("merchant:advance", Standing.UNCOVERED),
        ("merchant:promotion", Standing.UNCOVERED),
        ("cash", None),
    ],
)
def test_each_account_stands_on_one_side(code, side):
    assert standing(code) is side


def test_an_account_on_no_side_breaks_the_equation():
    assert not equation({"supervised": 5, "merchant:payable": 5, "cash": 0}).holds
    assert equation({"supervised": 5, "merchant:payable": 7, "rail_fee:alipay": 2}).holds


@given(
    payable=st.integers(-(10**6), 10**7),
    stated=FEN,
    undelivered=FEN,
    supervised=st.integers(-(10**6), 10**7),
    guarantee=FEN,
    required=FEN,
    advance=FEN,
    passed_on=FEN,
    supplier=FEN,
)
def test_never_more_leaves_than_is_delivered_stated_and_there(
    payable, stated, undelivered, supervised, guarantee, required, advance, passed_on, supplier
):
    position = Position(
        payable_fen=payable,
        stated_fen=stated,
        undelivered_fen=undelivered,
        supervised_fen=supervised,
        guarantee_fen=guarantee,
        required_fen=required,
        advance_fen=advance,
        partner_fen=advance + passed_on,
        supplier_fen=supplier,
    )
    plan = distribute(position, None)
    taken = plan.repay_fen + plan.keep_fen + plan.to_merchant_fen
    leaving = plan.to_partner_fen + plan.to_supplier_fen + plan.to_merchant_fen

    assert 0 <= taken <= max(0, min(payable, stated) - undelivered)
    assert 0 <= leaving <= max(0, supervised)
    assert plan.repay_fen <= advance
    assert plan.to_supplier_fen <= supplier
    assert plan.to_partner_fen <= passed_on + plan.repay_fen
    if plan.to_merchant_fen:
        assert guarantee + plan.keep_fen >= required
        assert plan.repay_fen == advance


class Life:
    """Random operations, and what a bank's statement of the supervised account would say."""

    def __init__(self, shop: ShopForTests, seed: int) -> None:
        self.shop = shop
        self.random = Random(seed)
        self.sold = 0
        self.sent: list[int] = []
        self.days = 0
        self.unsettled = 0
        self.paid_in = 0
        self.numbers = 0

    def number(self, word: str):
        self.numbers += 1
        return derived_id(word, self.numbers)

    async def collect(self) -> None:
        self.sold += 1
        bonus = self.random.choice([0, 0, 700])
        now = self.shop.clock.now()
        await self.shop.hear(a_collection(self.sold, collected_at=now, bonus_fen=bonus))
        self.unsettled += 19900

    async def dispatch(self) -> None:
        waiting = [seq for seq in range(1, self.sold + 1) if seq not in self.sent]
        if waiting:
            seq = self.random.choice(waiting)
            self.sent.append(seq)
            await self.shop.hear(a_dispatch(seq))

    async def deliver(self) -> None:
        if self.sent:
            await self.shop.hear(a_delivery(self.random.choice(self.sent)))

    async def reconcile(self) -> None:
        self.days += 1
        back = self.random.choice([0, 0, 3000])
        fee = self.random.choice([0, 119, -7])
        day = day_in_china(self.shop.clock.now()) + timedelta(days=self.days)
        await self.shop.hear(
            a_reconciled_day(self.unsettled, day=day, refunded_fen=back, fee_fen=fee)
        )
        self.paid_in += self.unsettled - back - fee
        self.unsettled = back

    async def day(self) -> None:
        self.shop.institutions.answers = [
            self.random.choice([DONE, DONE, Answer(Verdict.REFUSED, reason="NO")])
        ]
        await self.shop.night()
        await self.shop.morning()
        await self.shop.run_due()

    async def deposit(self) -> None:
        fen = self.random.randint(1, 3000)
        await deposit(
            self.shop.deps, MERCHANT, self.number("d"), fen, reference="B", actor="operator"
        )
        self.paid_in += fen

    async def free(self) -> None:
        try:
            await free(self.shop.deps, MERCHANT, self.number("f"), 500, actor="operator")
        except GuaranteeWithdrawal:
            return

    async def advance(self) -> None:
        number, deps = self.number("a"), self.shop.deps
        self.shop.institutions.answers = [DONE]
        try:
            await quote_advance(deps, MERCHANT, number, 1000, actor="key")
            await draw_advance(deps, MERCHANT, number, actor="key")
        except AdvanceNotCovered:
            return
        await self.shop.run_due()

    async def check(self) -> None:
        async with self.shop.db.connection() as conn:
            rows = await conn.fetch("SELECT code, balance_fen FROM accounts")
            paid = await conn.fetchval(
                "SELECT coalesce(sum(amount_fen), 0) FROM payouts WHERE state = 'succeeded'"
            )
        books = equation({row["code"]: row["balance_fen"] for row in rows})
        assert books.holds, books
        assert await self.shop.balance("supervised") == self.paid_in - paid
        assert await prove_balances(self.shop.db) == []


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_equation_holds_and_the_bank_agrees(wallet_db: Database, seed):
    shop = ShopForTests(wallet_db)
    await shop.know_account()
    await shop.agree(
        payout_minimum_fen=1,
        advance_per_mille=500,
        renewal_bonus_per_mille=10,
        rail_fee_borne_by=BorneBy.MERCHANT if seed % 2 else BorneBy.PLATFORM,
    )
    life = Life(shop, seed)
    steps = (
        *(life.collect, life.collect, life.dispatch, life.dispatch, life.deliver, life.deliver),
        *(life.reconcile, life.day, life.day, life.deposit, life.free, life.advance),
    )
    for _ in range(20):
        await life.random.choice(steps)()
        await life.check()
    await shop.hear(a_termination(penalty_fen=100))
    await life.day()
    await life.check()


PLANTED = {
    "a payout": (
        "UPDATE payouts SET amount_fen = amount_fen + 1 WHERE beneficiary = 'merchant'",
        {
            "a payout is booked as it stands",
            "the supervised account is what rails paid in and payouts took",
        },
    ),
    "a reconciled day": (
        "UPDATE reconciled_days SET fee_fen = fee_fen + 1",
        {"the supervised account is what rails paid in and payouts took"},
    ),
    "an account of nobody": (
        f"""
        INSERT INTO accounts (merchant_id, code, normal_side)
        VALUES ('{MERCHANT}', 'cash', 'debit')
        """,
        {"every account stands in the escrow equation"},
    ),
    "a deposit out of nothing": (
        f"""
        INSERT INTO accounts (merchant_id, code, normal_side, balance_fen)
        VALUES ('{MERCHANT}', 'merchant:guarantee', 'credit', 5)
        """,
        {
            "the escrow equation",
            "balance is the sum of its transfers",
            "what we have is what we owe",
        },
    ),
    "a line in a statement": (
        """
        INSERT INTO statement_lines (merchant_id, cause_id, kind, statement_id)
        SELECT t.merchant_id, t.cause_id, t.kind, s.statement_id
          FROM transfers t, statements s WHERE t.kind = 'held'
        """,
        {"a day's statement is the sum of its transfers"},
    ),
    "a statement": (
        """
        INSERT INTO statements
        SELECT merchant_id, gen_random_uuid(), period, from_day + 1, to_day + 1,
               figures || '{"collected_fen": 0, "refunded_fen": 0}', payable_fen, payable_fen, 0,
               lines_digest, 'another', digest, issued_at
          FROM statements
        """,
        {"statements follow one another"},
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_error_is_found_and_named(wallet_db: Database, planted):
    shop = ShopForTests(wallet_db)
    await shop.know_account()
    await shop.agree(payout_minimum_fen=1, guarantee_insured_fen=10**9)
    await shop.sell(1)
    await shop.hear(a_reconciled_day())
    await shop.night()
    await shop.morning()
    await shop.assert_books_agree()

    statement, checks = PLANTED[planted]
    async with wallet_db.connection() as conn:
        await conn.execute(statement)

    assert {found.check for found in await prove_balances(wallet_db)} == checks
