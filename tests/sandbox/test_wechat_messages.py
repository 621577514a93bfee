"""WeChat's message service over real HTTP."""

import hashlib
import json
from typing import Any

import pytest

from deploy.sandbox.wechat_messages import WeChatMessages
from tests.sandbox.harness import Simulator, hook, running

OPENID = "o-1"
APP = {
    "grant_type": "client_credential",
    "appid": "wx0000000000000001",
    "secret": "sandbox-wechat-secret",
}
MESSAGE: dict[str, Any] = {
    "touser": OPENID,
    "template_id": "t-1",
    "page": "pages/plan",
    "miniprogram_state": "formal",
    "lang": "zh_CN",
    "data": {
        "thing1": {"value": "月付套餐扣款提醒"},
        "amount2": {"value": "88.00元"},
        "date3": {"value": "2026年3月10日"},
    },
}


async def token(simulator: Simulator, **more):
    return await simulator.post("/cgi-bin/stable_token", APP | more)


async def send(simulator: Simulator, access_token=None, **more):
    text = access_token or (await token(simulator))["access_token"]
    path = f"/cgi-bin/message/subscribe/send?access_token={text}"
    return await simulator.post(path, MESSAGE | more)


async def test_a_message_is_accepted_and_its_delivery_reported():
    async with hook("success") as us, running(WeChatMessages, wechat_event_url=us.url) as simulator:
        answer = await send(simulator)
        await simulator.advance(seconds=3)

        (push,) = await us.wait_for(1)
        event = json.loads(push.raw)
        three = sorted(["sandbox-wechat-token", push.query["timestamp"], push.query["nonce"]])
        assert push.query["signature"] == hashlib.sha1("".join(three).encode()).hexdigest()
        assert event["Event"] == "subscribe_msg_sent_event"
        assert event["List"]["MsgID"] == str(answer["msgid"])
        assert event["List"]["ErrorStatus"] == "success"


async def test_a_delivery_can_fail():
    async with hook("success") as us, running(WeChatMessages, wechat_event_url=us.url) as simulator:
        await simulator.fault(OPENID, "receipt", "decline:user unreachable")
        await send(simulator)
        await simulator.advance(seconds=3)

        event = json.loads((await us.wait_for(1))[0].raw)
        assert event["List"]["ErrorCode"] == "1"


async def test_a_badly_signed_event_is_sent_again_with_the_right_signature():
    async with hook("fail") as us, running(WeChatMessages, wechat_event_url=us.url) as simulator:
        await simulator.fault(OPENID, "notify", "bad_signature")
        await send(simulator)
        await simulator.advance(minutes=1)

        fits = []
        for push in us.pushes:
            three = sorted(["sandbox-wechat-token", push.query["timestamp"], push.query["nonce"]])
            expected = hashlib.sha1("".join(three).encode()).hexdigest()
            fits.append(push.query["signature"] == expected)
        assert fits == [False, True, True, True]


async def test_a_token_is_stable_until_shortly_before_its_end():
    async with running(WeChatMessages) as simulator:
        first = await token(simulator)
        await simulator.advance(seconds=6899)
        same = await token(simulator)
        await simulator.advance(seconds=2)
        successor = await token(simulator)
        overlap = await send(simulator, first["access_token"])
        await simulator.advance(seconds=300)
        over = await send(simulator, first["access_token"])

        assert first["expires_in"] == 7200
        assert same["access_token"] == first["access_token"]
        assert successor["access_token"] != first["access_token"]
        assert (overlap["errcode"], over["errcode"]) == (0, 42001)


async def test_forcing_a_new_token_ends_the_old_one_and_needs_a_pause():
    async with running(WeChatMessages) as simulator:
        old = await token(simulator)
        new = await token(simulator, force_refresh=True)
        again = await token(simulator, force_refresh=True)
        refused = await send(simulator, old["access_token"])

        assert new["access_token"] != old["access_token"]
        assert again["errcode"] == 45009
        assert refused["errcode"] == 42001


@pytest.mark.parametrize(
    ("more", "errcode"),
    [({"appid": "wx9"}, 40013), ({"secret": "x"}, 40125), ({"grant_type": "x"}, 40002)],
)
async def test_only_we_get_a_token(more, errcode):
    async with running(WeChatMessages) as simulator:
        assert (await token(simulator, **more))["errcode"] == errcode


async def test_an_unknown_token_is_invalid():
    async with running(WeChatMessages) as simulator:
        assert (await send(simulator, "nonsense"))["errcode"] == 40001


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("thing1", "二十个字" * 5, True),
        ("thing1", "二十个字" * 5 + "一", False),
        ("thing1", "", False),
        ("amount2", "¥88.00", True),
        ("amount2", "八十八元", False),
        ("date3", "2026年3月10日 09:00", True),
        ("time4", "15:01", True),
        ("time4", "明天", False),
        ("phrase5", "待支付", True),
        ("phrase5", "等待客户付款", False),
        ("character_string6", "NO-2026-1", True),
        ("character_string6", "单号", False),
        ("number7", "12.5", True),
        ("name8", "王小明", True),
        ("phone_number9", "400-000-0000", True),
        ("unknown1", "x", False),
    ],
)
async def test_values_fit_the_field_they_stand_in(key, value, fits):
    async with running(WeChatMessages) as simulator:
        answer = await send(simulator, data={key: {"value": value}})

        assert answer["errcode"] == (0 if fits else 47003)
        assert fits or f"data.{key}.value" in answer["errmsg"]


async def test_a_registered_template_wants_exactly_its_fields():
    async with running(WeChatMessages) as simulator:
        await simulator.put("/_sandbox/templates/t-1", {"fields": ["thing1", "amount2"]})
        more = await send(simulator)
        exact = await send(
            simulator, data={key: MESSAGE["data"][key] for key in ("thing1", "amount2")}
        )

        assert (more["errcode"], exact["errcode"]) == (47003, 0)


async def test_a_one_time_grant_serves_once():
    async with running(WeChatMessages) as simulator:
        await simulator.put(f"/_sandbox/users/{OPENID}/grants", {"t-1": 1})
        first, second = await send(simulator), await send(simulator)
        other = await send(simulator, template_id="t-2")

        assert (first["errcode"], second["errcode"], other["errcode"]) == (0, 43101, 0)


async def test_an_unknown_openid_and_a_scripted_code():
    async with running(WeChatMessages) as simulator:
        await simulator.put("/_sandbox/users/o-2", {"known": False})
        await simulator.fault(OPENID, "send", "decline:45009")
        unknown = await send(simulator, touser="o-2")
        quota = await send(simulator)

        assert (unknown["errcode"], quota["errcode"]) == (40003, 45009)


async def test_a_body_that_is_no_object_is_refused_not_a_crash():
    async with running(WeChatMessages) as simulator:
        access_token = (await token(simulator))["access_token"]
        path = f"/cgi-bin/message/subscribe/send?access_token={access_token}"

        assert (await simulator.post(path, ["x"]))["errcode"] == 40003
        assert (await simulator.post("/cgi-bin/stable_token", ["x"]))["errcode"] == 40002
