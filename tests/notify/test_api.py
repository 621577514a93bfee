"""Notify over HTTP: messages, templates, preferences, and what providers push."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.notify.contract.states import MessageState
from services.notify.routes import api
from shared.api_keys import issue_key
from shared.clock import TestClock
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.notify_builders import (
    CUSTOMER,
    MERCHANT,
    NOON,
    OPENID,
    PHONE,
    PUSH_TOKEN,
    TOKEN,
    NotifyForTests,
    a_dispatch,
    a_notice,
    notify_for_tests,
)

FOREIGNER = derived_id("merchant", 2)


@dataclass
class Served:
    client: TestClient[web.Request, web.Application]
    notify: NotifyForTests
    keys: dict[str, str]

    async def call(
        self, method: str, path: str, *, who: str = "shop", **how: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        async with self.client.request(method, path, headers=headers, **how) as answer:
            return answer.status, await answer.json()

    async def push(self, path: str, body: Any, **how: Any) -> tuple[int, str]:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.client.post(path, data=raw, **how) as answer:
            return answer.status, await answer.text()

    async def verdicts(self) -> list[str]:
        async with self.notify.db.connection() as conn:
            rows = await conn.fetch("SELECT verdict FROM webhook_inbox ORDER BY received_at")
        return [row["verdict"] for row in rows]


@asynccontextmanager
async def serving(db: Database) -> AsyncIterator[Served]:
    notify = await notify_for_tests(db)
    scopes = ["notify:read", "notify:write"]
    async with db.transaction() as conn:
        keys = {
            name: await issue_key(conn, tenant_id=tenant, scopes=allowed, name=name, now=NOON)
            for name, tenant, allowed in (
                ("shop", MERCHANT, scopes),
                ("foreigner", FOREIGNER, scopes),
                ("reader", MERCHANT, ["notify:read"]),
            )
        }
    app = web.Application()
    api.add_to(app, notify.deps, clock=TestClock(NOON))
    async with TestClient(TestServer(app)) as client:
        yield Served(client, notify, keys)


@pytest.fixture
async def served(notify_db: Database) -> AsyncIterator[Served]:
    async with serving(notify_db) as one:
        await one.notify.meet()
        yield one


async def test_messages_are_listed_newest_first_page_by_page(served):
    await served.notify.hear(*[a_notice(seq, channels=("sms",)) for seq in range(1, 4)])
    await served.notify.hear(a_notice(4, channels=("sms",), customer_id=derived_id("other")))

    path = f"/v1/messages?limit=2&customer_id={CUSTOMER}"
    status, first = await served.call("GET", path)
    _, second = await served.call("GET", f"{path}&cursor={first['next_cursor']}")

    assert status == 200
    assert (len(first["items"]), len(second["items"])) == (2, 1)
    assert second["next_cursor"] is None
    ids = [item["message_id"] for item in first["items"] + second["items"]]
    assert len(set(ids)) == 3


async def test_messages_are_found_by_what_caused_them(served):
    notice = a_notice()
    await served.notify.hear(notice, a_notice(2))
    await served.notify.run()

    _, page = await served.call("GET", f"/v1/messages?cause_id={notice.notice_id}&state=accepted")

    assert {item["channel"] for item in page["items"]} == {"sms", "mini_program"}
    (sms,) = [item for item in page["items"] if item["channel"] == "sms"]
    assert sms["recipient_masked"] == "138****0001"
    assert "199.00元" in sms["text"]
    assert PHONE not in str(page)
    assert OPENID not in str(page)


async def test_a_message_shows_its_moves(served):
    await served.notify.hear(a_notice(channels=("sms",)))
    await served.notify.run()
    message = await served.notify.message("notice.reminder")

    status, shown = await served.call("GET", f"/v1/messages/{message.message_id}")

    assert status == 200
    assert [move["state"] for move in shown["history"]] == ["submitted", "accepted"]
    assert shown["message"]["mandatory"] is True


async def test_nobody_sees_another_merchants_messages(served):
    await served.notify.hear(a_notice(channels=("sms",)))
    message = await served.notify.message("notice.reminder")
    path = f"/v1/messages/{message.message_id}"

    assert (await served.call("GET", path, who="foreigner"))[0] == 404
    assert (await served.call("GET", "/v1/messages", who="foreigner"))[1]["items"] == []
    status, problem = await served.call("GET", f"/v1/messages/{new_id()}")
    assert (status, problem["code"]) == (404, "message-unknown")


async def test_a_query_of_another_kind_is_refused(served):
    for query in ("customer_id=me", "limit=0", "limit=x", "cursor=%00", "state=lost", "other=1"):
        status, problem = await served.call("GET", f"/v1/messages?{query}")

        assert status == 400, query
        assert problem["code"] in {"malformed", "cursor-invalid"}


async def test_templates_are_listed_with_their_parameters(served):
    status, listed = await served.call("GET", "/v1/templates")

    assert status == 200
    (notice,) = [
        one for one in listed["items"] if (one["key"], one["channel"]) == ("notice.reminder", "sms")
    ]
    assert {"name": "amount", "kind": "amount", "limit": 14, "fact": "amount_fen"} in notice[
        "params"
    ]


async def test_a_template_can_be_read_before_it_is_sent(served):
    facts = {
        "merchant": "毛毛宠物店",
        "service_phone": "400-800-1234",
        "plan": "幼猫成长套餐",
        "rail": "支付宝",
        "amount_fen": 19900,
    }
    path = "/v1/templates/refund.succeeded/preview"

    status, shown = await served.call("POST", path, json={"facts": facts})
    mini = await served.call("POST", path, json={"facts": facts, "channel": "mini_program"})

    assert status == 200
    assert "199.00元" in shown["text"]
    assert shown["sms_parts"] == 1
    assert mini[1]["sms_parts"] is None


async def test_a_preview_that_cannot_be_is_refused(served):
    known = "refund.succeeded"
    facts: dict[str, Any] = {"facts": {}}
    for key, body, status, code in (
        (known, facts, 422, "params-invalid"),
        (known, {"facts": {"amount_fen": "1"}}, 422, "params-invalid"),
        (known, {}, 400, "malformed"),
        (known, {"facts": 5}, 400, "malformed"),
        (known, facts | {"channel": "voice"}, 400, "malformed"),
        ("nothing", facts, 404, "template-unknown"),
    ):
        answered, problem = await served.call("POST", f"/v1/templates/{key}/preview", json=body)

        assert (answered, problem["code"]) == (status, code)


async def test_a_customer_chooses_what_to_hear(served):
    path = f"/v1/customers/{CUSTOMER}/preferences"
    wish = {"sms": {"marketing": False, "service": False}}

    for _ in range(2):
        status, stands = await served.call("PUT", path, json=wish)
        assert status == 200
        assert stands["sms"] == {"marketing": False, "service": False}
        assert stands["mini_program"] == {"marketing": True, "service": True}
    (told,) = await served.notify.told("notify.contact.opted_out.v1")
    assert told.body["channel"] == "sms"

    _, stands = await served.call("PUT", path, json={"sms": {"marketing": True}})
    assert stands["sms"] == {"marketing": True, "service": False}


async def test_what_a_customer_refuses_is_not_sent_but_what_is_owed_is(served):
    path = f"/v1/customers/{CUSTOMER}/preferences"
    await served.call("PUT", path, json={"mini_program": {"service": False}})

    await served.notify.hear(a_dispatch())
    await served.notify.hear(a_notice())
    await served.notify.run()

    (parcel,) = await served.notify.messages("shipment.dispatched")
    assert parcel.state is MessageState.SUPPRESSED
    notices = await served.notify.messages("notice.reminder")
    assert {notice.state for notice in notices} == {MessageState.ACCEPTED}


async def test_preferences_that_cannot_be_are_refused(served):
    path = f"/v1/customers/{CUSTOMER}/preferences"

    assert (await served.call("PUT", path, json={"sms": 5}))[0] == 400
    assert (await served.call("PUT", path, json={"voice": {}}))[0] == 400
    assert (await served.call("PUT", path, data=b"{"))[0] in {400, 415}
    assert (await served.call("PUT", path, json={}, who="foreigner"))[0] == 404
    assert (await served.call("PUT", path, json={}, who="reader"))[0] == 403
    unknown = f"/v1/customers/{new_id()}/preferences"
    assert (await served.call("PUT", unknown, json={}))[1]["code"] == "contact-unknown"


def a_report(out_id: str = "", *, success: bool = True, **changes: Any) -> dict[str, Any]:
    return {
        "phone_number": PHONE,
        "send_time": "2027-03-01 12:00:00",
        "report_time": "2027-03-01 12:00:08",
        "success": success,
        "err_code": "DELIVERED" if success else "MK:0001",
        "err_msg": "",
        "sms_size": "1",
        "biz_id": "aliyun-1",
        "out_id": out_id,
    } | changes


async def test_a_report_of_aliyun_marks_the_message_as_delivered_once(served):
    await served.notify.hear(a_notice(channels=("sms",)))
    await served.notify.run()
    body = [a_report(served.notify.sms.sent[0].out_id)]

    for _ in range(2):
        status, text = await served.push(f"/webhooks/aliyun/{TOKEN}/sms-report", body)
        assert (status, orjson.loads(text)["code"]) == (200, 0)

    message = await served.notify.message("notice.reminder")
    assert message.state is MessageState.DELIVERED
    assert message.delivered_at == NOON + timedelta(seconds=8)
    assert await served.verdicts() == ["accepted"]


async def test_a_report_with_no_place_here_is_kept_for_a_person(served):
    bodies = (
        b"",
        b"garbage",
        b"\xff\xfe",
        b"{}",
        b"[1]",
        b'[{"success": "yes"}]',
        orjson.dumps([a_report(report_time="yesterday")]),
        orjson.dumps([a_report(biz_id="stranger")]),
    )
    for body in bodies:
        status, text = await served.push(f"/webhooks/aliyun/{TOKEN}/sms-report", body)
        assert (status, orjson.loads(text)["code"]) == (200, 0)

    assert await served.verdicts() == ["unplaced"] * len(bodies)


async def test_a_call_at_a_guessed_address_is_refused_and_kept(served):
    status, text = await served.push("/webhooks/aliyun/guess/sms-report", [a_report()])
    assert (status, orjson.loads(text)["code"]) == (401, "push-unauthentic")
    assert (await served.push("/webhooks/aliyun/guess/sms-up", []))[0] == 401

    assert set(await served.verdicts()) == {"rejected"}


async def test_a_reply_that_refuses_ends_marketing_once(served):
    reply = {
        "phone_number": PHONE,
        "content": " td ",
        "send_time": "2027-03-01 12:00:00",
        "dest_code": "01",
        "sequence_id": 77,
    }
    for content in (" td ", "td"):
        body = [reply | {"content": content}]
        assert (await served.push(f"/webhooks/aliyun/{TOKEN}/sms-up", body))[0] == 200

    assert len(await served.notify.told("notify.contact.opted_out.v1")) == 1
    async with served.notify.db.connection() as conn:
        kept = await conn.fetchrow("SELECT * FROM replies")
        assert await conn.fetchval("SELECT count(*) FROM opt_outs WHERE scope = 'marketing'") == 1
    assert "td" not in kept["content"]
    assert PHONE not in str(dict(kept))


async def test_a_reply_from_a_stranger_waits_for_a_person(served):
    reply = {
        "phone_number": "13911112222",
        "content": "R",
        "send_time": "2027-03-01 12:00:00",
        "sequence_id": "1",
    }
    assert (await served.push(f"/webhooks/aliyun/{TOKEN}/sms-up", [reply]))[0] == 200

    assert await served.verdicts() == ["unplaced"]
    assert await served.notify.told("notify.contact.opted_out.v1") == []


def signed(*, token: str = PUSH_TOKEN, late_s: int = 0, **more: str) -> dict[str, str]:
    timestamp = str(int(NOON.timestamp()) - late_s)
    text = "".join(sorted([token, timestamp, "n1"]))
    signature = hashlib.sha1(text.encode()).hexdigest()
    return {"signature": signature, "timestamp": timestamp, "nonce": "n1"} | more


def an_event(number: str, error_code: str = "0") -> dict[str, Any]:
    return {
        "ToUserName": "wx1",
        "FromUserName": OPENID,
        "CreateTime": str(int(NOON.timestamp())),
        "MsgType": "event",
        "Event": "subscribe_msg_sent_event",
        "List": {
            "TemplateId": "t",
            "MsgID": number,
            "ErrorCode": error_code,
            "ErrorStatus": "success",
        },
    }


async def test_wechat_may_check_that_the_address_is_ours(served):
    params = signed(echostr="hello")
    async with served.client.get("/webhooks/wechat/messages", params=params) as answer:
        assert (answer.status, await answer.text()) == (200, "hello")
    params = signed(token="stranger", echostr="hello")
    async with served.client.get("/webhooks/wechat/messages", params=params) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("error_code", "state"), [("0", MessageState.DELIVERED), ("1", MessageState.FAILED)]
)
async def test_wechat_tells_what_became_of_a_message(served, error_code, state):
    await served.notify.meet()
    async with served.notify.db.transaction() as conn:
        await conn.execute("UPDATE agreements SET rail = 'wechatpay'")
    await served.notify.hear(a_notice(channels=("mini_program",), rail="wechatpay"))
    await served.notify.run()
    event = an_event("wechat-1", error_code)

    for body in (event, event | {"List": [event["List"]]}):
        answer = await served.push("/webhooks/wechat/messages", body, params=signed())
        assert answer == (200, "success")

    (message,) = await served.notify.messages("notice.reminder")
    assert message.state is state


async def test_a_push_that_wechat_did_not_sign_or_signed_long_ago_is_refused(served):
    path = "/webhooks/wechat/messages"
    body = an_event("1")

    for params in (signed(token="stranger"), signed(late_s=301), {}, {"timestamp": "x"}):
        assert (await served.push(path, body, params=params))[0] == 401

    assert set(await served.verdicts()) == {"rejected"}


async def test_other_events_of_wechat_are_taken_and_garbage_is_kept(served):
    path = "/webhooks/wechat/messages"
    popup = {"Event": "subscribe_msg_popup_event", "List": []}

    assert await served.push(path, popup, params=signed()) == (200, "success")
    assert await served.push(path, b"<xml/>", params=signed()) == (200, "success")
    broken = an_event("1") | {"List": "x"}
    assert await served.push(path, broken, params=signed()) == (200, "success")

    assert await served.verdicts() == ["accepted", "unplaced", "unplaced"]


async def test_the_document_describes_every_endpoint(served):
    async with served.client.get("/openapi.json") as answer:
        paths = (await answer.json())["paths"]

    assert {
        "/v1/messages",
        "/v1/messages/{message_id}",
        "/v1/templates",
        "/v1/templates/{key}/preview",
        "/v1/customers/{customer_id}/preferences",
    } <= set(paths)
