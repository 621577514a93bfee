"""The SMS provider over real HTTP, with requests built and signed by the test."""

import hashlib
import hmac
import json
from datetime import timedelta
from urllib.parse import quote
from uuid import uuid4

import pytest
from aiohttp import ServerDisconnectedError

from deploy.sandbox.aliyun_sms import AliyunSms
from deploy.sandbox.kit import Options
from tests.sandbox.harness import START, Simulator, hook, running

PHONE = "13800000000"
TEXT = {
    "PhoneNumbers": PHONE,
    "SignName": "月付宠物",
    "TemplateCode": "SMS_1",
    "TemplateParam": '{"amount":"88.00"}',
    "OutId": "m-1",
}
OK = {"code": 0, "msg": "成功"}


async def call(
    simulator: Simulator,
    action="SendSms",
    *,
    secret="sandbox-sms-secret",
    nonce="",
    late_s=0,
    **more,
):
    query = {**TEXT, **more} if action == "SendSms" else more
    moment = simulator.now - timedelta(seconds=late_s)
    headers = {
        "host": simulator.host,
        "x-acs-action": action,
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce or uuid4().hex,
        "x-acs-version": "2017-05-25",
    }
    encoded = "&".join(f"{key}={quote(query[key], safe='~')}" for key in sorted(query))
    block = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    names = ";".join(sorted(headers))
    canonical = f"POST\n/\n{encoded}\n{block}\n{names}\n{headers['x-acs-content-sha256']}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()
    headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential=sandbox-sms-key,SignedHeaders={names},Signature={signature}"
    )
    async with simulator.http.post(simulator.url("/"), params=query, headers=headers) as answer:
        if answer.status >= 500:
            return {"Status": answer.status}
        return await answer.json()


async def test_a_message_is_accepted_and_its_receipt_comes_later():
    async with hook(OK) as us, running(AliyunSms, sms_report_url=us.url) as simulator:
        answer = await call(simulator)
        assert answer["Code"] == "OK"
        assert us.pushes == []

        await simulator.advance(seconds=8)

        (push,) = await us.wait_for(1)
        (receipt,) = json.loads(push.raw)
        assert receipt["biz_id"] == answer["BizId"]
        assert receipt["out_id"] == "m-1"
        assert receipt["success"] is True
        assert receipt["err_code"] == "DELIVERED"
        assert receipt["report_time"] == "2026-03-02 10:00:08"


async def test_the_books_keep_what_was_sent_to_whom():
    async with running(AliyunSms) as simulator:
        await call(simulator)

        (message,) = await simulator.books("messages")
        assert message["phone"] == PHONE
        assert message["params"] == {"amount": "88.00"}
        assert message["template"] == "SMS_1"
        assert message["at"] == START.isoformat()


async def test_a_receipt_nobody_takes_comes_again_three_times():
    async with hook({"code": 1}) as us, running(AliyunSms, sms_report_url=us.url) as simulator:
        await call(simulator)
        await simulator.advance(days=1)

        assert len(us.pushes) == 4
        assert len({push.raw for push in us.pushes}) == 1


async def test_a_number_out_of_reach_is_a_receipt_with_the_carriers_code():
    async with hook(OK) as us, running(AliyunSms, sms_report_url=us.url) as simulator:
        await simulator.fault(PHONE, "receipt", "decline:MK:0001")
        await call(simulator)
        await simulator.advance(seconds=8)

        (receipt,) = json.loads((await us.wait_for(1))[0].raw)
        assert (receipt["success"], receipt["err_code"]) == (False, "MK:0001")


async def test_duplicated_receipts_are_two_pushes():
    async with hook(OK) as us, running(AliyunSms, sms_report_url=us.url) as simulator:
        await simulator.fault(PHONE, "notify", "duplicate")
        await call(simulator)
        await simulator.advance(seconds=8)

        assert len(await us.wait_for(2)) == 2


async def test_a_reordered_receipt_comes_after_its_successor():
    async with hook(OK) as us, running(AliyunSms, sms_report_url=us.url) as simulator:
        await simulator.fault(PHONE, "notify", "reorder:30")
        await call(simulator, OutId="m-1")
        await call(simulator, OutId="m-2")
        await simulator.advance(hours=1)

        pushed = [json.loads(push.raw)[0]["out_id"] for push in us.pushes]
        assert pushed == ["m-2", "m-1"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"secret": "other"}, "SignatureDoesNotMatch"),
        ({"late_s": 901}, "InvalidTimeStamp.Expired"),
    ],
)
async def test_requests_must_be_ours_and_of_now(more, code):
    async with running(AliyunSms) as simulator:
        answer = await call(simulator, **more)

        assert answer["Code"] == code
        assert simulator.sandbox.books.count("messages") == 0


async def test_a_nonce_serves_once():
    async with running(AliyunSms) as simulator:
        first = await call(simulator, nonce="n-1")
        second = await call(simulator, nonce="n-1")

        assert (first["Code"], second["Code"]) == ("OK", "SignatureNonceUsed")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"PhoneNumbers": "12345"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"TemplateParam": "{"}, "isv.INVALID_JSON_PARAM"),
        ({"TemplateParam": '{"amount":88}'}, "isv.TEMPLATE_PARAMS_ILLEGAL"),
        ({"TemplateParam": '{"other":"88"}'}, "isv.TEMPLATE_MISSING_PARAMETERS"),
        ({"TemplateParam": '{"amount":"http://a.cn"}'}, "isv.PARAM_NOT_SUPPORT_URL"),
        ({"TemplateParam": '{"amount":"贷款"}'}, "isv.BLACK_KEY_CONTROL_LIMIT"),
        ({"TemplateCode": "1"}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ({"TemplateCode": "SMS_2"}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ({"SignName": "没有报备"}, "isv.SMS_SIGNATURE_ILLEGAL"),
        ({"OutId": "x" * 256}, "isv.INVALID_PARAMETERS"),
    ],
)
async def test_texts_that_break_a_rule_are_refused(more, code):
    async with running(AliyunSms, sms_open_registry=0) as simulator:
        await simulator.put("/_sandbox/signs/月付宠物", {})
        await simulator.put("/_sandbox/templates/SMS_1", {"content": "本期${amount}元"})
        answer = await call(simulator, **more)

        assert answer["Code"] == code


async def test_the_fifty_first_notification_of_a_day_is_too_many():
    async with running(AliyunSms) as simulator:
        codes = [(await call(simulator))["Code"] for _ in range(51)]
        await simulator.advance(hours=24)
        next_day = await call(simulator)

        assert codes == ["OK"] * 50 + ["isv.BUSINESS_LIMIT_CONTROL"]
        assert next_day["Code"] == "OK"


async def test_verification_codes_have_a_tighter_limit():
    async with running(AliyunSms) as simulator:
        await simulator.put(
            "/_sandbox/templates/SMS_1", {"content": "${amount}", "kind": "verification"}
        )
        codes = [(await call(simulator))["Code"] for _ in range(2)]

        assert codes == ["OK", "isv.BUSINESS_LIMIT_CONTROL"]


async def test_an_outage_lasts_until_its_end():
    async with running(AliyunSms) as simulator:
        until = (START + timedelta(hours=2)).isoformat()
        await simulator.fault("*", "send", "outage", until=until)
        during = [await call(simulator) for _ in range(3)]
        await simulator.advance(hours=2)
        after = await call(simulator)

        assert during == [{"Status": 503}] * 3
        assert after["Code"] == "OK"
        assert len(await simulator.books("messages")) == 1


async def test_a_hidden_answer_is_found_by_query():
    async with running(AliyunSms) as simulator:
        await simulator.put("/_sandbox/templates/SMS_1", {"content": "本期${amount}元"})
        await simulator.fault(PHONE, "send", "hide_answer")
        with pytest.raises(ServerDisconnectedError):
            await call(simulator)
        found = await call(
            simulator,
            "QuerySendDetails",
            PhoneNumber=PHONE,
            SendDate="20260302",
            PageSize="10",
            CurrentPage="1",
        )

        (row,) = found["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
        assert (row["OutId"], row["SendStatus"]) == ("m-1", 1)
        assert row["Content"] == "【月付宠物】本期88.00元"


async def test_a_customers_reply_is_pushed():
    async with hook(OK) as us, running(AliyunSms, sms_reply_url=us.url) as simulator:
        await simulator.post(f"/_sandbox/phones/{PHONE}/reply", {"content": "R"})

        (reply,) = json.loads((await us.wait_for(1))[0].raw)
        assert (reply["phone_number"], reply["content"]) == (PHONE, "R")
        assert reply["sequence_id"] == "1"


async def test_a_restarted_provider_still_owes_its_receipt(tmp_path):
    books = tmp_path / "sms.sqlite"
    async with hook(OK) as us:
        extra = {"sms_report_url": us.url}
        async with running(AliyunSms, Options(now=START, books=books, extra=extra)) as simulator:
            await call(simulator)
        async with running(AliyunSms, Options(now=START, books=books, extra=extra)) as simulator:
            await simulator.advance(seconds=8)

            assert len(await us.wait_for(1)) == 1
