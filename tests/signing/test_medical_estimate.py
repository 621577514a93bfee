"""Treatments: a merchant's own list, and low, likely and high in a plan's periods."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.domain.annual_rate import cap_percent
from services.signing.domain.errors import PlanInvalid, RateAboveCap
from services.signing.domain.medical_estimate import ProcedurePrice, estimate
from services.signing.domain.offer import Offer
from services.signing.domain.plan import LegalType, PlanKind
from shared.ids import new_id
from tests.support.signing_builders import NOON, plan_body
from tests.support.signing_plans import a_plan

PRICE = {
    "name": "绝育手术",
    "low_fen": 80_000,
    "likely_fen": 120_000,
    "high_fen": 250_001,
    "insurance_per_mille": 600,
}
LIST = "/v1/procedure-prices/spay/cat"


def a_price(low_fen=80_000, likely_fen=120_000, high_fen=250_001, insurance_per_mille=600):
    return ProcedurePrice(
        new_id(),
        "spay",
        "cat",
        "绝育手术",
        low_fen,
        likely_fen,
        high_fen,
        insurance_per_mille,
        changed_at=NOON,
    )


@st.composite
def medical(draw):
    """Draw any plan for treatments, within the cap or not, and any line of a list."""
    cash_fen = draw(st.integers(10_000, 2_000_000))
    plan = a_plan(
        kind=PlanKind.MEDICAL,
        legal_type=draw(st.sampled_from(LegalType)),
        periods=draw(st.integers(1, 12)),
        cash_price_fen=cash_fen,
        total_fen=cash_fen * draw(st.integers(950, 1_150)) // 1_000,
        offer=Offer(
            down_payment_per_mille=draw(st.sampled_from([0, 200, 300])),
            first_month_half=draw(st.booleans()),
            interest_free_months=draw(st.integers(0, 1)),
            round_to_fen=draw(st.sampled_from([1, 100])),
        ),
    )
    low, likely, high = sorted(draw(st.tuples(*[st.integers(1, 10**7)] * 3)))
    return plan, a_price(low, likely, high, draw(st.none() | st.integers(1, 1_000)))


@given(drawn=medical(), day=st.integers(1, 28))
def test_every_amount_adds_up_exactly_or_the_estimate_is_refused(drawn, day):
    plan, price = drawn
    try:
        outcomes = estimate(plan, price, charge_day=day, now=NOON)
    except (PlanInvalid, RateAboveCap):
        return

    assert [one.likelihood for one in outcomes] == ["low", "likely", "high"]
    assert [one.cost_fen for one in outcomes] == list(price.costs_fen.values())
    for one in outcomes:
        _adds_up(one.terms, one.cost_fen, plan)
        assert (one.insured is None) == (price.insurance_per_mille is None)
        if one.insured is not None:
            assert one.insured.covered_fen + one.insured.own_fen == one.cost_fen
            assert one.insured.own_fen >= 0
            if one.insured.terms is not None:
                _adds_up(one.insured.terms, one.insured.own_fen, plan)


def _adds_up(terms, cost_fen, plan):
    paid_fen = sum(one.amount_fen for one in terms.instalments)
    lines = [line for one in terms.instalments for line in one.lines]
    given_fen = -sum(line.amount_fen for line in lines if line.amount_fen < 0)
    assert paid_fen == terms.plan.payable_fen
    assert paid_fen + given_fen == terms.plan.total_fen
    assert terms.plan.cash_price_fen == cost_fen
    # The price of paying in periods keeps its proportion to half a fen.
    exact = cost_fen * plan.total_fen / plan.cash_price_fen
    assert abs(terms.plan.total_fen - exact) <= 0.5 + exact * 1e-12
    assert terms.rate.higher_percent <= cap_percent(plan.legal_type)
    assert len([one for one in terms.instalments if one.seq]) == plan.periods


def insured_of(outcomes):
    """Return the outcomes with insurance, of a line that has one."""
    return [one.insured for one in outcomes if one.insured is not None]


def test_without_interest_every_price_is_paid_to_the_fen():
    outcomes = estimate(a_plan(kind=PlanKind.MEDICAL), a_price(), charge_day=15, now=NOON)

    amounts = [[one.amount_fen for one in outcome.terms.instalments] for outcome in outcomes]
    assert amounts == [
        [6_666] * 11 + [6_674],
        [10_000] * 12,
        [20_833] * 11 + [20_838],
    ]
    insured = insured_of(outcomes)
    assert [(one.covered_fen, one.own_fen) for one in insured] == [
        (48_000, 32_000),
        (72_000, 48_000),
        (150_001, 100_000),
    ]
    rates = [one.terms.rate.effective_percent for one in insured if one.terms is not None]
    assert rates == [Decimal(0)] * 3


def test_what_insurance_leaves_too_small_for_periods_is_paid_at_once():
    plan = a_plan(kind=PlanKind.MEDICAL, offer=Offer(down_payment_fen=50_000))

    outcomes = estimate(plan, a_price(), charge_day=15, now=NOON)
    everything = estimate(plan, a_price(insurance_per_mille=1_000), charge_day=15, now=NOON)

    assert [one.terms is None for one in insured_of(outcomes)] == [True, True, False]
    assert [one.own_fen for one in insured_of(everything)] == [0, 0, 0]
    assert all(one.terms is None for one in insured_of(everything))


def on_credit(total_fen):
    return a_plan(
        kind=PlanKind.MEDICAL,
        legal_type=LegalType.INSTALMENT_SALE,
        periods=1,
        total_fen=total_fen,
        cash_price_fen=100_300,
        offer=Offer(down_payment_per_mille=300),
    )


def test_what_is_above_the_cap_at_one_price_is_refused():
    """600 fen of interest are 10.75 % a year; a fen of it on 59 would be more than 20 %."""
    assert len(estimate(on_credit(100_900), a_price(), charge_day=15, now=NOON)) == 3
    with pytest.raises(RateAboveCap):
        estimate(on_credit(100_900), a_price(low_fen=84), charge_day=15, now=NOON)
    with pytest.raises(RateAboveCap):
        estimate(on_credit(101_200), a_price(), charge_day=15, now=NOON)


async def treatment_plan(shop, **changes):
    body = {"kind": "medical", "auto_ship": False, "bundles": [], "bundle_fen": 0, "price_card": []}
    return await shop.publish(plan_body(**(body | changes)))


def asked(plan_id, **changes):
    known = {
        "procedure": "spay",
        "species": "cat",
        "plan_id": plan_id,
        "plan_version": 1,
        "rail": "alipay",
        "charge_day": 15,
    }
    pairs = (known | changes).items()
    return "/v1/medical-estimate?" + "&".join(f"{name}={value}" for name, value in pairs)


async def test_an_estimate_shows_three_outcomes_with_and_without_insurance(shop):
    sale = {
        "legal_type": "instalment_sale",
        "periods": 6,
        "monthly_fen": None,
        "total_fen": 612_600,
        "cash_price_fen": 600_000,
        "offer": {"down_payment_per_mille": 300},
    }
    plan_id = await treatment_plan(shop, **sale)
    await shop.ok("PUT", LIST, PRICE)

    shown = await shop.ok("GET", asked(plan_id))

    assert (shown["name"], shown["periods"]) == ("绝育手术", 6)
    assert shown["cap"] == {"lender": "seller", "percent": "12", "basis": "four_times_lpr"}
    assert [one["likelihood"] for one in shown["outcomes"]] == ["low", "likely", "high"]
    likely = shown["outcomes"][1]
    assert [one["amount_fen"] for one in likely["terms"]["instalments"]] == [36_000] + [14_420] * 6
    assert (likely["cost_fen"], likely["terms"]["total_fen"]) == (120_000, 122_520)
    assert (likely["terms"]["interest_fen"], likely["terms"]["score"]) == (2_520, 550)
    assert (likely["terms"]["nominal_percent"], likely["terms"]["effective_percent"]) == (
        "10.214",
        "10.706",
    )
    assert likely["terms"]["instalments"][1]["due_on"] == "2027-03-15"
    insurance = likely["insurance"]
    assert (insurance["covered_fen"], insurance["own_fen"]) == (72_000, 48_000)
    assert insurance["terms"]["cash_price_fen"] == 48_000
    for outcome in shown["outcomes"]:
        for terms in (outcome["terms"], outcome["insurance"]["terms"]):
            assert terms["total_fen"] == sum(one["amount_fen"] for one in terms["instalments"])


async def test_the_list_is_kept_and_shown_in_pages(shop):
    for procedure in ("dental", "fracture", "spay"):
        await shop.ok("PUT", f"/v1/procedure-prices/{procedure}/cat", PRICE)
    shop.clock.advance(hours=1)
    again = await shop.ok("PUT", LIST, PRICE)
    changed = await shop.ok("PUT", LIST, PRICE | {"insurance_per_mille": None})

    first = await shop.ok("GET", "/v1/procedure-prices?limit=2")
    rest = await shop.ok("GET", f"/v1/procedure-prices?limit=2&cursor={first['next_cursor']}")

    assert [one["procedure"] for one in first["items"] + rest["items"]] == [
        "dental",
        "fracture",
        "spay",
    ]
    assert rest["next_cursor"] is None
    assert (again["changed_at"], changed["changed_at"]) == (
        "2027-03-01T04:00:00Z",
        "2027-03-01T05:00:00Z",
    )
    plan_id = await treatment_plan(shop)
    shown = await shop.ok("GET", asked(plan_id))
    assert [one["insurance"] for one in shown["outcomes"]] == [None] * 3
    assert (await shop.call("DELETE", LIST)).status == 204
    for method in ("GET", "DELETE"):
        answer = await shop.call(method, LIST)
        assert (answer.status, answer.body["code"]) == (404, "procedure-unknown")


async def test_a_list_is_nothing_to_another_merchant(shop):
    plan_id = await treatment_plan(shop)
    await shop.ok("PUT", LIST, PRICE)
    stranger = await shop.key_for(new_id())

    assert (await shop.ok("GET", "/v1/procedure-prices", key=stranger))["items"] == []
    for method, path, body in (
        ("GET", LIST, None),
        ("DELETE", LIST, None),
        ("PUT", LIST, PRICE),
        ("GET", asked(plan_id), None),
    ):
        answer = await shop.call(method, path, body, key=stranger)
        assert answer.status == 404, (method, path, answer.body)
    assert (await shop.ok("GET", LIST))["likely_fen"] == 120_000
    weak = await shop.key_for(shop.merchant_id, "merchants:read")
    for method, path, body in (("GET", asked(plan_id), None), ("PUT", LIST, PRICE)):
        answer = await shop.call(method, path, body, key=weak)
        assert (answer.status, answer.body["code"]) == (403, "scope-missing")


NO_PRICES = (
    ({"likely_fen": 79_999}, 422, "procedure-price-invalid"),
    ({"high_fen": 119_999}, 422, "procedure-price-invalid"),
    ({"low_fen": 0}, 400, "malformed"),
    ({"low_fen": 1.5}, 400, "malformed"),
    ({"high_fen": 10**13 + 1}, 400, "malformed"),
    ({"insurance_per_mille": 0}, 400, "malformed"),
    ({"insurance_per_mille": 1_001}, 400, "malformed"),
    ({"name": " "}, 400, "malformed"),
    ({"price": 1}, 400, "malformed"),
)


async def test_prices_that_are_none_are_refused(shop):
    for changes, status, code in NO_PRICES:
        answer = await shop.call("PUT", LIST, PRICE | changes)
        assert (answer.status, answer.body["code"]) == (status, code), changes
    assert (await shop.ok("GET", "/v1/procedure-prices"))["items"] == []


async def test_what_could_not_be_signed_is_not_estimated(shop):
    plan_id = await treatment_plan(shop)
    short = await treatment_plan(shop, periods=3)
    await shop.ok("PUT", LIST, PRICE)

    for path, status, code in (
        (asked(plan_id, procedure="dental"), 404, "procedure-unknown"),
        (asked(plan_id, species="dog"), 404, "procedure-unknown"),
        (asked(new_id()), 404, "plan-unknown"),
        (asked(plan_id, plan_version=2), 404, "plan-unknown"),
        (asked(shop.plan_id), 422, "plan-not-medical"),
        (asked(plan_id, charge_day=29), 422, "charge-day-not-on-rail"),
        (asked(short, rail="wechatpay"), 422, "amount-above-rail"),
        (asked(plan_id, plan_version=0), 400, "malformed"),
        (asked(plan_id, plan_version=2**31), 400, "malformed"),
        (asked(plan_id, charge_day=32), 400, "malformed"),
        (asked(plan_id, procedure="A B"), 400, "malformed"),
        (asked(plan_id, colour="red"), 400, "malformed"),
        ("/v1/medical-estimate", 400, "malformed"),
    ):
        answer = await shop.call("GET", path)
        assert (answer.status, answer.body["code"]) == (status, code), path
