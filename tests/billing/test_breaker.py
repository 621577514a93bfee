"""A rail that does not answer is left alone, by every replica, and taken up again by itself."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.contract import ChargeCollected, ChargeExhausted, ChargeFailed
from services.billing.domain.attempt import AttemptState
from services.billing.domain.breaker import (
    OPEN_AFTER,
    RESTS,
    Beat,
    Breaker,
    BreakerState,
    beat_of,
    feel,
)
from services.billing.domain.findings import Failed, NotFound, Paid, RefundPending, Unclear
from services.billing.domain.instalment import InstalmentState
from services.billing.store import breakers
from services.billing.usecases.attempt_due_charges import attempt_due_charges, claim_charges
from services.billing.usecases.feel_rails import feel_rails
from services.signing.contract import Rail
from shared.api_keys import issue_key
from shared.calendar import at_in_china, day_in_china
from shared.rails.classes import FailureClass
from tests.support.billing_builders import FIRST_DUE

NOW = at_in_china(FIRST_DUE, 10)
DOWN, UP = Beat(charge=True, down="timeout"), Beat(charge=True, down=None)
ANSWERED = Beat(charge=False, down=None)


def opened(times: int = 1) -> Breaker:
    rests = Breaker("alipay", BreakerState.OPEN, OPEN_AFTER, times, NOW, NOW + RESTS[0])
    return feel(Breaker("alipay"), [DOWN] * OPEN_AFTER, now=NOW) if times == 1 else rests


def test_calls_without_an_answer_in_a_row_open_it():
    assert feel(Breaker("alipay"), [DOWN] * 4 + [UP] + [DOWN] * 4, now=NOW).failures == 4
    found = opened()
    assert (found.state, found.until_at, found.reason) == (
        BreakerState.OPEN,
        NOW + timedelta(minutes=5),
        "timeout",
    )


def test_only_a_charge_closes_it_again_and_each_rest_is_longer():
    half = Breaker("alipay", BreakerState.HALF_OPEN, OPEN_AFTER, 1, NOW, NOW)
    assert feel(half, [ANSWERED], now=NOW) == half
    assert feel(half, [UP], now=NOW) == Breaker("alipay")
    again = feel(half, [DOWN], now=NOW)
    assert (again.state, again.opens) == (BreakerState.OPEN, 2)
    assert again.until_at == NOW + timedelta(minutes=10)
    assert feel(opened(), [UP, DOWN], now=NOW) == opened()


@given(st.lists(st.sampled_from([DOWN, UP, ANSWERED])))
def test_it_is_open_exactly_when_the_rail_says_when_to_try_again(beats):
    found = feel(Breaker("alipay"), beats, now=NOW)

    assert (found.state is BreakerState.CLOSED) is (found.until_at is None)


@pytest.mark.parametrize(
    ("finding", "down"),
    [
        (Unclear("http_status"), "http_status"),
        (Unclear("disconnected"), "disconnected"),
        (Unclear("bad_signature"), None),
        (Failed(FailureClass.RETRY_LATER, "FREQUENCY_LIMITED"), "FREQUENCY_LIMITED"),
        (Failed(FailureClass.RETRY_LATER, "NOTENOUGH"), None),
        (RefundPending("timeout"), "timeout"),
        (NotFound(), None),
        (Paid("1", 1), None),
    ],
)
def test_no_answer_a_5xx_and_too_fast_count_as_down(finding, down):
    assert beat_of(finding, charge=True).down == down


async def many_due(world, rail: Rail, count: int):
    agreements = [
        await world.signed(n, rail=rail, periods=1, payer=f"2088{n:012d}")
        for n in range(1, count + 1)
    ]
    rows = [await world.instalment(one) for one in agreements]
    day = rows[0].charge_on
    first = at_in_china(day, 9)
    await world.live_until(first - timedelta(minutes=1))
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE instalments SET next_try_at = $1, charge_at = $1", first)
    return agreements, day


async def state_of(world, rail: Rail) -> BreakerState:
    async with world.db.connection() as conn:
        found = {one.rail: one.state for one in await breakers.every(conn)}
    return found.get(rail.value, BreakerState.CLOSED)


@pytest.mark.parametrize("rail", Rail)
async def test_an_outage_of_the_morning_costs_no_try_and_the_run_resumes_by_itself(world, rail):
    agreements, day = await many_due(world, rail, 12)
    noon = at_in_china(day, 12)
    await world.faulty(rail.value, {"on": "*", "do": "outage", "until": noon.isoformat()})

    await world.live_until(at_in_china(day, 11))
    during = await state_of(world, rail)
    rows = [await world.instalment(one) for one in agreements]
    asked = [one for row in rows for one in await world.attempts(row)]
    await world.live_until(at_in_china(day, 17))

    assert during is BreakerState.OPEN
    assert len(asked) == len(rows)
    rows = [await world.instalment(one) for one in agreements]
    assert Counter(row.state for row in rows) == {InstalmentState.PAID: 12}
    assert all(row.auto_tries == 1 for row in rows)
    assert {day_in_china(row.paid_at) for row in rows} == {day}
    assert (world.said(ChargeFailed), world.said(ChargeExhausted)) == ([], [])
    assert len(world.said(ChargeCollected)) == 12
    assert (await world.books(rail.value))["captures"] == 12
    assert await state_of(world, rail) is BreakerState.CLOSED


async def test_while_it_rests_one_order_goes_and_the_others_wait(world):
    agreements, day = await many_due(world, Rail.ALIPAY, 8)
    at_nine = at_in_china(day, 9)
    await feel_rails(world.deps, [("alipay", DOWN)] * OPEN_AFTER, now=at_nine)
    world.clock.set(at_nine)

    assert (await claim_charges(world.deps)).attempts == []
    await world._set(at_in_china(day, 9, 15))
    first = await claim_charges(world.deps)
    rows = [await world.instalment(one) for one in agreements]

    assert len(first.attempts) == 1
    assert await state_of(world, Rail.ALIPAY) is BreakerState.HALF_OPEN
    assert Counter(row.state for row in rows) == {
        InstalmentState.COLLECTING: 1,
        InstalmentState.DUE: 7,
    }
    await world.live_until(at_in_china(day, 10))
    assert len(world.said(ChargeCollected)) == 8


async def test_orders_of_a_batch_are_not_sent_to_a_rail_that_stopped_answering(world):
    _, day = await many_due(world, Rail.ALIPAY, 12)
    await world.faulty("alipay", {"on": "pay", "do": "http_500", "times": 50})
    world.clock.set(at_in_china(day, 9))
    narrow = world.deps.__class__(
        **{
            name: getattr(world.deps, name)
            for name in world.deps.__dataclass_fields__
            if name != "terms"
        },
        terms=world.deps.terms.__class__(in_flight=1, lanes=1),
    )

    await attempt_due_charges(narrow)

    left = (await world.ask("alipay", "GET", "/faults/*"))["steps"][0]["times"]
    assert 50 - left == OPEN_AFTER
    async with world.db.connection() as conn:
        states = await conn.fetch("SELECT DISTINCT state FROM attempts")
    assert [row["state"] for row in states] == [AttemptState.UNKNOWN]


async def test_too_fast_is_nobodys_refusal(world):
    agreement = await world.signed(rail=Rail.WECHATPAY, periods=1)
    await world.faulty("wechatpay", {"on": "apply", "do": "decline:FREQUENCY_LIMITED", "times": 2})

    await world.live(days=12)

    row = await world.instalment(agreement)
    assert row.state is InstalmentState.PAID
    assert row.auto_tries == 1
    assert world.said(ChargeFailed) == []


async def test_operators_see_how_the_rails_stand_and_what_they_permit(world):
    async with world.db.transaction() as conn:
        now = world.clock.now()
        key = await issue_key(conn, tenant_id=None, scopes=["ops:read"], name="ops", now=now)
    await feel_rails(world.deps, [("bankcard", DOWN)] * OPEN_AFTER, now=now)

    headers = {"Authorization": f"Bearer {key}"}
    async with world.http.get(f"{world.base_url}/v1/rails", headers=headers) as answer:
        assert answer.status == 200
        rails = {one["rail"]: one for one in (await answer.json())["rails"]}
    async with world.http.get(f"{world.base_url}/v1/rails") as stranger:
        assert stranger.status == 401

    assert {name: one["state"] for name, one in rails.items()} == {
        "alipay": "closed",
        "bankcard": "open",
        "wechatpay": "closed",
    }
    assert rails["bankcard"]["reason"] == "timeout"
    products = {one["product"]: one for rail in rails.values() for one in rail["products"]}
    assert products["wechat_24h"]["attempts_per_window"] == 1
    assert products["alipay_cycle"]["charge_days"] == list(range(1, 29))
    assert products["wechat_prenotice"]["calls_per_s"] == 150
