"""Answers that are cut, verified and judged: what is unclear must end as unknown."""

import asyncio
import base64
import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from deploy.sandbox import keys
from shared.clock import TestClock
from shared.rails import alipay_calls, wechatpay_calls
from shared.rails.alipay import AlipayClient, AlipayConfig, amount_fen, read_time
from shared.rails.alipay_signing import OddResponse, cut_node, notification_texts
from shared.rails.classes import FailureClass, RailCall, classify
from shared.rails.outcome import BadSignature, Ok, Refused, Unknown, UnknownReason
from shared.rails.permissions import ALIPAY_CYCLE, PERMISSIONS, WECHAT_PRENOTICE, permission
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.transport import Timeouts
from shared.rails.wechatpay import WechatPayClient
from shared.rails.wechatpay_v3 import answer_text, verify_answer
from tests.rails.conftest import START
from tests.rails.support import running

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON), st.booleans(), st.booleans(), st.booleans())
def test_a_node_is_cut_byte_for_byte(node, sign_first, spaced, ascii_only):
    separators = (", ", ": ") if spaced else (",", ":")
    raw = json.dumps(node, ensure_ascii=ascii_only, separators=separators)
    parts = [f'"a_response":{raw}', '"sign":"AA=="']
    body = "{" + ",".join(reversed(parts) if sign_first else parts) + "}"

    cut = cut_node(body, "a_response")

    assert (cut.raw, cut.sign, cut.name) == (raw, "AA==", "a_response")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        "null",
        "<html>",
        '{"a_response":{}',
        '{"a_response":{}} x',
        '{"a_response":{},"a_response":{}}',
        '{"b_response":{}}',
    ],
)
def test_an_odd_body_has_no_node(body):
    with pytest.raises(OddResponse):
        cut_node(body, "a_response")


def test_a_notification_may_be_signed_in_four_forms():
    fields = [("b", "2"), ("a", ""), ("alipay_cert_sn", "c"), ("sign", "s"), ("sign_type", "RSA2")]

    assert notification_texts(fields) == [
        "a=&alipay_cert_sn=c&b=2",
        "alipay_cert_sn=c&b=2",
        "a=&b=2",
        "b=2",
    ]


class Gateway:
    """Answers every call with one prepared response."""

    def __init__(self) -> None:
        self.answer: tuple[int, str] = (200, "")
        self.url = ""
        self.app = web.Application()
        self.app.router.add_post("/gateway.do", self._answer)

    async def _answer(self, _request: web.Request) -> web.Response:
        status, text = self.answer
        return web.Response(status=status, text=text)


@pytest.fixture
async def gateway():
    prepared = Gateway()
    async with running(prepared.app) as url:
        prepared.url = url
        yield prepared


@pytest.fixture
def client(gateway, http, keys_dir):
    return AlipayClient(
        http,
        AlipayConfig(f"{gateway.url}/gateway.do", "2021"),
        RsaSigner(keys.private_pem(keys_dir, "alipay-app")),
        RsaVerifier(keys.public_pem(keys_dir, "alipay")),
    )


def _said(keys_dir, node: str, *, name="alipay_trade_query_response", by="alipay", first=False):
    sign = RsaSigner(keys.private_pem(keys_dir, by)).sign(node.encode())
    parts = [f'"{name}":{node}', f'"sign":"{sign}"']
    return 200, "{" + ",".join(reversed(parts) if first else parts) + "}"


PAID = (
    '{"code":"10000","msg":"Success","subject":"a } and a { and \\" here","total_amount":"88.00"}'
)


@pytest.mark.parametrize("first", [False, True])
async def test_a_brace_in_a_text_and_an_early_sign_do_not_matter(client, gateway, keys_dir, first):
    gateway.answer = _said(keys_dir, PAID, first=first)

    outcome = await alipay_calls.query_trade(client, out_trade_no="T1")

    assert isinstance(outcome, Ok)
    assert amount_fen(outcome.data, "total_amount") == 8800


def _unclear(keys_dir):
    busy = '{"code":"20000","msg":"x","sub_code":"isp.unknow-error"}'
    refused = '{"code":"40004","msg":"x","sub_code":"ACQ.TRADE_NOT_EXIST"}'
    return {
        "stranger": (_said(keys_dir, PAID, by="nobody"), UnknownReason.BAD_SIGNATURE),
        "unsigned": ((200, f'{{"alipay_trade_query_response":{PAID}}}'), "bad_signature"),
        "unsigned refusal": (
            (200, f'{{"alipay_trade_query_response":{refused}}}'),
            "bad_signature",
        ),
        "error node": ((200, f'{{"error_response":{PAID}}}'), "bad_signature"),
        "error refusal": ((200, f'{{"error_response":{refused}}}'), "bad_signature"),
        "waiting": (_said(keys_dir, '{"code":"10003"}'), "rail_unsure"),
        "busy": (_said(keys_dir, busy), "rail_unsure"),
        "system": (
            _said(keys_dir, '{"code":"40004","sub_code":"ACQ.SYSTEM_ERROR"}'),
            "rail_unsure",
        ),
        "no code": (_said(keys_dir, "{}"), "odd_body"),
        "encrypted": (_said(keys_dir, '"AAAA"'), "odd_body"),
        "html": ((200, "<html>"), "odd_body"),
        "502": ((502, "bad gateway"), "http_status"),
        "404": ((404, ""), "http_status"),
        "302": ((302, ""), "http_status"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "stranger",
        "unsigned",
        "unsigned refusal",
        "error node",
        "error refusal",
        "waiting",
        "busy",
        "system",
        "no code",
        "encrypted",
        "html",
        "502",
        "404",
        "302",
    ],
)
async def test_what_is_unclear_is_unknown(client, gateway, keys_dir, case):
    gateway.answer, reason = _unclear(keys_dir)[case]

    outcome = await alipay_calls.query_trade(client, out_trade_no="T1")

    assert isinstance(outcome, Unknown)
    assert outcome.reason == reason


async def test_the_gateway_may_refuse_without_a_signature(client, gateway):
    gateway.answer = (200, '{"error_response":{"code":"40002","sub_code":"isv.invalid-signature"}}')

    outcome = await alipay_calls.query_trade(client, out_trade_no="T1")

    assert isinstance(outcome, Refused)
    assert classify("alipay", RailCall.CHARGE, outcome.code) is FailureClass.OUR_MISTAKE


async def test_nobody_there_is_unknown(http, keys_dir):
    client = AlipayClient(
        http,
        AlipayConfig("http://127.0.0.1:9/gateway.do", "2021", Timeouts(1, 1)),
        RsaSigner(keys.private_pem(keys_dir, "alipay-app")),
        RsaVerifier(keys.public_pem(keys_dir, "alipay")),
    )

    outcome = await alipay_calls.query_trade(client, out_trade_no="T1")

    assert outcome == Unknown(UnknownReason.NOT_REACHED, "ClientConnectorError")


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_a_notification_is_verified_in_its_own_charset(client, keys_dir, charset):
    fields = {"charset": charset, "notify_id": "1", "app_id": "2", "subject": "宠粮", "body": ""}
    text = notification_texts(list(fields.items()))[0].encode(charset)
    sign = RsaSigner(keys.private_pem(keys_dir, "alipay")).sign(text)
    body = urlencode(fields | {"sign_type": "RSA2", "sign": sign}, encoding=charset).encode()

    told = client.open_notification(body)

    assert told.inbox_key == ("2", "1")
    assert told.fields["subject"] == "宠粮"
    for spoilt in (body + b"&more=1", body.replace(b"notify_id=1", b"notify_id=2"), b"", b"\xff"):
        with pytest.raises(BadSignature):
            client.open_notification(spoilt)


async def test_many_signatures_come_back_to_their_owners(keys_dir):
    signer = RsaSigner(keys.private_pem(keys_dir, "alipay"))
    texts = [f"text {n}".encode() for n in range(130)]
    signatures = await asyncio.gather(*(signer.sign_soon(text) for text in texts))

    assert list(signatures) == signer.sign_many(texts)
    verifier = RsaVerifier(keys.public_pem(keys_dir, "alipay"))
    assert verifier.verify(texts[7], signatures[7])
    assert not verifier.verify(texts[7], signatures[8])
    assert not verifier.verify(texts[7], "no base64")


def test_a_bare_key_is_read_like_a_pem(keys_dir):
    pem = keys.private_pem(keys_dir, "alipay")
    bare = "".join(line for line in pem.splitlines() if "-----" not in line)
    assert base64.b64decode(bare)

    assert RsaSigner(bare).sign(b"x") == RsaSigner(pem).sign(b"x")


@pytest.mark.parametrize(("off_s", "fine"), [(0, True), (299, True), (301, False), (-301, False)])
def test_an_answer_older_than_five_minutes_is_refused(keys_dir, off_s, fine):
    now = TestClock(START).now()
    stamp = str(int(now.timestamp()) - off_s)
    signer = RsaSigner(keys.private_pem(keys_dir, "wechat-platform"))
    headers = {
        "Wechatpay-Timestamp": stamp,
        "Wechatpay-Nonce": "n",
        "Wechatpay-Serial": "S",
        "Wechatpay-Signature": signer.sign(answer_text(stamp, "n", b"{}")),
    }
    verifiers = {"S": RsaVerifier(keys.public_pem(keys_dir, "wechat-platform"))}

    if fine:
        verify_answer(headers, b"{}", verifiers, now=now)
    for body, known in ((b"{} ", verifiers), (b"{}", {}), *(() if fine else ((b"{}", verifiers),))):
        with pytest.raises(BadSignature):
            verify_answer(headers, body, known, now=now)


def test_codes_have_classes_and_unlisted_ones_must_be_queried():
    charge, refund = RailCall.CHARGE, RailCall.REFUND
    assert classify("alipay", charge, "ACQ.AGREEMENT_NOT_EXIST") is FailureClass.MANDATE_GONE
    assert classify("alipay", charge, "CYCLE_PAY_DATE_NOT_MATCH") is FailureClass.PLAN_ACTION
    assert classify("alipay", charge, "BUYER_BALANCE_NOT_ENOUGH") is FailureClass.RETRY_LATER
    alarm = classify("alipay", charge, "MERCHANT_PERM_RECEIPT_SUSPEND_LIMIT")
    assert alarm is FailureClass.MERCHANT_ALARM
    assert classify("wechatpay", charge, "NOTENOUGH") is FailureClass.RETRY_LATER
    assert classify("wechatpay", charge, "OUT_TRADE_NO_USED") is FailureClass.NUMBER_USED
    assert classify("wechatpay", refund, "NOT_ENOUGH") is FailureClass.RETRY_LATER
    for rail in ("alipay", "wechatpay", "another"):
        assert classify(rail, charge, "NEVER_HEARD_OF") is FailureClass.UNKNOWN


def test_every_product_is_found_by_rail_and_name():
    assert permission("alipay", "alipay_cycle") is ALIPAY_CYCLE
    assert permission("wechatpay", "wechat_prenotice") is WECHAT_PRENOTICE
    assert 29 not in ALIPAY_CYCLE.charge_days
    assert 31 in WECHAT_PRENOTICE.charge_days
    fields = set(ALIPAY_CYCLE.__dataclass_fields__)
    assert all(row.unconfirmed <= fields for row in PERMISSIONS.values())


def test_times_and_amounts_of_the_rail_are_read():
    assert read_time("2026-01-01 10:00:00") == START == read_time("2026-01-01 10:00:00.000")
    assert [amount_fen({"a": text}, "a") for text in ("88", "88.5", "88.05", "")] == [
        8800,
        8850,
        8805,
        None,
    ]


async def test_a_payment_request_is_signed_for_the_front_end(wechat, keys_dir):
    asked = await wechat.client.payment_request("wx1")

    text = f"{asked['appId']}\n{asked['timeStamp']}\n{asked['nonceStr']}\nprepay_id=wx1\n"
    verifier = RsaVerifier(keys.public_pem(keys_dir, "wechat-merchant"))
    assert verifier.verify(text.encode(), asked["paySign"])


async def test_wechat_without_a_valid_sign_is_unknown(wechat, http, keys_dir):
    """Another key on our side: WeChat refuses with return_code FAIL, which carries no sign."""
    right = wechat.client
    wrong = WechatPayClient(
        http,
        replace(right.config, apiv2_key="0" * 32),
        RsaSigner(keys.private_pem(keys_dir, "nobody")),
        {},
    )

    v2 = await wechatpay_calls.query_deduction(wrong, out_trade_no="T1")
    v3 = await wechatpay_calls.query_order(wrong, out_trade_no="T1")

    assert v2 == Unknown(UnknownReason.BAD_SIGNATURE, "签名错误")
    assert isinstance(v3, Refused)
    assert v3.code == "SIGN_ERROR"
