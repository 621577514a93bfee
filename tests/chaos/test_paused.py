"""A worker sleeps for thirteen hours between two of its steps, and does no harm when it wakes."""

from datetime import timedelta

import pytest

from services.billing.contract import ChargeCollected
from services.billing.domain.attempt import AttemptState
from services.billing.domain.instalment import InstalmentState
from services.billing.usecases.attempt_due_charges import (
    ask_rails,
    claim_charges,
    record_answers,
)
from services.notify.usecases import submit_due_messages as submitting
from services.signing.contract import Rail
from shared.db import Database
from tests.support.billing_builders import AMOUNT_FEN
from tests.support.notify_builders import NOON, a_notice, notify_for_tests

ASLEEP = timedelta(hours=13)


async def claimed(world, rail):
    """Sign, live until the charge is due, and let a worker claim it."""
    agreement = await world.signed(periods=1, rail=rail)
    row = await world.instalment(agreement)
    await world.live_until(row.charge_at - timedelta(minutes=1))
    world.clock.set(row.charge_at)
    for name in world.urls:
        await world.ask(name, "PUT", "/clock", {"now": row.charge_at.isoformat()})
    run = await claim_charges(world.deps)
    assert len(run.attempts) == 1
    return agreement, run


@pytest.mark.parametrize("rail", Rail)
async def test_asleep_before_asking_the_rail(world, rail):
    agreement, run = await claimed(world, rail)
    (mine,) = run.attempts

    await world.live_until(mine.created_at + ASLEEP)
    before = [await world.books(name) for name in world.urls]
    learned = await ask_rails(world.deps, run.attempts)
    await record_answers(world.deps, learned)

    assert [await world.books(name) for name in world.urls] == before, "a charge at night"
    await world.live(days=2)
    paid = await world.instalment(agreement)
    assert paid.state is InstalmentState.PAID
    (attempt,) = await world.attempts(paid)
    assert (attempt.state, attempt.trade_no) == (AttemptState.SUCCEEDED, mine.trade_no)
    assert len(world.said(ChargeCollected)) == 1
    assert (await world.books(rail.value))["captured_fen"] == AMOUNT_FEN


@pytest.mark.parametrize("rail", Rail)
async def test_asleep_when_the_order_had_been_given_up_meanwhile(world, rail):
    agreement, run = await claimed(world, rail)
    (mine,) = run.attempts
    await world.faulty(
        rail.value,
        {"on": "pay", "do": "outage", "until": (mine.created_at + timedelta(hours=2)).isoformat()},
    )

    await world.live_until(mine.created_at + ASLEEP)
    learned = await ask_rails(world.deps, run.attempts)
    await record_answers(world.deps, learned)
    await world.live(days=2)

    paid = await world.instalment(agreement)
    assert paid.state is InstalmentState.PAID
    done = [one for one in await world.attempts(paid) if one.state is AttemptState.SUCCEEDED]
    assert len(done) == 1
    books = await world.books(rail.value)
    assert (books["captured_fen"], books["refunded_fen"]) == (AMOUNT_FEN, 0)


@pytest.mark.parametrize("rail", Rail)
async def test_asleep_before_writing_the_answer_down(world, rail):
    agreement, run = await claimed(world, rail)
    learned = await ask_rails(world.deps, run.attempts)

    await world.live_until(run.attempts[0].created_at + ASLEEP)
    paid = await world.instalment(agreement)
    assert paid.state is InstalmentState.PAID, "others found out"
    settled = await world.attempts(paid)
    await record_answers(world.deps, learned)

    assert await world.instalment(agreement) == paid
    assert await world.attempts(paid) == settled
    assert len(world.said(ChargeCollected)) == 1


async def test_a_message_is_not_sent_by_who_slept_before_sending(notify_db: Database):
    notify = await notify_for_tests(notify_db)
    await notify.meet()
    await notify.hear(a_notice())
    mine = await submitting.claim(notify.deps)
    assert len(mine) == 2

    await notify.live_until(NOON + ASLEEP)
    sent = [list(sender.sent) for sender in (notify.sms, notify.wechat, notify.alipay)]
    outcomes = await submitting.call_providers(notify.deps, mine)
    await submitting.settle_answers(notify.deps, outcomes)

    assert outcomes == []
    assert [list(s.sent) for s in (notify.sms, notify.wechat, notify.alipay)] == sent
