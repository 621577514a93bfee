"""Rules of messages: wording, hours, retries, moves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.contract.states import Channel, Kind, MessageState
from services.notify.domain import retries
from services.notify.domain.causes import RULES
from services.notify.domain.contact import Contact, Merchant, ways
from services.notify.domain.dispatch import Circumstances, Drop, Go, Hold, Late, decide
from services.notify.domain.errors import ParamsInvalid
from services.notify.domain.hours import earliest, round_up
from services.notify.domain.message import Envelope, check_receipt, receive, resolve, settle, submit
from services.notify.domain.provider import (
    Accepted,
    CannotTell,
    Found,
    NotFound,
    Refused,
    Tracking,
    Trouble,
    Unclear,
    ids_of,
    out_id_of,
)
from services.notify.domain.replies import wants_no_more
from services.notify.domain.template import (
    Param,
    ParamKind,
    Template,
    banned_word,
    render,
    sms_parts,
)
from services.notify.domain.wording import TEMPLATES
from shared.calendar import CHINA
from shared.ids import new_id
from tests.support.notify_builders import MERCHANT, NOON, a_message

FACTS = {
    "merchant": "毛毛宠物店",
    "service_phone": "400-800-1234",
    "plan": "幼猫成长套餐",
    "rail": "支付宝",
    "seq": 3,
    "periods": 12,
    "amount_fen": 19900,
    "total_fen": 238800,
    "first_amount_fen": 19900,
    "days": 30,
    "first_charge_on": "2027-03-10",
    "from_day_on": "2027-03-10",
    "to_day_on": "2027-04-10",
    "ship_on": "2027-03-12",
    "wait_until_on": "2027-03-20",
    "cooling_end_at": "2027-03-03T04:00:00+00:00",
    "charge_at": "2027-03-04T01:00:00+00:00",
    "collected_at": "2027-03-04T01:00:00+00:00",
    "pay_url": "https://pay.example.com/p/Ab12Cd34",
    "tracking_no": "SF0000000001",
    "carrier": "顺丰",
    "items": "幼猫粮2kg×1",
    "stage": "成年",
    "next": "将于3月4日15:00后再试一次",
}
ENVELOPE = Envelope(
    provider="aliyun",
    template_version=1,
    text="text",
    recipient_index="index",
    recipient_masked="138****0001",
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(tzinfo=UTC)
)


def sent(**changes):
    return submit(a_message(**changes), ENVELOPE, now=NOON)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: f"{t.key}-{t.channel}")
def test_every_wording_fits_its_channel(template):
    rendered = render(template, FACTS)

    assert "${" not in rendered.text
    assert banned_word(rendered.text) is None
    if template.channel is Channel.SMS:
        assert rendered.text.startswith("毛毛宠物店")
        assert "客服400-800-1234" in rendered.text
        assert sms_parts(rendered.text) <= 3
        assert not any("://" in value for value in rendered.values.values())
    else:
        assert rendered.fields
        assert len({key for key, _ in rendered.fields}) == len(rendered.fields)


def test_every_cause_has_words_on_every_channel_it_may_use():
    written = {(template.key, template.channel) for template in TEMPLATES}

    assert written == {(key, channel) for key in RULES for channel in Channel}


def test_a_notice_states_all_that_law_wants():
    """Rule WH-04: date and hour, amount, payee, period, balance, retries, how to cancel."""
    for key in ("notice.advance", "notice.reminder"):
        (template,) = [t for t in TEMPLATES if t.key == key and t.channel is Channel.SMS]
        text = render(template, FACTS).text
        for words in (
            "2027年3月4日 09:00",
            "199.00元",
            "收款方毛毛宠物店",
            "第3/12期",
            "余额不少于199.00元",
            "再试2次",
            "取消扣款",
        ):
            assert words in text


@pytest.mark.parametrize(
    "facts",
    [
        {"amount_fen": "199"},
        {"amount_fen": -1},
        {"amount_fen": True},
        {"amount_fen": None},
        {"charge_at": "soon"},
        {"charge_at": 5},
        {"merchant": ""},
        {"service_phone": "电话"},
    ],
)
def test_parameters_of_another_kind_are_refused(facts):
    (template,) = [t for t in TEMPLATES if t.key == "notice.reminder" and t.channel == "sms"]

    with pytest.raises(ParamsInvalid):
        render(template, FACTS | facts)


def test_a_missing_parameter_is_refused():
    (template,) = [t for t in TEMPLATES if t.key == "notice.reminder" and t.channel == "sms"]
    facts = {key: value for key, value in FACTS.items() if key != "amount_fen"}

    with pytest.raises(ParamsInvalid):
        render(template, facts)


def test_a_long_name_is_cut_and_a_forbidden_one_replaced():
    (template,) = [t for t in TEMPLATES if t.key == "agreement.activated" and t.channel == "sms"]

    cut = render(template, FACTS | {"plan": "超长的套餐名字" * 5})
    replaced = render(template, FACTS | {"plan": "宠物月付分期计划"})

    assert len(cut.values["plan"]) == 20
    assert replaced.values["plan"] == "宠物套餐"


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "您的${plan}", "params": ()},
        {"text": "可办理分期", "params": ()},
        {"text": "【签名】您好", "params": ()},
        {"text": "您好", "params": (Param("plan", ParamKind.TEXT),)},
        {"text": "", "params": ()},
    ],
)
def test_a_wording_that_cannot_be_sent_is_refused_where_it_is_written(wrong):
    with pytest.raises(ValueError, match="t:"):
        Template(key="t", channel=Channel.SMS, version=1, title="标题", **wrong)


@given(now=MOMENTS, channel=st.sampled_from(Channel), kind=st.sampled_from(Kind))
def test_nothing_that_can_wait_goes_out_at_night_or_waits_for_a_day(now, channel, kind):
    moment = earliest(kind, channel, now)
    hour = moment.astimezone(CHINA).hour

    assert now <= moment <= now + timedelta(hours=14)
    if kind in {Kind.NOTICE, Kind.CONTRACT}:
        assert moment == now
    elif kind is Kind.DUNNING:
        assert 9 <= hour < 20
    elif not (kind is Kind.PAYMENT_FAILED and channel is Channel.MINI_PROGRAM):
        assert 8 <= hour < 22


def test_a_late_parcel_waits_until_eight_the_next_morning():
    night = datetime(2027, 3, 1, 13, 30, tzinfo=UTC)  # 21:30 in China

    assert earliest(Kind.SERVICE, Channel.SMS, night) == datetime(2027, 3, 2, 0, 0, tzinfo=UTC)


@given(now=MOMENTS, tries=st.integers(1, 50), trouble=st.sampled_from(Trouble))
def test_a_retry_is_always_later_and_never_beyond_two_hours(now, tries, trouble):
    again = retries.next_try_at(trouble, tries=tries, now=now)

    if trouble is Trouble.RECIPIENT:
        assert again is None
    else:
        assert again is not None
        assert now < again <= now + timedelta(hours=2)


@given(now=MOMENTS)
def test_waits_for_an_outage_end_at_round_moments(now):
    moments = [retries.after_outage(tries=tries, now=now) for tries in range(1, 6)]

    assert [moment.minute % 5 for moment in moments] == [0] * 5
    assert moments[-1].minute == 0
    assert all(moment.second == 0 for moment in moments)
    assert round_up(moments[0], minutes=5) == moments[0]


def test_a_taken_message_waits_for_its_receipt():
    message = settle(sent(), Accepted("B1"), tracking=Tracking.QUERY, now=NOON)

    assert message.state is MessageState.ACCEPTED
    assert message.accepted_at == NOON
    assert message.due_at == NOON + timedelta(minutes=30)
    silent = settle(sent(), Accepted("B1"), tracking=Tracking.NONE, now=NOON)
    assert silent.due_at is None


@pytest.mark.parametrize(
    ("trouble", "wait"),
    [
        (Trouble.RETRY, timedelta(seconds=5)),
        (Trouble.DOWN, timedelta(minutes=5)),
        (Trouble.RATE, timedelta(hours=1)),
        (Trouble.CONFIG, timedelta(hours=1)),
    ],
)
def test_what_may_pass_is_tried_again(trouble, wait):
    message = settle(sent(), Refused(trouble, "CODE"), tracking=Tracking.QUERY, now=NOON)

    assert message.state is MessageState.QUEUED
    assert message.due_at == NOON + wait
    assert message.failure == f"{trouble}:CODE"


def test_a_wrong_number_is_not_tried_again():
    refused = Refused(Trouble.RECIPIENT, "isv.MOBILE_NUMBER_ILLEGAL")

    message = settle(sent(), refused, tracking=Tracking.QUERY, now=NOON)

    assert message.state is MessageState.FAILED
    assert message.failure == "isv.MOBILE_NUMBER_ILLEGAL"


def test_the_last_try_is_at_the_last_moment_and_then_it_is_over():
    message = sent(send_by=NOON + timedelta(minutes=2))
    down = Refused(Trouble.DOWN, "503")

    waiting = settle(message, down, tracking=Tracking.QUERY, now=NOON)
    assert waiting.due_at == message.send_by
    again = submit(waiting, ENVELOPE, now=message.send_by)
    over = settle(again, down, tracking=Tracking.QUERY, now=message.send_by)
    assert over.state is MessageState.FAILED
    assert over.failure == "too_late:down:503"


def test_an_unclear_answer_is_found_out_before_anything_is_sent_again():
    unclear = settle(sent(), Unclear("TimeoutError"), tracking=Tracking.QUERY, now=NOON)

    assert unclear.state is MessageState.SUBMITTED
    assert unclear.unclear
    later = NOON + timedelta(minutes=5)
    taken = resolve(unclear, Found(None, "", NOON), tracking=Tracking.QUERY, now=later)
    assert (taken.state, taken.accepted_at) == (MessageState.ACCEPTED, NOON)
    never = resolve(unclear, NotFound(), tracking=Tracking.QUERY, now=later)
    assert (never.state, never.due_at) == (MessageState.QUEUED, later)
    silent = resolve(unclear, CannotTell(""), tracking=Tracking.QUERY, now=later)
    assert silent.state is MessageState.SUBMITTED
    assert silent.due_at is not None
    assert silent.due_at > later
    lost = resolve(unclear, CannotTell(""), tracking=Tracking.QUERY, now=NOON + timedelta(hours=72))
    assert lost.state is MessageState.UNKNOWN


def test_where_nobody_can_be_asked_only_what_is_owed_is_sent_again():
    owed = settle(sent(), Unclear("cut"), tracking=Tracking.NONE, now=NOON)
    extra = settle(sent(kind=Kind.SERVICE), Unclear("cut"), tracking=Tracking.NONE, now=NOON)
    later = NOON + timedelta(minutes=15)

    assert owed.due_at == later
    again = resolve(owed, CannotTell(""), tracking=Tracking.NONE, now=later)
    assert again.state is MessageState.QUEUED
    left = resolve(extra, CannotTell(""), tracking=Tracking.NONE, now=later)
    assert left.state is MessageState.UNKNOWN


@given(order=st.permutations(["delivered", "failed", "gave_up", "delivered"]))
def test_delivered_is_never_taken_back_whatever_the_order(order):
    message = settle(sent(), Accepted("B1"), tracking=Tracking.QUERY, now=NOON)
    reached = False
    for step in order:
        match step:
            case "delivered":
                message, reached = receive(message, True, code="DELIVERED", at=NOON), True
            case "failed":
                message = receive(message, False, code="MK:0001", at=NOON)
            case _:
                late = NOON + timedelta(hours=73)
                message = check_receipt(message, CannotTell(""), now=late)
        assert (message.state is MessageState.DELIVERED) == reached
    assert message.delivered_at == NOON


def test_a_receipt_proves_that_the_message_was_taken():
    message = receive(sent(), True, code="DELIVERED", at=NOON)

    assert message.accepted_at == message.delivered_at == NOON


def test_a_missing_receipt_is_asked_for_three_times():
    message = settle(sent(), Accepted("B1"), tracking=Tracking.QUERY, now=NOON)
    moments = []
    while message.state is MessageState.ACCEPTED:
        assert message.due_at is not None
        moments.append(message.due_at - NOON)
        message = check_receipt(message, NotFound(), now=message.due_at)
    assert moments == [timedelta(minutes=30), timedelta(hours=24), timedelta(hours=72)]
    assert message.state is MessageState.UNKNOWN


def facts(**changes):
    merchant = Merchant(MERCHANT, "毛毛宠物店", "400-800-1234")
    known: dict[str, Any] = {"contact": Contact(phone="13800000001"), "merchant": merchant}
    return Circumstances(**(known | changes))


@pytest.mark.parametrize(
    ("kind", "known", "expected"),
    [
        (Kind.NOTICE, {}, Go),
        (Kind.NOTICE, {"refused": True}, Go),
        (Kind.NOTICE, {"sms_today": 9}, Go),
        (Kind.NOTICE, {"ended": True}, Drop),
        (Kind.NOTICE, {"contact": None}, Hold),
        (Kind.NOTICE, {"merchant": None}, Hold),
        (Kind.CONTRACT, {"ended": True}, Go),
        (Kind.SERVICE, {"refused": True}, Drop),
        (Kind.SERVICE, {"sms_today": 5}, Hold),
        (Kind.SERVICE, {"dunning_today": 1}, Go),
        (Kind.DUNNING, {"dunning_today": 1}, Hold),
        (Kind.DUNNING, {"dunning_this_week": 3}, Hold),
        (Kind.DUNNING, {"paid": True}, Drop),
        (Kind.PAYMENT_FAILED, {"paid": True}, Drop),
    ],
)
def test_circumstances_are_looked_at_right_before_sending(kind, known, expected):
    assert isinstance(decide(a_message(kind=kind), facts(**known), now=NOON), expected)


def test_what_is_too_late_is_not_sent():
    message = a_message(send_by=NOON - timedelta(seconds=1))

    assert isinstance(decide(message, facts(), now=NOON), Late)


@given(waited=st.integers(0, 3000))
def test_a_message_that_waits_for_its_customer_never_stays_due(waited):
    now = NOON + timedelta(minutes=waited)
    message = a_message(kind=Kind.CONTRACT, send_by=NOON + timedelta(days=9))

    held = decide(message, facts(contact=None), now=now)

    assert isinstance(held, Hold)
    assert held.until > now


@pytest.mark.parametrize("text", ["R", "r", " Ｒ ", "TD", "td。", "退订", "t", "拒收"])
def test_refusals_are_understood_however_they_are_written(text):
    assert wants_no_more(text)


@pytest.mark.parametrize("text", ["谢谢", "", "请问R是什么", "RR"])
def test_other_replies_refuse_nothing(text):
    assert not wants_no_more(text)


def test_the_agreements_own_rail_comes_first():
    both = Contact(phone="+8613800000001", alipay_user_id="2088", wechat_openid="o1")
    mini = Channel.MINI_PROGRAM

    assert ways(mini, both, "wechatpay", sms_providers=()) == ("wechat", "alipay")
    assert ways(mini, both, "alipay", sms_providers=()) == ("alipay", "wechat")
    assert ways(mini, Contact(wechat_openid="o1"), "alipay", sms_providers=()) == ("wechat",)
    assert ways(mini, Contact(phone="1"), None, sms_providers=()) == ()
    assert ways(Channel.SMS, both, None, sms_providers=("aliyun",)) == ("aliyun",)
    assert both.recipient("aliyun") == "13800000001"


def test_our_number_at_a_provider_leads_back_to_the_message():
    message_id = new_id()

    assert ids_of(out_id_of(MERCHANT, message_id)) == (MERCHANT, message_id)
    assert ids_of("something else") is None
    assert ids_of("") is None
