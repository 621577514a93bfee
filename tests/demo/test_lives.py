"""The table of lives: strict data, everybody of a kind in it, people who could exist."""

from datetime import date

import pytest

from deploy.demo.lives import BEGIN, MINIMUM, PayNow, Trouble, lives, moments
from deploy.demo.people import Person
from deploy.demo.shop import GOODS, MERCHANTS, PLANS
from deploy.sandbox.kit_faults import FaultKind
from services.signing.domain.resident_id import born_on, normalise_mobile, require_adult
from services.signing.domain.schedule import first_due_on
from shared.calendar import at_in_china

TODAY = date(2026, 12, 1)


def test_there_are_at_least_24_lives_at_two_merchants_on_both_rails():
    cast = lives()

    assert len(cast) == MINIMUM >= 24
    assert {life.plan.merchant for life in cast} == {"miao", "wang"}
    assert {life.rail for life in cast} == {"alipay", "wechatpay"}
    assert len({life.key for life in cast}) == len(cast)


def test_more_customers_are_more_good_years_and_fewer_are_refused():
    cast = lives(MINIMUM + 5)

    assert len({life.person.id_number for life in cast}) == MINIMUM + 5
    assert all(life.key.startswith("happy") for life in cast[MINIMUM:])
    with pytest.raises(ValueError, match="At least 24"):
        lives(MINIMUM - 1)


@pytest.mark.parametrize("number", range(1, 200))
def test_everybody_is_an_adult_with_a_valid_number_and_a_phone(number):
    person = Person(number)

    assert born_on(person.id_number, today=TODAY) < TODAY
    require_adult(person.id_number, today=TODAY)
    assert normalise_mobile(person.phone) == person.phone


def test_all_that_happens_comes_after_the_signature_and_within_the_year():
    end = at_in_china(date(2027, 12, 1), 9)
    for life in lives():
        assert BEGIN < life.signs_at < end
        assert all(life.signs_at < what.when < end for what in life.acts), life.key
        assert first_due_on(life.signs_at, charge_day=life.charge_day) < date(2027, 1, 1)
        assert life.expect.paid <= min(12, life.plan.periods), life.key
    assert moments(lives()) == sorted(set(moments(lives())))


def test_fault_scripts_say_only_what_a_simulator_understands():
    troubles = [what for life in lives() for what in life.acts if isinstance(what, Trouble)]

    assert len(troubles) >= 10
    for trouble in troubles:
        assert trouble.simulator in {"alipay", "wechatpay", "sms"}
        for _, do, _ in trouble.steps:
            assert FaultKind(do.partition(":")[0])


def test_whoever_pays_by_link_pays_a_period_of_the_plan():
    for life in lives():
        for what in life.acts:
            if isinstance(what, PayNow):
                assert 1 <= what.seq <= life.plan.periods


def test_plans_hold_only_goods_of_their_merchant_and_cost_what_they_bring():
    sold = {(good.merchant, good.sku) for good in GOODS}
    for plan in PLANS:
        assert plan.merchant in {one.key for one in MERCHANTS}
        assert plan.bundle_fen <= plan.monthly_fen
        for skus in plan.bundles.values():
            assert {(plan.merchant, sku) for sku in skus} <= sold
    for good in GOODS:
        costs = {other.sku: other.cost_fen for other in GOODS}
        assert not good.substitute or costs[good.substitute] <= good.cost_fen
