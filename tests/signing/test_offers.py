"""What a price and an offer come to: tables worked out by hand, and what always holds."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.contract import LineKind, OverduePenalty
from services.signing.domain.annual_rate import annual_rate, rate_of
from services.signing.domain.credit_tiers import threshold_for
from services.signing.domain.errors import PlanInvalid
from services.signing.domain.offer import GIVEN, Offer, Price, parts, require_offer
from services.signing.domain.plan import LegalType, PlanVersion, require_consistent
from shared.errors import Problem
from tests.support.signing_plans import a_plan, amounts_of
from tests.support.tables import strict, yaml_cases

PRICES = yaml_cases(
    "price_lines.yaml",
    needed=("name", "total", "periods", "amounts"),
    optional=("cash", "offer", "down", "bonus", "interest", "nominal", "effective"),
    count=21,
)
REFUSED = yaml_cases(
    "offers_refused.yaml",
    needed=("name", "code"),
    optional=("total", "cash", "periods", "offer", "penalty", "legal_type", "bundle"),
    count=32,
)
OFFER_KEYS = tuple(Offer.__dataclass_fields__)


def offer_of(case: dict[str, Any]) -> Offer:
    return Offer(**strict("offer", case.get("offer", {}), allowed=OFFER_KEYS))


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", PRICES, ids=named)
def test_a_price_comes_to_what_was_worked_out_by_hand(case):
    price = Price(case["total"], case.get("cash", case["total"]), case["periods"])
    offer = offer_of(case)
    require_offer(price, offer)

    made = parts(price, offer)

    down_fen = case.get("down", 0)
    assert [part.amount_fen for part in made if part.seq] == amounts_of(case["amounts"])
    assert sum(part.amount_fen for part in made if not part.seq) == down_fen
    assert sum(part.bonus_fen for part in made) == case.get("bonus", 0)
    interest = [line for part in made for line in part.lines if line.kind in INTEREST]
    assert sum(line.amount_fen for line in interest) == case.get("interest", 0)


INTEREST = {LineKind.INTEREST, LineKind.INTEREST_FREE}


@pytest.mark.parametrize("case", [case for case in PRICES if "nominal" in case], ids=named)
def test_its_rate_is_the_one_that_was_worked_out(case):
    financed_fen = case.get("cash", case["total"]) - case.get("down", 0)

    rate = annual_rate(financed_fen, amounts_of(case["amounts"]))

    assert abs(rate.nominal_percent - Decimal(case["nominal"])) <= Decimal("0.01")
    assert abs(rate.effective_percent - Decimal(case["effective"])) <= Decimal("0.01")


def plan_of(case: dict[str, Any]) -> PlanVersion:
    total_fen = case.get("total", 600_000)
    penalty = case.get("penalty")
    return a_plan(
        total_fen=total_fen,
        cash_price_fen=case.get("cash", total_fen),
        periods=case.get("periods", 12),
        legal_type=LegalType(case.get("legal_type", "prepaid")),
        offer=offer_of(case),
        bundle_fen=case.get("bundle", 0),
        overdue_penalty=None if penalty is None else OverduePenalty.model_validate(penalty),
    )


def judge(plan: PlanVersion) -> None:
    """Check a plan as its publication does."""
    require_consistent(plan)
    rate_of(plan)
    threshold_for(plan)


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_what_cannot_be_offered_is_refused_by_its_code(case):
    with pytest.raises(Problem) as refused:
        judge(plan_of(case))

    assert refused.value.code == case["code"]
    assert refused.value.status == PlanInvalid.status


def test_a_sale_may_ask_a_penalty_up_to_four_times_the_lpr():
    penalty = OverduePenalty(rate_ppm_per_day=328, grace_days=3, cap_per_mille=100)

    judge(a_plan(legal_type=LegalType.INSTALMENT_SALE, overdue_penalty=penalty))


@st.composite
def offered(draw: st.DrawFn) -> tuple[Price, Offer]:
    """Draw any price with any offer, sensible or not."""
    periods = draw(st.integers(1, 24))
    total_fen = draw(st.integers(periods, 2_000_000))
    cash_fen = draw(st.integers(max(1, total_fen - total_fen // 5), total_fen))
    offer = Offer(
        discount_fen=draw(st.integers(0, 20_000)),
        free_periods=draw(st.lists(st.integers(1, 24), unique=True, max_size=4)),
        first_month_half=draw(st.booleans()),
        interest_free_months=draw(st.integers(0, 3)),
        down_payment_fen=draw(st.sampled_from([0, 0, 9_900, total_fen // 3])),
        round_to_fen=draw(st.sampled_from([1, 100])),
    )
    return Price(total_fen, cash_fen, periods), offer


@given(offered())
def test_what_is_offered_adds_up_or_is_refused(drawn):
    price, offer = drawn
    try:
        require_offer(price, offer)
    except PlanInvalid:
        return
    made = parts(price, offer)

    lines = [line for part in made for line in part.lines]
    given_fen = -sum(line.amount_fen for line in lines if line.amount_fen < 0)
    paid_fen = sum(part.amount_fen for part in made)
    assert paid_fen + given_fen == price.total_fen
    assert [part.seq for part in made if part.seq] == list(range(1, price.periods + 1))
    assert all(part.amount_fen >= 0 for part in made)
    assert {part.seq for part in made if part.amount_fen == 0} == set(offer.free_periods)
    bonus_fen = -sum(line.amount_fen for line in lines if line.kind in GIVEN)
    assert sum(part.bonus_fen for part in made) == bonus_fen >= 0
    for part in made:
        assert part.amount_fen == sum(line.amount_fen for line in part.lines)
        assert part.lines[0].kind is LineKind.BASE


@given(offered())
def test_even_periods_differ_by_less_than_one_unit_each(drawn):
    price, offer = drawn
    plain = Offer(round_to_fen=offer.round_to_fen)
    try:
        require_offer(price, plain)
    except PlanInvalid:
        return
    *amounts, last = [part.amount_fen for part in parts(price, plain)]

    assert len(set(amounts)) <= 1
    assert abs(last - (amounts or [last])[0]) <= plain.round_to_fen * price.periods
