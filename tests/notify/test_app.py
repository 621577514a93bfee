"""Notify put together by its settings, against all three simulators over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox import keys
from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.aliyun_sms import AliyunSms
from deploy.sandbox.kit import Options
from deploy.sandbox.wechat_messages import WeChatMessages
from services.notify.app import SERVICE
from services.notify.contract.states import Channel, MessageState
from services.notify.deps import open_deps
from services.notify.settings import NotifySettings
from services.notify.usecases.submit_due_messages import submit_due_messages
from services.signing.contract import Rail
from shared.clock import TestClock
from shared.db import Database
from shared.sealing import new_field_key
from tests.sandbox.harness import Simulator, running
from tests.support.notify_builders import (
    ALIPAY_ID,
    NOON,
    PHONE,
    PRIVATE_KEY,
    NotifyForTests,
    a_collection,
    a_notice,
)


@dataclass
class Rig:
    notify: NotifyForTests
    sms: Simulator
    wechat: Simulator
    alipay: Simulator


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    keys.make(directory, bits=1024)
    return directory


def settings(directory: Path, **urls: str) -> NotifySettings:
    told: dict[str, Any] = {
        "dsn": "postgresql://unused",
        "clock_url": "http://127.0.0.1:1/clock",
        "public_url": "http://127.0.0.1:1",
        "keys_dir": directory,
        "private_key": PRIVATE_KEY,
        "field_keys": f"1:{new_field_key()},2:{new_field_key()}",
        "index_key": new_field_key(),
        "webhook_token": "a-token-nobody-guesses",
        "template_codes": {"aliyun:notice.reminder": "SMS_42"},
    }
    return NotifySettings(**(told | urls))


@asynccontextmanager
async def rigged(db: Database, directory: Path) -> AsyncIterator[Rig]:
    options = Options(now=NOON, keys=directory)
    async with (
        running(AliyunSms, options) as sms,
        running(WeChatMessages, options) as wechat,
        running(AlipaySandbox, options) as alipay,
    ):
        clock = TestClock(NOON)
        told = settings(
            directory,
            sms_url=sms.url("/"),
            wechat_url=wechat.url("/"),
            alipay_gateway_url=alipay.url("/gateway.do"),
        )
        async with open_deps(told, db, clock) as deps:
            yield Rig(NotifyForTests(db, deps, clock), sms, wechat, alipay)


@pytest.fixture
async def rig(notify_db: Database, keys_dir: Path) -> AsyncIterator[Rig]:
    async with rigged(notify_db, keys_dir) as one:
        await one.notify.meet()
        yield one


async def test_a_notice_reaches_sms_and_the_mini_program_of_its_rail(rig):
    await rig.notify.hear(a_notice(), a_notice(2, rail=Rail.WECHATPAY))
    await rig.notify.run()

    sent = await rig.sms.books("messages")
    assert [message["phone"] for message in sent] == [PHONE, PHONE]
    assert {message["template"] for message in sent} == {"SMS_42"}
    (message,) = await rig.alipay.books("messages")
    assert message["account"] == ALIPAY_ID
    (message,) = await rig.wechat.books("messages")
    assert message["data"]["amount3"] == "199.00元"
    assert len(await rig.notify.told("notify.message.accepted.v1")) == 4


async def test_hidden_answers_of_every_provider_lead_to_one_sms_each(rig):
    await rig.sms.fault(PHONE, "send", "hide_answer")
    await rig.alipay.fault(ALIPAY_ID, "message", "http_500")
    await rig.notify.hear(a_notice())

    await submit_due_messages(rig.notify.deps)
    for simulator in (rig.sms, rig.wechat, rig.alipay):
        await simulator.advance(minutes=15)
    await rig.notify.live_until(NOON + timedelta(minutes=15))

    states = {message.state for message in await rig.notify.messages("notice.reminder")}
    assert states <= {MessageState.ACCEPTED, MessageState.DELIVERED}
    assert len(await rig.sms.books("messages")) == 1
    mini = [*await rig.alipay.books("messages"), *await rig.wechat.books("messages")]
    assert len(mini) == 1  # the customer's other mini-program took over


async def test_an_outage_of_sms_delays_the_notice_and_loses_nothing(rig):
    until = (NOON + timedelta(hours=2)).isoformat()
    await rig.sms.fault("*", "send", "outage", until=until)
    await rig.notify.hear(a_notice(channels=("sms",)))

    await rig.notify.run()
    for minutes in (5, 25, 30, 60, 60):
        await rig.sms.advance(minutes=minutes)
        await rig.notify.live_until(rig.notify.clock.now() + timedelta(minutes=minutes))

    message = await rig.notify.message("notice.reminder")
    assert message.state in {MessageState.ACCEPTED, MessageState.DELIVERED}
    assert len(await rig.sms.books("messages")) == 1


async def test_every_wording_passes_the_providers_own_rules(rig):
    """The simulators refuse what Aliyun and WeChat would."""
    await rig.notify.hear(*[a_collection(seq, rail=Rail.WECHATPAY) for seq in range(1, 4)])
    await rig.notify.run()

    messages = await rig.notify.messages("charge.collected")
    assert {message.state for message in messages} == {MessageState.ACCEPTED}
    assert {message.channel for message in messages} == {Channel.MINI_PROGRAM}


def test_real_providers_are_not_called_under_a_test_clock(keys_dir):
    told = settings(
        keys_dir,
        sms_url="https://dysmsapi.aliyuncs.com",
        wechat_url="http://127.0.0.1:1",
        alipay_gateway_url="http://127.0.0.1:1",
    )

    with pytest.raises(ValueError, match="real provider"):
        told.require_sandbox(told.sms_url, told.wechat_url, told.alipay_gateway_url)


def test_the_service_says_all_that_its_contract_promises():
    from services.notify import contract

    assert {event.__name__ for event in SERVICE.says} == set(contract.__all__)
    assert [job.name for job in SERVICE.jobs] == [
        "submit_due_messages",
        "query_missing_receipts",
        "check_invariants",
    ]
