"""Rails with rules of their own, told by date: WeChat's 24-hour mode, Alipay's plan, the night."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.billing.contract import (
    ChargeCollected,
    ChargeExhausted,
    InstalmentPostponed,
    TaskOpened,
)
from services.billing.domain.attempt import AttemptState
from services.billing.domain.findings import Paid
from services.billing.domain.history import Actor
from services.billing.domain.instalment import InstalmentState
from services.billing.store import attempts, instalments
from services.billing.usecases.attempt_due_charges import claim_charges
from services.billing.usecases.settle_charge import Learned, settle_all
from services.billing.usecases.sweep_unsettled import sweep_unsettled
from services.signing.contract import Rail
from shared.calendar import CHINA, at_in_china, day_in_china
from tests.support.billing_builders import AMOUNT_FEN

PLAN = "/plans/130001"
DAY = timedelta(days=1)


async def slow(world, **terms):
    await world.ask("wechatpay", "PUT", PLAN, {"mode": "24h"})
    return await world.signed(rail=Rail.WECHATPAY, product="wechat_24h", **terms)


async def test_wechat_keeps_an_accepted_order_for_a_day_and_then_pays(world):
    agreement = await slow(world, periods=2)
    first = await world.instalment(agreement)
    await world.faulty("wechatpay", {"on": "notify", "do": "drop", "times": 9})

    await world.live_until(first.charge_at + timedelta(hours=23))
    (waiting,) = await world.attempts(first)
    asked_during = waiting.queries
    await world.live_until(first.charge_at + timedelta(hours=26))
    paid = await world.instalment(agreement)
    await world.live(days=40)

    assert (waiting.state, asked_during) == (AttemptState.SENT, 0)
    assert waiting.query_at == waiting.created_at + DAY
    assert paid.state is InstalmentState.PAID
    assert (await world.attempts(paid))[0].queries >= 1
    assert paid.paid_at is not None
    assert day_in_china(paid.paid_at) == first.charge_on + DAY
    assert [body["seq"] for body in world.said(ChargeCollected)] == [1, 2]
    books = await world.ask("wechatpay", "GET", "/books")
    assert books["summary"]["captured_fen"] == 2 * AMOUNT_FEN
    assert books["summary"]["double_captures"] == 0
    assert "prenotices" not in books


async def test_an_order_that_wechat_refuses_after_a_day_is_the_only_try(world):
    agreement = await slow(world, periods=1)
    await world.faulty("wechatpay", {"on": "pay", "do": "decline:NOTENOUGH"})

    await world.live(days=14)

    row = await world.instalment(agreement)
    (only,) = await world.attempts(row)
    assert (row.state, only.failure_code) == (InstalmentState.OVERDUE, "NOTENOUGH")
    assert only.settled_at is not None
    assert only.settled_at - only.created_at >= DAY
    assert len(world.said(ChargeExhausted)) == 1


async def test_no_second_order_of_a_contract_while_one_is_accepted(world):
    agreement = await slow(world, periods=2)
    one, two = await world.instalments(agreement)
    await world.live_until(one.charge_at + timedelta(minutes=20))
    next_day = at_in_china(one.charge_on + DAY, 9)
    async with world.db.transaction() as conn:  # a postponement brought them together
        moved = replace(two, charge_on=one.charge_on + DAY, charge_at=next_day)
        await instalments.save(conn, [replace(moved, next_try_at=next_day)])
    await world._set(next_day)

    run = await claim_charges(world.deps)

    assert run.attempts == []
    ((_, reasons, _),) = run.refused
    assert "rail_order_open" in reasons
    (open_one,) = await world.attempts(one)
    assert open_one.state is AttemptState.SENT


async def test_an_answer_hidden_by_wechat_in_24_hour_mode_is_asked_about_soon(world):
    agreement = await slow(world, periods=1)
    await world.faulty("wechatpay", {"on": "apply", "do": "hide_answer"})
    row = await world.instalment(agreement)

    await world.live_until(row.charge_at + timedelta(minutes=30))

    (known,) = await world.attempts(row)
    assert (known.state, known.queries) == (AttemptState.SENT, 1)
    await world.live(days=2)
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    assert (await world.books("wechatpay"))["captures"] == 1


async def behind_its_plan(world):
    """An agreement whose period was missed at the rail, so that its plan must be moved."""
    agreement = await world.signed(periods=1)
    row = await world.instalment(agreement)
    later = row.charge_on + timedelta(days=3)
    async with world.db.transaction() as conn:
        again = replace(row, charge_on=later, charge_at=row.charge_at + timedelta(days=3))
        await instalments.save(conn, [replace(again, next_try_at=again.charge_at)])
    return agreement, again


async def test_a_plan_that_the_rail_moves_lets_the_charge_go_the_same_day(world):
    agreement, row = await behind_its_plan(world)

    await world.live_until(row.charge_at + timedelta(hours=1))

    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    assert world.said(TaskOpened) == []


async def test_a_plan_whose_answer_was_hidden_is_asked_about_and_the_charge_goes(world):
    agreement, row = await behind_its_plan(world)
    await world.faulty("alipay", {"on": "modify", "do": "hide_answer"})

    await world.live_until(row.charge_at + timedelta(hours=1))

    assert (await world.instalment(agreement)).state is InstalmentState.PAID


@pytest.mark.parametrize("do", ["decline:SYSTEM_ERROR", "decline:INVALID_PARAMETER", "http_500"])
async def test_a_plan_that_the_rail_does_not_move_is_tried_again_and_a_person_told(world, do):
    agreement, row = await behind_its_plan(world)
    until = at_in_china(row.charge_on, 23).isoformat()
    await world.faulty("alipay", {"on": "modify", "do": do, "until": until})

    await world.live_until(row.charge_at + timedelta(hours=3))
    waiting = await world.instalment(agreement)
    await world.live_until(row.charge_at + timedelta(days=30))

    assert waiting.state is InstalmentState.DUE
    assert [body["kind"] for body in world.said(TaskOpened)] == ["plan_not_moved"]
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    assert (await world.books("alipay"))["captures"] == 1


async def test_a_plan_that_is_never_moved_charges_nobody_and_time_goes_on(world):
    agreement, row = await behind_its_plan(world)
    until = (row.charge_at + timedelta(days=90)).isoformat()
    await world.faulty(
        "alipay", {"on": "modify", "do": "decline:INVALID_PARAMETER", "until": until}
    )

    await world.live_until(row.charge_at + timedelta(days=3))

    assert len(world.said(InstalmentPostponed)) >= 1
    assert (await world.books("alipay"))["captures"] == 0
    assert (await world.instalment(agreement)).tries == 0


async def test_an_order_sent_again_lives_for_an_hour_from_then(world):
    agreement = await world.signed(periods=1)
    row = await world.instalment(agreement)
    gone = {"on": "pay", "do": "http_500"}
    unasked = {"on": "query", "do": "http_500", "times": 4}
    await world.faulty("alipay", gone, unasked, {"on": "pay", "do": "hide_answer"})

    await world.live_until(row.charge_at + timedelta(hours=3))

    (attempt,) = await world.attempts(row)
    assert attempt.state is AttemptState.SUCCEEDED
    assert attempt.expires_at > attempt.created_at + timedelta(hours=1, minutes=20)


async def test_a_person_is_called_once_also_when_a_count_was_missed(world):
    agreement = await world.signed(periods=1)
    row = await world.instalment(agreement)
    far = (row.charge_at + timedelta(days=3)).isoformat()
    await world.faulty("alipay", {"on": "pay", "do": "http_500"})
    await world.faulty("alipay", {"on": "*", "do": "http_500", "until": far})
    await world.live_until(row.charge_at + timedelta(hours=1))
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE attempts SET queries = 77")

    await world.live(hours=4)

    assert [body["kind"] for body in world.said(TaskOpened)] == ["charge_unclear"]


async def test_one_case_that_cannot_be_settled_holds_up_no_other(world):
    rows = []
    for n in (1, 2, 3):
        agreement = await world.signed(n, periods=1, payer=f"2088{n:012d}")
        rows.append(await world.instalment(agreement))
    await world.live_until(at_in_china(rows[0].charge_on, 8, 59))
    nine = at_in_china(rows[0].charge_on, 9)
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE instalments SET next_try_at = $1", nine)
    world.clock.set(nine)
    run = await claim_charges(world.deps)
    broken = run.attempts[1]
    poison = "a number that no database takes \0"

    await settle_all(
        world.deps,
        [
            Learned(one, Paid(poison if one is broken else one.trade_no, AMOUNT_FEN, nine))
            for one in run.attempts
        ],
        actor=Actor.BILLING_RUN,
    )

    async with world.db.connection() as conn:
        after = {
            one.attempt_id: one
            for one in await attempts.by_ids(conn, [a.attempt_id for a in run.attempts])
        }
    assert after[broken.attempt_id].state is AttemptState.SENT
    assert after[broken.attempt_id].query_at == nine + timedelta(hours=1)
    others = [one.state for key, one in after.items() if key != broken.attempt_id]
    assert others == [AttemptState.SUCCEEDED] * 2


async def test_the_night_wakes_what_is_old_and_shows_how_old_everything_is(world):
    agreement = await slow(world, periods=1)
    row = await world.instalment(agreement)
    await world.live_until(row.charge_at + timedelta(minutes=20))
    night = at_in_china(row.charge_on + DAY, 4)
    await world._set(night)
    assert await sweep_unsettled(world.deps) == 0  # accepted orders rest by the rail's own rule
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE attempts SET query_at = $1", night + timedelta(days=9))

    assert await sweep_unsettled(world.deps) == 1

    (woken,) = await world.attempts(row)
    assert woken.query_at == night
    await world.live(days=2)
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    assert await sweep_unsettled(world.deps) == 0


async def test_an_instalment_that_no_job_would_see_again_is_brought_up(world):
    agreement = await world.signed(periods=1)
    row = await world.instalment(agreement)
    async with world.db.transaction() as conn:
        await instalments.save(conn, [replace(row, next_try_at=None)])
    await world.live_until(at_in_china(row.charge_on + DAY, 4))

    assert await sweep_unsettled(world.deps) == 1

    found = await world.instalment(agreement)
    assert found.next_try_at is not None
    assert found.next_try_at.astimezone(CHINA).hour == 9
    await world.live(days=20)
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
