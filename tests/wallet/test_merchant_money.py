"""The supervised account's mirror, terms, statements, payouts: what a merchant gets, and when."""

from dataclasses import replace
from datetime import date

import pytest
from asyncpg import IntegrityConstraintViolationError

from services.wallet.contract.merchant_states import BorneBy, PayoutState, StatementPeriod
from services.wallet.contract.states import TransferKind
from services.wallet.domain.errors import BookedOtherwise, TermsInPast
from services.wallet.domain.merchant_terms import DatedTerms, MerchantTerms
from services.wallet.domain.order import Answer, Verdict
from services.wallet.domain.payout import Payout
from services.wallet.domain.statement import Statement, figures_of
from services.wallet.store import days, payouts, statements
from services.wallet.usecases.keep_merchant import agree_terms
from services.wallet.usecases.send_payouts import ask, send_payouts, settle_payout
from services.wallet.usecases.settle_merchants import settle_merchants
from shared.db import Database
from shared.ids import derived_id
from tests.support.merchant_builders import (
    DONE,
    ShopForTests,
    a_delivery,
    a_reconciled_day,
)
from tests.support.wallet_builders import (
    MERCHANT,
    NOON,
    a_collection,
    a_dispatch,
    a_termination,
)

# One parcel of 150.00: fee 2 % = 3.00, supplier 90.00, merchant 57.00.
SHARE = 5700


@pytest.fixture
async def shop(wallet_db: Database) -> ShopForTests:
    return ShopForTests(wallet_db)


async def all_statements(shop: ShopForTests) -> list[Statement]:
    async with shop.db.connection() as conn:
        return await statements.page(conn, MERCHANT, period=None, limit=100, before=None)


async def all_payouts(shop: ShopForTests) -> list[Payout]:
    async with shop.db.connection() as conn:
        return await payouts.page(conn, MERCHANT, limit=100, before=None)


class TestMirror:
    async def test_a_reconciled_day_moves_money_from_the_rail_to_the_supervised_account(self, shop):
        await shop.hear(a_collection())
        await shop.hear(a_reconciled_day(19900, fee_fen=119))

        assert await shop.balance("rail:alipay") == 0
        assert await shop.balance("supervised") == 19781
        assert await shop.balance("rail_fee:alipay") == 119
        await shop.assert_books_agree()

    async def test_a_day_is_booked_once_even_if_the_inbox_forgot_it(self, shop):
        await shop.hear(a_collection())
        await shop.hear(a_reconciled_day())
        await shop.hear(a_reconciled_day())
        await shop.forget_what_was_heard()
        await shop.hear(a_reconciled_day())

        assert await shop.balance("supervised") == 19900

    async def test_a_day_told_with_other_amounts_is_refused(self, shop):
        await shop.hear(a_collection())
        await shop.hear(a_reconciled_day())

        with pytest.raises(BookedOtherwise):
            await shop.hear(a_reconciled_day(19901))

        assert await shop.balance("supervised") == 19900

    async def test_more_refunds_than_charges_are_taken_back_from_the_supervised_account(self, shop):
        await shop.hear(a_collection())
        await shop.hear(a_reconciled_day())
        await shop.hear(
            a_reconciled_day(0, day=date(2027, 3, 2), refunded_fen=5000, fee_fen=-30, refunds=1)
        )

        assert await shop.balance("supervised") == 19900 - 4970
        assert await shop.balance("rail_fee:alipay") == -30
        assert await shop.balance("rail:alipay") == 5000
        await shop.assert_books_agree()

    async def test_a_day_of_nothing_books_nothing(self, shop):
        await shop.hear(a_reconciled_day(0, charges=0))

        assert await shop.balance("supervised") == 0

    async def test_the_merchant_bears_the_rails_fee_where_terms_say_so(self, shop):
        await shop.agree(rail_fee_borne_by=BorneBy.MERCHANT)
        await shop.hear(a_collection())
        await shop.hear(a_reconciled_day(fee_fen=119))

        assert await shop.balance("rail_fee:alipay") == 0
        assert await shop.balance("merchant:payable") == -119
        await shop.assert_books_agree()


class TestTerms:
    async def test_a_parcel_is_shared_by_the_terms_of_its_day(self, shop):
        await shop.sell(1)
        await shop.agree(fee_per_mille=50, supply_per_mille=400)
        await shop.sell(2)

        assert await shop.balance("platform:fee") == 300 + 750
        assert await shop.balance("supplier:warehouse:payable") == 9000 + 6000
        await shop.assert_books_agree()

    async def test_skus_cost_what_terms_say_if_all_are_known(self, shop):
        await shop.agree(sku_costs_fen={"FOOD": 2000})
        known = {"sku": "FOOD", "name": "food", "quantity": 3}
        await shop.hear(a_collection(1))
        await shop.hear(a_dispatch(1, items=(known,)))
        await shop.hear(a_collection(2))
        await shop.hear(a_dispatch(2, items=(known, known | {"sku": "TOY"})))

        assert await shop.balance("supplier:warehouse:payable") == 6000 + 9000

    async def test_terms_of_days_past_are_refused(self, shop):
        with pytest.raises(TermsInPast):
            await agree_terms(
                shop.deps,
                MERCHANT,
                DatedTerms(date(2027, 2, 28), MerchantTerms()),
                actor="operator",
            )

    async def test_every_kind_and_cause_of_transfer_may_be_written(self, shop):
        async with shop.db.connection() as conn:
            text = await conn.fetchval(
                """
                SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint
                 WHERE conname = 'transfers_kind_check'
                """
            )

        assert [kind for kind in TransferKind if f"'{kind}'" not in text] == []


class TestStatements:
    async def test_a_day_says_what_was_collected_delivered_and_is_payable(self, shop):
        await shop.sell(1, 2)
        await shop.hear(a_reconciled_day(39800, fee_fen=238))

        assert await shop.night() == 1

        (day,) = await all_statements(shop)
        figures = day.figures
        assert (day.opening_fen, day.payable_fen) == (0, 2 * SHARE)
        assert (figures.collected_fen, figures.delivered_fen) == (39800, 30000)
        assert (figures.platform_fee_fen, figures.supply_cost_fen) == (600, 18000)
        assert figures.settled_fen == 39562
        assert figures.earned_fen == day.payable_fen - day.opening_fen
        (told,) = await shop.told("wallet.statement.issued.v1")
        assert (told.body["payable_fen"], told.body["digest"]) == (2 * SHARE, day.digest)
        await shop.assert_books_agree()

    async def test_the_night_twice_issues_once_and_a_quiet_day_none(self, shop):
        await shop.sell(1)
        assert await shop.night() == 1
        assert await shop.night(date(2027, 3, 1)) == 0
        assert await shop.night(date(2027, 3, 2)) == 0

    async def test_what_became_known_late_stands_in_the_next_statement(self, shop):
        await shop.sell(1)
        await shop.night()
        await shop.hear(a_collection(2, collected_at=NOON))
        await shop.night(date(2027, 3, 2))

        second, first = await all_statements(shop)
        assert (first.figures.collected_fen, second.figures.collected_fen) == (19900, 19900)
        assert second.previous == first.digest
        assert second.opening_fen == first.payable_fen
        await shop.assert_books_agree()

    async def test_a_month_is_the_sum_of_its_days_and_closes_after_a_rest(self, shop):
        await shop.sell(1)
        shop.set(date(2027, 3, 31), 12)
        await shop.sell(2)
        shop.set(date(2027, 4, 2), 12)
        await shop.sell(3)

        assert await shop.night() == 4

        months = [s for s in await all_statements(shop) if s.period is StatementPeriod.MONTH]
        (march,) = months
        assert (march.from_day, march.to_day) == (date(2027, 3, 1), date(2027, 3, 31))
        assert march.figures.collected_fen == 39800
        assert march.payable_fen == 2 * SHARE
        assert march.transfers == 8
        await shop.assert_books_agree()

    async def test_a_statement_is_never_changed(self, shop):
        await shop.sell(1)
        await shop.night()

        for statement in (
            "UPDATE statements SET payable_fen = 0",
            "DELETE FROM statements",
            "DELETE FROM statement_lines",
        ):
            async with shop.db.connection() as conn:
                with pytest.raises(IntegrityConstraintViolationError):
                    await conn.execute(statement)

    async def test_the_months_rewards_are_paid_by_fee_and_supplier_on_its_last_day(self, shop):
        await shop.agree(renewal_bonus_per_mille=10, supply_rebate_per_mille=50)
        await shop.sell(1)
        shop.set(date(2027, 3, 31), 12)
        await shop.sell(2)

        await shop.night()

        assert await shop.balance("platform:fee") == 600 - 300
        assert await shop.balance("supplier:warehouse:payable") == 18000 - 900
        assert await shop.balance("merchant:payable") == 2 * SHARE + 1200
        last = (await all_statements(shop))[0]
        assert last.figures.reward_fen == 1200
        await shop.assert_books_agree()

    async def test_bonus_that_was_consumed_is_borne_by_the_merchant(self, shop):
        await shop.sell(1, bonus_fen=1000)
        await shop.night()

        (day,) = await all_statements(shop)
        assert day.figures.promotion_fen == 1000
        assert day.payable_fen == SHARE - 1000
        assert await shop.balance("merchant:promotion") == 0
        await shop.assert_books_agree()

    async def test_penalty_and_refund_are_stated(self, shop):
        await shop.hear(a_collection())
        await shop.hear(a_dispatch())
        await shop.hear(a_termination(penalty_fen=1500))
        await shop.night()

        (day,) = await all_statements(shop)
        assert day.figures.penalty_fen == 1500
        assert day.payable_fen == SHARE + 1500

    async def test_nothing_makes_figures_of_nothing(self):
        assert figures_of({}).earned_fen == 0


class TestPayouts:
    async def ready(self, shop: ShopForTests, *, delivered: bool = True) -> None:
        await shop.know_account()
        await shop.agree(payout_minimum_fen=100, guarantee_insured_fen=10**9)
        await shop.sell(1, delivered=delivered)
        await shop.hear(a_reconciled_day(19900, fee_fen=100))
        await shop.night()

    async def test_what_is_delivered_and_stated_is_paid_out_and_the_supplier_too(self, shop):
        await self.ready(shop)
        await shop.morning()

        done = {p.beneficiary.value: p for p in await all_payouts(shop)}
        assert {name: p.amount_fen for name, p in done.items()} == {
            "merchant": SHARE,
            "supplier": 9000,
        }
        assert {p.state for p in done.values()} == {PayoutState.SUCCEEDED}
        assert await shop.balance("merchant:payable") == 0
        assert await shop.balance("supervised") == 19800 - SHARE - 9000
        assert len(await shop.told("wallet.payout.settled.v1")) == 2
        await shop.assert_books_agree()

    async def test_what_is_under_way_is_not_paid_out(self, shop):
        await self.ready(shop, delivered=False)
        await shop.morning()
        assert [p.beneficiary.value for p in await all_payouts(shop)] == ["supplier"]

        await shop.hear(a_delivery())
        await shop.night()
        await shop.morning()
        assert [p.amount_fen for p in await all_payouts(shop)] == [SHARE, 9000]

    async def test_a_delivery_may_be_heard_before_its_dispatch(self, shop):
        await shop.hear(a_delivery())
        await shop.hear(a_delivery())
        await shop.hear(a_collection())
        await shop.hear(a_dispatch())

        async with shop.db.connection() as conn:
            assert await days.undelivered_fen(conn, MERCHANT) == 0

    async def test_without_an_account_or_money_at_the_bank_nobody_is_paid(self, shop):
        await shop.agree(payout_minimum_fen=100)
        await shop.sell(1)
        await shop.night()
        assert await shop.morning() == 0
        assert await all_payouts(shop) == []

    async def test_less_than_the_minimum_waits_and_more_than_the_maximum_is_cut(self, shop):
        await shop.know_account()
        await shop.agree(payout_minimum_fen=SHARE + 1, guarantee_insured_fen=10**9)
        await shop.sell(1)
        await shop.hear(a_reconciled_day())
        await shop.night()
        await shop.morning()
        assert [p.beneficiary.value for p in await all_payouts(shop)] == ["supplier"]

        await shop.agree(payout_minimum_fen=1, payout_maximum_fen=5000, guarantee_insured_fen=10**9)
        await shop.night()
        await shop.morning()
        assert [p.amount_fen for p in await all_payouts(shop)] == [5000, 9000]

    async def test_the_morning_twice_pays_once(self, shop):
        await self.ready(shop)
        await shop.morning()
        await settle_merchants(shop.deps)
        await send_payouts(shop.deps)

        assert [what for what, _, _ in shop.institutions.asked] == ["pay", "pay"]

    async def test_an_unclear_answer_is_only_asked_about(self, shop):
        await self.ready(shop)
        shop.deps = replace(shop.deps, supplier_account_ref="")
        unknown = Answer(Verdict.UNKNOWN, reason="timeout")
        shop.institutions.answers = [unknown, unknown, DONE]
        await shop.morning()
        await shop.run_due()

        assert [what for what, _, _ in shop.institutions.asked] == ["pay", "query", "query"]
        assert len({number for _, number, _ in shop.institutions.asked}) == 1
        (payout,) = await all_payouts(shop)
        assert payout.state is PayoutState.SUCCEEDED
        await shop.assert_books_agree()

    async def test_a_refusal_puts_the_money_back_and_another_day_tries_anew(self, shop):
        await self.ready(shop)
        shop.institutions.answers = [Answer(Verdict.REFUSED, reason="ACCOUNT_CLOSED")]
        await shop.morning()

        assert await shop.balance("merchant:payable") == SHARE
        assert await shop.balance("supplier:warehouse:payable") == 9000
        assert await shop.balance("supervised") == 19800
        assert [p.failure for p in await all_payouts(shop)] == ["ACCOUNT_CLOSED"] * 2
        await shop.assert_books_agree()

        shop.institutions.answers = [DONE]
        await shop.night()
        await shop.morning()
        assert await shop.balance("merchant:payable") == 0
        await shop.assert_books_agree()

    async def test_a_crash_after_the_claim_asks_before_it_sends_again(self, shop):
        await self.ready(shop)
        shop.set(date(2027, 3, 2), 10)
        await settle_merchants(shop.deps)
        async with shop.db.transaction() as conn:
            taken = await payouts.claim(conn, now=shop.clock.now())
        assert [p.state for p in taken] == [PayoutState.PREPARED] * 2

        shop.institutions.answers = [Answer(Verdict.UNSEEN), Answer(Verdict.UNSEEN), DONE]
        await shop.run_due()

        assert [what for what, _, _ in shop.institutions.asked] == [
            "query",
            "query",
            "pay",
            "pay",
        ]
        await shop.assert_books_agree()

    async def test_an_answer_that_comes_after_the_end_changes_nothing(self, shop):
        await self.ready(shop)
        shop.set(date(2027, 3, 2), 10)
        await settle_merchants(shop.deps)
        async with shop.db.transaction() as conn:
            late, _ = await payouts.claim(conn, now=shop.clock.now())
        shop.clock.advance(hours=13)
        await shop.run_due()

        await settle_payout(late, await ask(late, shop.deps), shop.deps)
        await settle_payout(late, Answer(Verdict.REFUSED, reason="late"), shop.deps)

        assert {p.state for p in await all_payouts(shop)} == {PayoutState.SUCCEEDED}
        await shop.assert_books_agree()

    async def test_a_payout_has_one_number_a_day(self, shop):
        await self.ready(shop)
        await shop.morning()

        numbers = {number for _, number, _ in shop.institutions.asked}
        wanted = derived_id("payout", MERCHANT, "merchant", date(2027, 3, 2)).hex
        assert wanted in numbers
