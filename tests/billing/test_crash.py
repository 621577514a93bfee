"""Killed between any two steps and started again, billing ends in the same books."""

import asyncio
from datetime import timedelta

import pytest

from services.billing.contract import ChargeCollected, RefundSucceeded
from services.billing.domain.attempt import AttemptState
from services.billing.domain.findings import Failed
from services.billing.domain.history import Actor
from services.billing.domain.instalment import InstalmentState
from services.billing.store import agreements, attempts, notices, refunds
from services.billing.usecases import pay_now as paying
from services.billing.usecases.attempt_due_charges import (
    ask_rails,
    attempt_due_charges,
    claim_charges,
    record_answers,
)
from services.billing.usecases.pay_now import pay_now
from services.billing.usecases.settle_charge import Learned, settle_charges
from services.signing.contract import Rail
from services.wallet.contract import RefundRequested
from shared.ids import new_id
from shared.rails.classes import FailureClass
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT
from tests.support.billing_world import BUYER


async def until_due(world, **terms):
    agreement = await world.signed(periods=1, **terms)
    row = await world.instalment(agreement)
    await world.live_until(row.charge_at - timedelta(minutes=1))
    world.clock.set(row.charge_at)
    for rail in world.urls:
        await world.ask(rail, "PUT", "/clock", {"now": row.charge_at.isoformat()})
    return agreement


async def paid_once(world, agreement, rail):
    await world.live(days=2)
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    assert len(world.said(ChargeCollected)) == 1
    books = await world.books(rail.value)
    assert (books["captured_fen"], books["double_captures"]) == (AMOUNT_FEN, 0)
    return await world.attempts(await world.instalment(agreement))


@pytest.mark.parametrize("rail", Rail)
async def test_killed_after_writing_and_before_asking(world, rail):
    agreement = await until_due(world, rail=rail)

    run = await claim_charges(world.deps)
    assert len(run.attempts) == 1

    assert len(await paid_once(world, agreement, rail)) == 1


@pytest.mark.parametrize("rail", Rail)
async def test_killed_after_asking_and_before_recording(world, rail):
    agreement = await until_due(world, rail=rail)
    await world.faulty(rail.value, {"on": "notify", "do": "drop"})

    run = await claim_charges(world.deps)
    await ask_rails(world.deps, run.attempts)

    assert len(await paid_once(world, agreement, rail)) == 1


async def test_the_answer_and_the_notification_are_recorded_once(world):
    agreement = await until_due(world)

    run = await claim_charges(world.deps)
    learned = await ask_rails(world.deps, run.attempts)
    await world.live(minutes=2)  # the notification was faster
    for _ in range(2):
        await record_answers(world.deps, learned)

    assert len(await paid_once(world, agreement, Rail.ALIPAY)) == 1


async def test_two_workers_take_an_instalment_once(world):
    agreement = await until_due(world)

    await asyncio.gather(*(attempt_due_charges(world.deps) for _ in range(4)))

    assert len(await paid_once(world, agreement, Rail.ALIPAY)) == 1


async def test_killed_between_opening_a_payment_and_answering_the_customer(world):
    agreement = await world.signed(periods=1)
    row = await world.instalment(agreement)

    async with world.db.transaction() as conn:
        locked = await agreements.lock(conn, agreement)
        attempt = await paying.prepare_payment(conn, locked, row, None, now=world.clock.now())
    first = await world.deps.rails["alipay"].open_payment(attempt)
    again = await pay_now(world.deps, row.pay_token, amount_fen=None)

    assert again.attempt.trade_no == attempt.trade_no
    assert again.client == dict(first.client)


async def test_an_order_that_may_not_be_repeated_stays_unclear_while_it_could_be_booked(world):
    agreement = await until_due(world)
    await claim_charges(world.deps)
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE mandates SET state = 'revoked'")

    await world.live(minutes=50)
    (unclear,) = await world.attempts(await world.instalment(agreement))
    await world.live(hours=2)
    (ended,) = await world.attempts(await world.instalment(agreement))

    assert unclear.state is AttemptState.UNKNOWN
    assert (ended.state, ended.failure_code) == (AttemptState.FAILED, "not_arrived")


@pytest.mark.parametrize("rail", Rail)
async def test_a_payment_nobody_made_expires_and_the_automatic_charge_follows(world, rail):
    agreement = await until_due(world, rail=rail)
    row = await world.instalment(agreement)
    await pay_now(world.deps, row.pay_token, amount_fen=None)

    tries = await paid_once(world, agreement, rail)

    assert [(one.kind.value, one.state.value) for one in tries] == [
        ("pay_now", "failed"),
        ("automatic", "succeeded"),
    ]


async def test_money_that_arrives_second_goes_back_by_itself(world):
    agreement = await until_due(world)
    row = await world.instalment(agreement)
    payment = await pay_now(world.deps, row.pay_token, amount_fen=None)
    async with world.db.transaction() as conn:
        lost = Learned(payment.attempt, Failed(FailureClass.NEEDS_CUSTOMER, "lost"))
        await settle_charges(conn, [lost], world.deps, now=world.clock.now(), actor=Actor.QUERY)
    await world.work()
    assert (await world.instalment(agreement)).state is InstalmentState.PAID

    doc = {"trade_no": payment.client["tradeNO"]}
    await world.ask("alipay", "POST", f"/users/{BUYER}/pay", doc)
    await world.live(minutes=5)

    assert len(world.said(ChargeCollected)) == 1
    (returned,) = world.said(RefundSucceeded)
    assert returned["settlement_id"] is None
    books = await world.books("alipay")
    assert books["captured_fen"] - books["refunded_fen"] == AMOUNT_FEN


@pytest.mark.parametrize("rail", Rail)
@pytest.mark.parametrize("sent", [True, False])
async def test_killed_around_a_refund_returns_the_money_once(world, rail, sent):
    agreement = await world.signed(periods=1, rail=rail)
    await world.live(days=12)
    await world.hear(
        RefundRequested(
            event_id=new_id(),
            occurred_at=world.clock.now(),
            settlement_id=new_id(),
            agreement_id=agreement,
            merchant_id=MERCHANT,
            customer_id=new_id(),
            amount_fen=AMOUNT_FEN,
            reason="terminated",
        )
    )
    now = world.clock.now()
    async with world.db.transaction() as conn:
        (claimed,) = await refunds.claim_to_send(
            conn, now=now, until=now + timedelta(minutes=1), limit=9
        )
        (charge,) = await attempts.by_ids(conn, [claimed.attempt_id])
    if sent:
        await world.deps.rails[rail.value].refund(claimed, charge)

    await world.live(days=1)

    assert len(world.said(RefundSucceeded)) == 1
    assert (await world.books(rail.value))["refunded_fen"] == AMOUNT_FEN
    assert (await world.instalment(agreement)).state is InstalmentState.REFUNDED


async def test_killed_after_the_rail_announced_a_charge(world):
    agreement = await world.signed(periods=1, rail=Rail.WECHATPAY)
    row = await world.instalment(agreement)
    announced_at = row.charge_at.replace(hour=2, minute=0) - timedelta(days=2)
    await world.live_until(announced_at - timedelta(minutes=1))
    world.clock.set(announced_at)
    await world.ask("wechatpay", "PUT", "/clock", {"now": announced_at.isoformat()})
    from services.billing.usecases.request_notices import request_notices

    await request_notices(world.deps)
    async with world.db.transaction() as conn:
        (one,) = await notices.claim_for_rail(
            conn, now=announced_at, until=announced_at + timedelta(minutes=15), limit=9
        )
    no = (await world.ask("wechatpay", "GET", "/books"))["contracts"][0]["contract_id"]
    await world.deps.rails["wechatpay"].tell_customer(no, one.notice.amount_fen)

    tries = await paid_once_later(world, agreement)

    assert len(tries) == 1


async def paid_once_later(world, agreement):
    await world.live(days=4)
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    return await world.attempts(await world.instalment(agreement))
