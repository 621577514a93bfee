"""The adapters speak to the providers' simulators over HTTP, signatures and all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout

from deploy.processes import free_port
from deploy.sandbox.aliyun_sms import AliyunSms as AliyunSimulator
from deploy.sandbox.wechat_messages import WeChatMessages as WeChatSimulator
from services.notify.domain.provider import (
    Accepted,
    CannotTell,
    Found,
    Letter,
    NotFound,
    Refused,
    Trouble,
    Unclear,
)
from services.notify.gateways import aliyun_sms, wechat_message
from services.notify.gateways.aliyun_sms import Account, AliyunSms, authorization, trouble_of
from services.notify.gateways.wechat_message import WeChatMessages, signature
from shared.clock import TestClock
from tests.sandbox.harness import START, Simulator, hook, running
from tests.support.notify_builders import OPENID, PHONE

LETTER = Letter(
    out_id="a" * 64,
    recipient=PHONE,
    template_code="SMS_900000009",
    values={"amount": "199.00", "plan": "幼猫成长套餐 & 1/2"},
    fields=(),
    page="",
)
MINI = Letter(
    out_id="b" * 64,
    recipient=OPENID,
    template_code="yuefu-notice-reminder-1",
    values={},
    fields=(("thing1", "幼猫成长套餐"), ("amount3", "199.00元"), ("time4", "2027年3月4日 09:00")),
    page="pages/plan/upcoming",
)


@dataclass
class SmsRig:
    simulator: Simulator
    sender: AliyunSms
    clock: TestClock


def an_account(url: str, **changes: str) -> Account:
    terms = {
        "access_key_id": "sandbox-sms-key",
        "access_key_secret": "sandbox-sms-secret",
        "sign_name": "悦付宠物科技",
    }
    return Account(url=url, **(terms | changes))


@asynccontextmanager
async def sms_rig(**extra: Any) -> AsyncIterator[SmsRig]:
    async with running(AliyunSimulator, **extra) as simulator:
        clock = TestClock(START)
        sender = AliyunSms(simulator.http, an_account(simulator.url("/")), clock)
        yield SmsRig(simulator, sender, clock)


def test_aliyuns_signature_is_that_of_the_published_rules():
    """A vector computed independently from the V3 rules (docs/sources.md#aliyun-sms)."""
    account = an_account("", access_key_id="testid", access_key_secret="testsecret")
    query = {
        "OutId": "o-1",
        "PhoneNumbers": "13800000000",
        "SignName": "测试签名",
        "TemplateCode": "SMS_000000001",
        "TemplateParam": '{"code":"1234"}',
    }
    headers = {
        "accept": "application/json",
        "host": "dysmsapi.aliyuncs.com",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-acs-date": "2026-11-20T02:03:04Z",
        "x-acs-signature-nonce": "nonce-0001",
        "x-acs-version": "2017-05-25",
    }
    expected = "7f48f7f867e45a5e29caaaea157ba07f5adf83e4bf04e3a17b8a52adf1de5aa2"

    assert authorization(account, query, headers).endswith(f"Signature={expected}")


def test_wechats_push_signature_is_that_of_the_published_rules():
    expected = "0662abf50349bb5caf6be9d0bf10f92711112390"

    assert signature("tok", timestamp="1795140184", nonce="n1") == expected


async def test_an_sms_is_taken_and_can_be_looked_up():
    async with sms_rig() as rig:
        taken = await rig.sender.send(LETTER)
        waiting = await rig.sender.look_up(LETTER, submitted_at=START)
        await rig.simulator.advance(seconds=8)
        rig.clock.advance(seconds=8)
        arrived = await rig.sender.look_up(LETTER, submitted_at=START)

        assert isinstance(taken, Accepted)
        assert waiting == Found(None, "", START)
        assert isinstance(arrived, Found)
        assert arrived.delivered is True
        (message,) = await rig.simulator.books("messages")
        assert message["params"] == dict(LETTER.values)
        assert message["out_id"] == LETTER.out_id


async def test_an_sms_that_was_never_sent_is_not_found():
    async with sms_rig() as rig:
        assert await rig.sender.look_up(LETTER, submitted_at=START) == NotFound()


async def test_a_hidden_answer_is_unclear_and_the_message_is_found():
    async with sms_rig() as rig:
        await rig.simulator.fault(PHONE, "send", "hide_answer")

        assert isinstance(await rig.sender.send(LETTER), Unclear)
        assert isinstance(await rig.sender.look_up(LETTER, submitted_at=START), Found)


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        ("outage", Trouble.DOWN),
        ("decline:isv.BUSINESS_LIMIT_CONTROL", Trouble.RATE),
        ("decline:isv.MOBILE_NUMBER_ILLEGAL", Trouble.RECIPIENT),
        ("decline:isv.SMS_TEMPLATE_ILLEGAL", Trouble.CONFIG),
        ("decline:isp.SYSTEM_ERROR", Trouble.RETRY),
        ("decline:isv.NEVER_HEARD_OF", Trouble.CONFIG),
    ],
)
async def test_aliyuns_refusals_are_understood(fault, trouble):
    async with sms_rig() as rig:
        await rig.simulator.fault(PHONE, "send", fault)

        refused = await rig.sender.send(LETTER)

        assert isinstance(refused, Refused)
        assert refused.trouble is trouble


async def test_an_internal_error_may_have_happened_after_sending():
    async with sms_rig() as rig:
        await rig.simulator.fault(PHONE, "send", "http_500")

        assert isinstance(await rig.sender.send(LETTER), Unclear)


async def test_while_aliyun_is_down_it_cannot_tell():
    async with sms_rig() as rig:
        await rig.simulator.fault(PHONE, "query", "outage")

        assert isinstance(await rig.sender.look_up(LETTER, submitted_at=START), CannotTell)


async def test_a_wrong_secret_is_our_own_mistake():
    async with sms_rig() as rig:
        account = an_account(rig.simulator.url("/"), access_key_secret="wrong")

        refused = await AliyunSms(rig.simulator.http, account, rig.clock).send(LETTER)

        assert refused == Refused(Trouble.CONFIG, "SignatureDoesNotMatch")


async def test_a_provider_nobody_listens_at_is_down():
    async with ClientSession(timeout=ClientTimeout(total=2)) as http:
        url = f"http://127.0.0.1:{free_port()}"
        refused = await AliyunSms(http, an_account(url), TestClock(START)).send(LETTER)

    assert refused == Refused(Trouble.DOWN, "not_reached")


async def test_receipts_and_replies_are_read_as_they_are_pushed():
    async with (
        hook({"code": 0}) as us,
        hook({"code": 0}) as replies,
        sms_rig(sms_report_url=us.url, sms_reply_url=replies.url) as rig,
    ):
        taken = await rig.sender.send(LETTER)
        await rig.simulator.advance(seconds=8)
        await rig.simulator.post(f"/_sandbox/phones/{PHONE}/reply", {"content": "退订"})
        (push,) = await us.wait_for(1)
        (up,) = await replies.wait_for(1)

    (receipt,) = aliyun_sms.read_receipts(push.raw)
    assert isinstance(taken, Accepted)
    assert receipt.provider_message_id == taken.provider_message_id
    assert (receipt.out_id, receipt.recipient) == (LETTER.out_id, PHONE)
    assert receipt.delivered
    (reply,) = aliyun_sms.read_replies(up.raw)
    assert (reply.phone, reply.content) == (PHONE, "退订")


def test_unknown_codes_call_a_person():
    assert trouble_of("isv.SOMETHING_NEW") is Trouble.CONFIG


@dataclass
class WeChatRig:
    simulator: Simulator
    sender: WeChatMessages
    clock: TestClock


@asynccontextmanager
async def wechat_rig(**extra: Any) -> AsyncIterator[WeChatRig]:
    async with running(WeChatSimulator, **extra) as simulator:
        clock = TestClock(START)
        account = wechat_message.Account(
            url=simulator.url("/"),
            app_id="wx0000000000000001",
            secret="sandbox-wechat-secret",
            push_token="sandbox-wechat-token",
        )
        yield WeChatRig(simulator, WeChatMessages(simulator.http, account, clock), clock)


async def test_a_mini_program_message_is_taken_and_its_result_is_pushed():
    async with hook("success") as us, wechat_rig(wechat_event_url=us.url) as rig:
        taken = await rig.sender.send(MINI)
        await rig.simulator.advance(seconds=3)
        (push,) = await us.wait_for(1)

        assert isinstance(taken, Accepted)
        assert wechat_message.is_signed(push.query, "sandbox-wechat-token")
        (receipt,) = wechat_message.read_receipts(push.raw)
        assert receipt.provider_message_id == taken.provider_message_id
        assert (receipt.recipient, receipt.template_code) == (OPENID, MINI.template_code)
        assert receipt.delivered


async def test_one_token_serves_many_messages_and_is_renewed_in_time():
    async with wechat_rig() as rig:
        for _ in range(3):
            assert isinstance(await rig.sender.send(MINI), Accepted)
        await rig.simulator.advance(hours=3)
        rig.clock.advance(hours=3)
        assert isinstance(await rig.sender.send(MINI), Accepted)

        assert len(await rig.simulator.books("messages")) == 4


async def test_a_token_that_wechat_forgot_is_renewed_at_once():
    async with wechat_rig() as rig:
        assert isinstance(await rig.sender.send(MINI), Accepted)
        await rig.simulator.advance(hours=3)  # our own clock stands still: we trust the old token

        assert isinstance(await rig.sender.send(MINI), Accepted)


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        ("decline:43101", Trouble.RECIPIENT),
        ("decline:40003", Trouble.RECIPIENT),
        ("decline:40037", Trouble.CONFIG),
        ("decline:45009", Trouble.RATE),
        ("decline:-1", Trouble.RETRY),
        ("outage", Trouble.DOWN),
    ],
)
async def test_wechats_refusals_are_understood(fault, trouble):
    async with wechat_rig() as rig:
        await rig.simulator.fault(OPENID, "send", fault)

        refused = await rig.sender.send(MINI)

        assert isinstance(refused, Refused)
        assert refused.trouble is trouble


async def test_a_cut_answer_of_wechat_is_unclear_and_cannot_be_asked_about():
    async with wechat_rig() as rig:
        await rig.simulator.fault(OPENID, "send", "hide_answer")

        assert isinstance(await rig.sender.send(MINI), Unclear)
        assert isinstance(await rig.sender.look_up(MINI, submitted_at=START), CannotTell)


async def test_without_a_token_nothing_was_sent():
    async with wechat_rig() as rig:
        await rig.simulator.fault("wx0000000000000001", "token", "http_500")

        refused = await rig.sender.send(MINI)

        assert isinstance(refused, Refused)
        assert refused.trouble is Trouble.DOWN


async def test_a_value_wechat_does_not_take_is_our_own_mistake():
    async with wechat_rig() as rig:
        letter = replace(MINI, fields=(("amount3", "很多钱"),))

        assert await rig.sender.send(letter) == Refused(Trouble.CONFIG, "47003")
