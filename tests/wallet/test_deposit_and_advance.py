"""The guarantee deposit and advances on delivered receivables: limits, interest, refusals."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wallet.contract.merchant_states import AdvanceState
from services.wallet.domain.advance import interest_of_day, require_covered
from services.wallet.domain.errors import (
    AdvanceNotCovered,
    AdvanceNotOpen,
    AdvanceRefused,
    AdvanceUnknown,
    GuaranteeUnneeded,
    GuaranteeWithdrawal,
)
from services.wallet.domain.guarantee import Obligations, last_quarter_end, required_fen
from services.wallet.domain.merchant_terms import MerchantTerms
from services.wallet.domain.order import Answer, Verdict
from services.wallet.gateways.institution import NoInstitution
from services.wallet.store import advances, merchant_money
from services.wallet.usecases.keep_merchant import deposit, free, use
from services.wallet.usecases.take_advances import draw_advance, quote_advance
from shared.calendar import at_in_china
from shared.db import Database
from shared.ids import derived_id
from tests.support.merchant_builders import DONE, ShopForTests, a_delivery, a_reconciled_day
from tests.support.wallet_builders import MERCHANT, a_collection

SHARE = 5700
NO_DEPOSIT: dict[str, Any] = {"guarantee_insured_fen": 10**9}


@pytest.fixture
async def shop(wallet_db: Database) -> ShopForTests:
    return ShopForTests(wallet_db)


class TestRequired:
    @pytest.mark.parametrize(
        ("terms", "owed", "required"),
        [
            ({}, (100000, 90000), 30000),
            ({"guarantee_balance_per_mille": 400}, (100000, 90000), 36000),
            ({"guarantee_balance_per_mille": 200}, (100000, 90000), 30000),
            ({"guarantee_floor_fen": 50000}, (100000, 90000), 50000),
            ({"guarantee_insured_fen": 12000}, (100000, 90000), 18000),
            ({"guarantee_insured_fen": 10**9}, (100000, 90000), 0),
            ({"guarantee_balance_per_mille": 400}, (0, -5), 0),
        ],
    )
    def test_the_largest_rule_counts(self, terms, owed, required):
        assert required_fen(MerchantTerms(**terms), Obligations(*owed)) == required

    @pytest.mark.parametrize(
        ("day", "end"),
        [
            (date(2027, 1, 1), date(2026, 12, 31)),
            (date(2027, 3, 31), date(2026, 12, 31)),
            (date(2027, 4, 1), date(2027, 3, 31)),
            (date(2027, 12, 31), date(2027, 9, 30)),
        ],
    )
    def test_the_last_quarter_ends_before_the_day(self, day, end):
        assert last_quarter_end(day) == end


class TestDeposit:
    async def test_a_shortfall_is_told_once_and_so_is_its_end(self, shop):
        await shop.agree()
        await shop.hear(a_collection())
        await shop.night()
        await shop.night(date(2027, 3, 2))

        (short,) = await shop.told("wallet.deposit.short.v1")
        assert (short.body["required_fen"], short.body["kept_fen"]) == (4500, 0)
        await deposit(
            shop.deps, MERCHANT, derived_id("d", 1), 4500, reference="BANK1", actor="operator"
        )
        await deposit(
            shop.deps, MERCHANT, derived_id("d", 1), 4500, reference="BANK1", actor="operator"
        )
        (enough,) = await shop.told("wallet.deposit.sufficient.v1")
        assert enough.body["kept_fen"] == 4500
        assert await shop.balance("supervised") == 4500
        await shop.assert_books_agree()

    async def test_a_merchant_without_terms_is_not_measured(self, shop):
        await shop.hear(a_collection())
        await shop.night()

        assert await shop.told("wallet.deposit.short.v1") == []

    async def test_the_morning_keeps_what_is_missing_before_it_pays_out(self, shop):
        await shop.know_account()
        await shop.agree(payout_minimum_fen=1)
        await shop.sell(1)
        await shop.hear(a_reconciled_day())
        await shop.night()
        await shop.morning()

        assert await shop.balance("merchant:guarantee") == 4500
        assert [p[2] for p in shop.institutions.asked] == [9000, SHARE - 4500]
        assert len(await shop.told("wallet.deposit.sufficient.v1")) == 1
        await shop.assert_books_agree()

    async def test_a_quarters_balance_is_kept_once(self, shop):
        await shop.hear(a_collection())
        async with shop.db.transaction() as conn:
            until = at_in_china(date(2027, 4, 1), 0)
            ended = date(2027, 3, 31)
            first = await merchant_money.quarter_balance(conn, MERCHANT, ended, until=until)
        await shop.hear(a_collection(2))
        async with shop.db.transaction() as conn:
            again = await merchant_money.quarter_balance(conn, MERCHANT, ended, until=until)

        assert (first, again) == (19900, 19900)

    async def test_no_more_is_freed_than_the_requirement_leaves(self, shop):
        await shop.agree()
        await shop.hear(a_collection())
        await shop.night()
        await deposit(
            shop.deps, MERCHANT, derived_id("d", 1), 5000, reference="BANK1", actor="operator"
        )

        with pytest.raises(GuaranteeWithdrawal):
            await free(shop.deps, MERCHANT, derived_id("f", 1), 501, actor="operator")
        await free(shop.deps, MERCHANT, derived_id("f", 2), 500, actor="operator")
        await free(shop.deps, MERCHANT, derived_id("f", 2), 500, actor="operator")

        assert await shop.balance("merchant:guarantee") == 4500
        assert await shop.balance("merchant:payable") == 500
        assert "refused: guarantee-withdrawal" in await shop.history()
        await shop.assert_books_agree()

    async def test_the_deposit_covers_a_debt_and_nothing_else(self, shop):
        await shop.agree(rail_fee_borne_by="merchant", **NO_DEPOSIT)
        await deposit(
            shop.deps, MERCHANT, derived_id("d", 1), 5000, reference="BANK1", actor="operator"
        )
        with pytest.raises(GuaranteeUnneeded):
            await use(shop.deps, MERCHANT, derived_id("u", 0), 1, reason="debt", actor="operator")
        await shop.hear(a_collection())
        await shop.hear(a_reconciled_day(fee_fen=119))
        await use(shop.deps, MERCHANT, derived_id("u", 1), 119, reason="debt", actor="operator")

        assert await shop.balance("merchant:payable") == 0
        assert await shop.balance("merchant:guarantee") == 4881
        await shop.assert_books_agree()


class TestCovered:
    def test_the_share_of_what_is_delivered_is_the_limit(self):
        require_covered(2000, delivered_fen=5000, taken_fen=0, per_mille=400)
        with pytest.raises(AdvanceNotCovered) as refusal:
            require_covered(2001, delivered_fen=5000, taken_fen=0, per_mille=400)
        assert refusal.value.code == "advance-not-covered"
        assert refusal.value.facts["limit_fen"] == 2000

    def test_what_is_taken_counts(self):
        with pytest.raises(AdvanceNotCovered):
            require_covered(1, delivered_fen=5000, taken_fen=2000, per_mille=400)

    @given(st.integers(0, 10**9), st.integers(0, 10_000))
    def test_a_days_interest_is_rounded_half_up(self, fen, ppm):
        assert abs(interest_of_day(fen, interest_ppm=ppm) * 10**6 - fen * ppm) <= 500_000


class TestAdvance:
    ADVANCE = derived_id("advance", 1)

    async def sold(self, shop: ShopForTests, *, delivered: bool = True) -> None:
        await shop.know_account()
        await shop.agree(payout_minimum_fen=1, advance_per_mille=500, **NO_DEPOSIT)
        await shop.sell(1, delivered=delivered)

    async def drawn(self, shop: ShopForTests, fen: int = 2000) -> None:
        await quote_advance(shop.deps, MERCHANT, self.ADVANCE, fen, actor="key")
        await draw_advance(shop.deps, MERCHANT, self.ADVANCE, actor="key")
        await shop.run_due()

    async def found(self, shop: ShopForTests):
        async with shop.db.connection() as conn:
            return await advances.get(conn, MERCHANT, self.ADVANCE)

    async def test_parcels_under_way_and_periods_to_come_are_no_receivable(self, shop):
        await self.sold(shop, delivered=False)
        await shop.hear(a_collection(2))

        with pytest.raises(AdvanceNotCovered):
            await quote_advance(shop.deps, MERCHANT, self.ADVANCE, 1, actor="key")
        assert shop.institutions.asked == []
        assert "refused: advance-not-covered" in await shop.history()

        await shop.hear(a_delivery())
        quoted = await quote_advance(shop.deps, MERCHANT, self.ADVANCE, 2850, actor="key")
        assert quoted.covered_fen == SHARE

    async def test_it_is_drawn_bears_interest_and_is_repaid_from_settlement(self, shop):
        await self.sold(shop)
        await self.drawn(shop)
        assert await shop.balance("merchant:advance") == 2000
        assert await shop.balance("partner:factor:payable") == 2000
        assert await shop.balance("merchant:payable") == SHARE
        await shop.assert_books_agree()

        await shop.hear(a_reconciled_day())
        await shop.night(date(2027, 3, 3))
        # 0.03 % of 2000 fen is 0.6 fen, rounded to 1 each of two days
        assert await shop.balance("merchant:advance") == 2002
        await shop.morning()

        assert await shop.balance("merchant:advance") == 0
        assert await shop.balance("partner:factor:payable") == 0
        asked = [(what, fen) for what, _, fen in shop.institutions.asked]
        assert ("repay", 2002) in asked
        assert ("pay", SHARE - 2002) in asked
        advance = await self.found(shop)
        assert (advance.state, advance.repaid_fen) == (AdvanceState.REPAID, 2002)
        await shop.assert_books_agree()

    async def test_a_failed_repayment_is_sent_again_another_day(self, shop):
        await self.sold(shop)
        await self.drawn(shop)
        await shop.hear(a_reconciled_day())
        await shop.night()
        shop.institutions.answers = [Answer(Verdict.REFUSED, reason="BUSY")]
        await shop.morning()
        assert await shop.balance("partner:factor:payable") == 2000
        await shop.assert_books_agree()

        shop.institutions.answers = [DONE]
        await shop.night()
        await shop.morning()
        assert await shop.balance("partner:factor:payable") == 0
        await shop.assert_books_agree()

    async def test_an_unclear_draw_is_asked_about_and_a_refused_one_books_nothing(self, shop):
        await self.sold(shop)
        unknown = Answer(Verdict.UNKNOWN, reason="timeout")
        shop.institutions.answers = [unknown, Answer(Verdict.REFUSED, reason="NO")]
        await self.drawn(shop)

        assert [what for what, _, _ in shop.institutions.asked] == ["quote", "draw", "query"]
        assert (await self.found(shop)).state is AdvanceState.REFUSED
        assert await shop.balance("merchant:advance") == 0
        with pytest.raises(AdvanceNotOpen):
            await draw_advance(shop.deps, MERCHANT, self.ADVANCE, actor="key")

    async def test_two_quotes_cannot_both_be_drawn_beyond_the_limit(self, shop):
        await self.sold(shop)
        second = derived_id("advance", 2)
        await quote_advance(shop.deps, MERCHANT, self.ADVANCE, 2000, actor="key")
        await quote_advance(shop.deps, MERCHANT, second, 2000, actor="key")
        await draw_advance(shop.deps, MERCHANT, self.ADVANCE, actor="key")
        await draw_advance(shop.deps, MERCHANT, self.ADVANCE, actor="key")

        with pytest.raises(AdvanceNotCovered):
            await draw_advance(shop.deps, MERCHANT, second, actor="key")

    async def test_nobody_else_may_draw_it_and_without_a_partner_there_is_none(self, shop):
        await self.sold(shop)
        with pytest.raises(AdvanceUnknown):
            await draw_advance(shop.deps, derived_id("m", 2), self.ADVANCE, actor="key")
        shop.institutions = NoInstitution()
        with pytest.raises(AdvanceRefused):
            await shop.institutions.quote("1", 1)
