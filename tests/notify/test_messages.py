"""What customers must hear becomes one message each, with what is known when it goes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.notify.contract.states import MessageState
from services.notify.domain.errors import TemplateChanged
from services.notify.domain.provider import (
    Accepted,
    Refused,
    Trouble,
)
from services.notify.domain.wording import TEMPLATES
from services.notify.store import proofs, templates
from services.signing.contract import ContactChanged
from shared.db import Database
from shared.ids import derived_id, new_id
from shared.sealing import NotReadable, seal
from tests.support.notify_builders import (
    ALIPAY_ID,
    CONTACT,
    CUSTOMER,
    MERCHANT,
    NOON,
    OPENID,
    PHONE,
    PUBLIC_KEY,
    FakeSender,
    NotifyForTests,
    a_cancellation,
    a_collection,
    a_customer,
    a_dispatch,
    a_failure,
    a_merchant,
    a_notice,
    a_signing,
    an_overdue,
    notify_for_tests,
)

DOWN = Refused(Trouble.DOWN, "503")


@pytest.fixture
async def notify(notify_db: Database) -> NotifyForTests:
    return await notify_for_tests(notify_db)


async def test_a_notice_goes_out_on_both_channels_and_its_proof_is_told(notify):
    await notify.meet()
    notice = a_notice()

    await notify.hear(notice)
    await notify.run()

    (letter,) = notify.sms.sent
    assert letter.recipient == PHONE
    assert letter.template_code.startswith("SMS_")
    assert letter.values["amount"] == "199.00"
    assert letter.values["charge"] == "2027年3月4日 12:00"
    assert letter.values["plan"] == "幼猫成长套餐"
    (letter,) = notify.alipay.sent
    assert letter.recipient == ALIPAY_ID
    assert notify.wechat.sent == []
    accepted = await notify.told("notify.message.accepted.v1")
    assert {event.body["channel"] for event in accepted} == {"sms", "mini_program"}
    assert {event.body["cause_id"] for event in accepted} == {str(notice.notice_id)}
    assert {event.body["cause"] for event in accepted} == {"notice.reminder"}


async def test_a_signature_is_confirmed_with_the_first_charge_and_the_last_day_to_cancel(notify):
    await notify.hear(a_merchant())
    await notify.hear(a_customer())
    await notify.hear(a_signing())

    await notify.run()

    message = await notify.message("agreement.signed")
    assert message.text is not None
    assert "首次扣款日2027年3月11日" in message.text
    assert "2027年3月3日 12:00前可无理由取消" in message.text
    assert message.recipient_masked == "138****0001"


async def test_an_event_heard_twice_is_told_once(notify):
    await notify.meet()
    paid = a_collection()

    await notify.hear(paid, paid)
    await notify.run()
    await notify.forget_what_was_heard()
    await notify.hear(paid)
    await notify.hear(a_collection())
    await notify.run()

    assert len(await notify.messages("charge.collected")) == 1
    assert len(notify.alipay.sent) == 1


async def test_messages_wait_for_a_customer_who_is_told_late(notify):
    await notify.hear(a_notice())
    await notify.run()
    assert notify.sms.sent == []
    assert (await notify.message("notice.reminder")).failure == "contact_unknown"

    await notify.meet()
    await notify.live_until(NOON + timedelta(minutes=6))

    assert len(notify.sms.sent) == len(notify.alipay.sent) == 1


async def test_a_customer_who_never_comes_fails_the_notice_when_its_time_is_over(notify):
    await notify.hear(a_notice())

    await notify.live_until(NOON + timedelta(days=2))

    failed = await notify.told("notify.message.failed.v1")
    assert [event.body["reason"] for event in failed] == ["too_late:contact_unknown"] * 2


async def test_newer_contact_data_stays_whatever_comes_later(notify):
    newer = ContactChanged(
        event_id=new_id(),
        occurred_at=NOON + timedelta(hours=1),
        merchant_id=MERCHANT,
        customer_id=CUSTOMER,
        sealed_for_notify=seal(PUBLIC_KEY, CONTACT | {"phone": "13900000002"}),
        sealed_for_fulfillment="",
    )
    await notify.hear(newer)
    await notify.meet()
    await notify.hear(a_notice())
    await notify.run()

    assert notify.sms.sent[0].recipient == "13900000002"


async def test_contact_data_is_encrypted_at_rest(notify):
    await notify.meet()

    async with notify.db.connection() as conn:
        row = await conn.fetchrow("SELECT * FROM contacts")

    assert PHONE not in str(dict(row))
    assert OPENID not in str(dict(row))


async def test_a_box_for_somebody_else_is_refused(notify):
    event = a_customer().model_copy(update={"sealed_for_notify": "bm90IGEgYm94"})

    with pytest.raises(NotReadable):
        await notify.hear(event)


async def test_without_an_id_for_the_mini_program_a_receipt_goes_by_sms(notify):
    await notify.meet(alipay_user_id="", wechat_openid="")
    await notify.hear(a_collection())
    await notify.run()

    (failed,) = await notify.told("notify.message.failed.v1")
    assert (failed.body["channel"], failed.body["reason"]) == ("mini_program", "no_recipient")
    (letter,) = notify.sms.sent
    assert "amount" in letter.values


async def test_a_customer_who_closed_the_mini_program_messages_gets_an_sms(notify):
    await notify.meet(alipay_user_id="")
    notify.wechat.says = [Refused(Trouble.RECIPIENT, "43101")]
    await notify.hear(a_dispatch())
    await notify.run()

    assert (await notify.message("shipment.dispatched")).state is MessageState.ACCEPTED
    assert notify.sms.sent[0].values["tracking_no"] == "SF0000000001"
    assert notify.sms.sent[0].values["carrier"] == "顺丰"


async def test_a_parcel_at_night_is_told_in_the_morning(notify_db):
    night = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 22:00 in China
    notify = await notify_for_tests(notify_db, now=night)
    await notify.meet()
    await notify.hear(a_dispatch())
    await notify.hear(a_notice(send_by=night + timedelta(hours=2)))

    await notify.run()
    assert len(notify.sms.sent) == 1  # the notice is owed and goes at once
    assert len(notify.alipay.sent) == 1

    await notify.live_until(night + timedelta(hours=10))
    assert len(notify.alipay.sent) == 2


async def test_a_payment_stops_what_was_queued_about_its_failure(notify):
    await notify.meet()
    await notify.hear(a_collection())
    await notify.hear(a_failure())
    await notify.hear(an_overdue())

    await notify.run()

    told = [m for m in await notify.messages() if m.cause != "charge.collected"]
    assert {message.state for message in told} == {MessageState.SUPPRESSED}
    assert notify.sms.sent == []


async def test_a_failed_charge_comes_with_a_way_to_pay_and_what_comes_next(notify):
    await notify.meet()
    await notify.hear(a_failure())
    await notify.run()

    (letter,) = notify.sms.sent
    assert letter.values["pay"] == "Ab12Cd34"
    assert letter.values["next"] == "将于3月1日15:00后再试一次"
    assert notify.alipay.sent[0].page == "pages/pay/index?code=Ab12Cd34"


async def test_a_cancelled_agreement_gets_no_notice_any_more(notify):
    await notify.meet()
    await notify.hear(a_cancellation())
    await notify.hear(a_notice())
    await notify.run()

    states = {message.state for message in await notify.messages("notice.reminder")}
    assert states == {MessageState.SUPPRESSED}
    assert len(await notify.messages("agreement.cancelled")) == 2


async def test_reminders_of_an_unpaid_period_are_capped(notify):
    await notify.meet()
    await notify.hear(*[an_overdue(seq, days_late=day) for seq, day in ((1, 1), (2, 1), (3, 1))])

    await notify.run()
    assert len(notify.sms.sent) == 1
    assert len(notify.alipay.sent) == 3

    await notify.live_until(NOON + timedelta(days=1, hours=2))
    assert len(notify.sms.sent) == 2


async def test_each_rung_of_a_ladder_is_told_once_and_a_task_for_staff_is_not(notify):
    await notify.meet()
    rungs = [(1, "reminder"), (3, "reminder"), (3, "staff_task"), (7, "extension"), (90, "other")]
    await notify.hear(*[an_overdue(days_late=day, rung=rung) for day, rung in rungs])

    told = await notify.messages("instalment.overdue.%")

    assert len({message.cause for message in told}) == 4
    assert {message.template_key for message in told} == {
        "instalment.overdue.reminder",
        "instalment.overdue.extension",
    }


async def test_words_are_those_that_billing_names(notify):
    """A top-up that was not made is no debt (rule X18); a demand says how long and whom to ask."""
    await notify.meet()
    topup = an_overdue(days_late=1, text="topup", channels=("sms", "mini_program"))
    demand = an_overdue(2, days_late=15, rung="demand", text="demand")
    await notify.hear(topup, demand)

    await notify.live_until(NOON + timedelta(days=2))

    told = {message.template_key for message in await notify.messages("instalment.overdue.%")}
    assert told == {"instalment.overdue.topup", "instalment.overdue.demand"}


async def test_a_second_sms_provider_takes_over(notify_db):
    first = FakeSender(says=[DOWN])
    second = FakeSender("second")
    notify = await notify_for_tests(notify_db, (first, second))
    await notify.meet()
    await notify.hear(a_notice(channels=("sms",)))

    await notify.live_until(NOON + timedelta(minutes=6))

    assert len(first.sent) == len(second.sent) == 1
    (accepted,) = await notify.told("notify.message.accepted.v1")
    assert accepted.body["provider"] == "second"


async def test_hundreds_of_events_are_queued_in_one_batch(notify):
    events = [
        a_notice(seq, customer_id=derived_id("customer", seq), notice_id=derived_id("n", seq))
        for seq in range(1, 501)
    ]

    await notify.hear(*events)

    assert len(await notify.messages("notice.reminder")) == 1000


async def test_a_wording_that_was_used_never_changes(notify):
    changed = replace(TEMPLATES[0], title="另一个标题")

    with pytest.raises(TemplateChanged):
        async with notify.db.transaction() as conn:
            await templates.add_all(conn, [changed], now=NOON)

    async with notify.db.transaction() as conn:
        newer = replace(TEMPLATES[0], title="另一个标题", version=2)
        await templates.add_all(conn, [newer], now=NOON)
        book = await templates.approved(conn)
    assert book[newer.key, newer.channel].version == 2


async def test_the_daily_check_finds_what_is_stuck(notify):
    await notify.meet()
    await notify.hear(a_notice(channels=("sms",)))
    later = NOON + timedelta(hours=5)
    async with notify.db.connection() as conn:
        (stuck,) = await proofs.breaches(conn, now=later)
    assert stuck.check == "stuck"

    await notify.run()
    async with notify.db.connection() as conn:
        assert await proofs.breaches(conn, now=later) == []


async def test_every_move_is_in_the_history(notify):
    await notify.meet()
    notify.sms.says = [DOWN, Accepted("B9")]
    await notify.hear(a_notice(channels=("sms",)))
    await notify.live_until(NOON + timedelta(minutes=6))

    async with notify.db.connection() as conn:
        rows = await conn.fetch("SELECT state, reason FROM message_history ORDER BY seq")

    assert [tuple(row) for row in rows] == [
        ("submitted", None),
        ("queued", "down:503"),
        ("submitted", "down:503"),
        ("accepted", None),
    ]
