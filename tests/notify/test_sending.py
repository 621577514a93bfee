"""Outages, unclear answers, deaths and receipts: a message reaches its provider once."""

import asyncio
from datetime import timedelta

import pytest

from services.notify.contract.states import Channel, MessageState
from services.notify.domain.provider import (
    CannotTell,
    Found,
    NotFound,
    Receipt,
    Refused,
    Trouble,
    Unclear,
)
from services.notify.usecases.submit_due_messages import (
    call_providers,
    claim,
    settle_answers,
    submit_due_messages,
)
from services.notify.usecases.take_receipts import take_receipts
from shared.db import Database
from tests.support.notify_builders import (
    NOON,
    OPENID,
    PHONE,
    NotifyForTests,
    a_notice,
    notify_for_tests,
)

DOWN = Refused(Trouble.DOWN, "503")


@pytest.fixture
async def notify(notify_db: Database) -> NotifyForTests:
    return await notify_for_tests(notify_db)


async def receive(notify, message, *, delivered=True, out_id="", number="", recipient=PHONE):
    receipt = Receipt(
        provider=message.provider or "aliyun",
        provider_message_id=number or message.provider_message_id or "B-early",
        out_id=out_id,
        recipient=recipient,
        template_code="",
        delivered=delivered,
        code="DELIVERED" if delivered else "MK:0001",
        at=notify.clock.now(),
    )
    async with notify.db.transaction() as conn:
        return await take_receipts(conn, [receipt], notify.deps)


async def test_while_the_provider_is_down_the_notice_waits_and_goes_out_once(notify):
    await notify.meet()
    notify.sms.says = [DOWN, DOWN, Refused(Trouble.RETRY, "isp.SYSTEM_ERROR")]
    await notify.hear(a_notice())

    await notify.live_until(NOON + timedelta(hours=3))

    message = await notify.message("notice.reminder")
    assert message.state is MessageState.ACCEPTED
    assert message.tries == 4
    assert len(notify.sms.sent) == 4


async def test_a_provider_that_stays_down_costs_the_clock_few_steps(notify):
    await notify.meet()
    notify.sms.says = [DOWN] * 1000
    await notify.hear(*[a_notice(seq, channels=("sms",)) for seq in range(1, 5)])

    await notify.live_until(NOON + timedelta(hours=23))

    assert len(notify.sms.sent) <= 4 * 27
    assert len({message.tries for message in await notify.messages()}) == 1
    failed = await notify.told("notify.message.failed.v1")
    assert [event.body["reason"] for event in failed] == ["too_late:down:503"] * 4


async def test_a_cut_connection_is_looked_up_and_not_sent_again(notify):
    await notify.meet()
    notify.sms.says = [Unclear("ServerDisconnectedError")]
    notify.sms.finds = [Found(None, "", NOON)]
    await notify.hear(a_notice())

    await notify.live_until(NOON + timedelta(minutes=10))

    message = await notify.message("notice.reminder")
    assert message.state is MessageState.ACCEPTED
    assert len(notify.sms.sent) == len(notify.sms.asked) == 1
    assert notify.sms.asked[0].out_id == notify.sms.sent[0].out_id


async def test_a_message_that_never_arrived_is_sent_again_after_asking(notify):
    await notify.meet()
    notify.sms.says = [Unclear("TimeoutError")]
    notify.sms.finds = [CannotTell("no_answer"), NotFound()]
    await notify.hear(a_notice())

    await notify.live_until(NOON + timedelta(minutes=40))

    assert (await notify.message("notice.reminder")).state is MessageState.ACCEPTED
    assert len(notify.sms.sent) == len(notify.sms.asked) == 2


async def test_dying_before_the_call_leads_to_asking_then_sending(notify):
    await notify.meet()
    notify.sms.finds = [NotFound()]
    await notify.hear(a_notice(channels=("sms",)))

    await claim(notify.deps)  # and the process dies
    assert await submit_due_messages(notify.deps) == 0
    await notify.live_until(NOON + timedelta(minutes=4))

    assert len(notify.sms.asked) == len(notify.sms.sent) == 1
    assert len(await notify.told("notify.message.accepted.v1")) == 1


async def test_dying_after_the_call_leads_to_asking_and_no_second_message(notify):
    await notify.meet()
    notify.sms.finds = [Found(True, "DELIVERED", NOON)]
    await notify.hear(a_notice(channels=("sms",)))

    await call_providers(notify.deps, await claim(notify.deps))  # and the process dies
    await notify.live_until(NOON + timedelta(minutes=4))

    assert len(notify.sms.sent) == 1
    assert (await notify.message("notice.reminder")).state is MessageState.DELIVERED
    subjects = [event.subject for event in await notify.told()]
    assert subjects == ["notify.message.accepted.v1", "notify.message.delivered.v1"]


async def test_a_worker_that_was_thought_dead_changes_nothing_any_more(notify):
    await notify.meet()
    notify.sms.finds = [Found(True, "DELIVERED", NOON)]
    await notify.hear(a_notice(channels=("sms",)))
    late = await call_providers(notify.deps, await claim(notify.deps))
    await notify.live_until(NOON + timedelta(minutes=4))

    await settle_answers(notify.deps, late)

    assert (await notify.message("notice.reminder")).state is MessageState.DELIVERED
    assert len(await notify.told("notify.message.accepted.v1")) == 1


async def test_two_workers_share_the_work_without_sending_twice(notify):
    await notify.meet()
    await notify.hear(*[a_notice(seq, channels=("sms",)) for seq in range(1, 31)])

    await asyncio.gather(*(submit_due_messages(notify.deps) for _ in range(3)))
    await notify.run()

    assert len(notify.sms.sent) == 30
    assert len({letter.out_id for letter in notify.sms.sent}) == 30


async def test_a_sender_that_breaks_leaves_its_message_unclear(notify):
    await notify.meet()
    notify.sms.says = [RuntimeError("a bug")]
    notify.sms.finds = [NotFound()]
    await notify.hear(a_notice())

    await notify.live_until(NOON + timedelta(minutes=10))

    assert (await notify.message("notice.reminder")).state is MessageState.ACCEPTED


async def test_a_receipt_tells_that_the_message_arrived(notify):
    await notify.meet()
    await notify.hear(a_notice(channels=("sms",)))
    await notify.run()
    message = await notify.message("notice.reminder")

    for _ in range(2):
        assert await receive(notify, message) == 0

    assert (await notify.message("notice.reminder")).state is MessageState.DELIVERED
    assert len(await notify.told("notify.message.delivered.v1")) == 1


async def test_a_receipt_may_come_before_the_answer_is_stored(notify):
    """By our own number it finds an SMS; a mini-program message finds it by the provider's."""
    await notify.meet(alipay_user_id="")
    await notify.hear(a_notice())
    outcomes = await call_providers(notify.deps, await claim(notify.deps))
    sms = await notify.message("notice.reminder")
    mini = await notify.message("notice.reminder", Channel.MINI_PROGRAM)

    assert await receive(notify, sms, out_id=notify.sms.sent[0].out_id) == 0
    assert await receive(notify, mini, number="wechat-1", recipient=OPENID) == 0
    await settle_answers(notify.deps, outcomes)

    states = {message.state for message in await notify.messages("notice.reminder")}
    assert states == {MessageState.DELIVERED}
    assert len(await notify.told("notify.message.accepted.v1")) == 2


async def test_a_receipt_of_nothing_we_know_has_no_place(notify):
    await notify.meet()
    await notify.hear(a_notice(channels=("sms",)))
    await notify.run()
    message = await notify.message("notice.reminder")

    assert await receive(notify, message, number="B-stranger") == 1


async def test_an_unclear_mini_program_message_is_settled_by_its_receipt(notify):
    await notify.meet(alipay_user_id="")
    notify.wechat.says = [Unclear("cut")]
    await notify.hear(a_notice(channels=("mini_program",)))
    await notify.run()
    message = await notify.message("notice.reminder", Channel.MINI_PROGRAM)
    receipt = Receipt(
        provider="wechat",
        provider_message_id="77",
        out_id="",
        recipient=OPENID,
        template_code=notify.wechat.sent[0].template_code,
        delivered=True,
        code="success",
        at=NOON + timedelta(seconds=3),
    )
    async with notify.db.transaction() as conn:
        assert await take_receipts(conn, [receipt], notify.deps) == 0
    assert message.state is MessageState.SUBMITTED

    await notify.live_until(NOON + timedelta(minutes=20))

    message = await notify.message("notice.reminder", Channel.MINI_PROGRAM)
    assert message.state is MessageState.DELIVERED
    assert len(notify.wechat.sent) == 1


async def test_a_failed_delivery_is_told_and_a_late_success_corrects_it(notify):
    await notify.meet()
    await notify.hear(a_notice(channels=("sms",)))
    await notify.run()
    message = await notify.message("notice.reminder")

    await receive(notify, message, delivered=False)
    (failed,) = await notify.told("notify.message.failed.v1")
    assert failed.body["reason"] == "undelivered:MK:0001"
    await receive(notify, message)

    assert (await notify.message("notice.reminder")).state is MessageState.DELIVERED


async def test_missing_receipts_are_asked_for(notify):
    await notify.meet()
    notify.sms.finds = [CannotTell("no_answer"), Found(True, "DELIVERED", NOON)]
    await notify.hear(a_notice(channels=("sms",)))

    await notify.live_until(NOON + timedelta(days=2))

    assert (await notify.message("notice.reminder")).state is MessageState.DELIVERED
    assert len(notify.sms.asked) == 2
