"""Signatures against written-down vectors, and what may never change a canonical text."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rails.alipay_signing import canonical_text
from shared.rails.outcome import BadSignature
from shared.rails.wechatpay_v2 import (
    OddXml,
    V2Hash,
    build_xml,
    parse_xml,
    v2_sign,
    v2_signed,
    v2_verify,
)
from shared.rails.wechatpay_v3 import decrypt, encrypt, request_text

ALIPAY_CALL = {
    "app_id": "2021000000000001",
    "biz_content": '{"out_trade_no":"CH20250106A001","total_amount":"88.00",'
    '"subject":"宠粮月付第3期","product_code":"GENERAL_WITHHOLDING",'
    '"agreement_params":{"agreement_no":"20250101000000000001"}}',
    "charset": "utf-8",
    "format": "JSON",
    "method": "alipay.trade.pay",
    "notify_url": "https://pay.example.com/alipay/notify",
    "sign_type": "RSA2",
    "timestamp": "2025-01-06 09:30:00",
    "version": "1.0",
}
V2_CALL = {
    "appid": "wx0000000000000001",
    "body": "宠粮月付第3期",
    "contract_id": "202501010000000001",
    "mch_id": "1900000001",
    "nonce_str": "5K8264ILTKCH16CQ2502SI8ZNMTM67VS",
    "notify_url": "https://pay.example.com/wx/papay",
    "out_trade_no": "CH20250106A001",
    "spbill_create_ip": "203.0.113.8",
    "total_fee": "8800",
    "trade_type": "PAP",
}
V2_SAMPLE = {
    "appid": "wxd930ea5d5a258f4f",
    "body": "test",
    "device_info": "1000",
    "mch_id": "10000100",
    "nonce_str": "ibuaiVcKdpRxkhJA",
}
KEY = "0123456789abcdef0123456789ABCDEF"
TEXTS = st.dictionaries(
    st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
    max_size=8,
)


def test_alipay_signs_this_text():
    text = canonical_text(ALIPAY_CALL).encode()

    assert len(text) == 376
    assert hashlib.sha256(text).hexdigest() == (
        "a75123879a11fe3807ed255560ba2cd2165b2d5eacb93f773c7ee656d355f9c7"
    )


def test_wechat_v3_signs_these_texts():
    once, stamp = "593BEC0C930BF1AFEB40B4A08C8FB242", 1736127000
    body = (
        b'{"mchid":"1900000001","appid":"wx0000000000000001",'
        b'"estimated_amount":{"amount":8800,"currency":"CNY"}}'
    )
    post = request_text("POST", "/v3/papay/contracts/202501010000000001/notify", stamp, once, body)
    target = "/v3/bill/tradebill?bill_date=2025-01-05&bill_type=ALL"
    get = request_text("GET", target, stamp, once, b"")

    assert (len(post), hashlib.sha256(post).hexdigest()) == (
        199,
        "5bbabb7d05fa477ea91fe93eed0a81a3334301d446581cd7c3e432a97aa3629c",
    )
    assert (len(get), hashlib.sha256(get).hexdigest()) == (
        103,
        "89d16edd6f81d5db798a630556054e254879127ae489409e1c37eabe0c5db632",
    )


SEALED = (
    "vbc0KE3lF73FVm9luT74yF10oHQe+wURIKtDcnoFQ8HdasIPsBV/7Ty9GwWq7JYpS"
    "/aHwv4pqmtdLSk1xbplOSA//fLRUxBbdJj4duVA"
)
SEALED_WITHOUT = (
    "vbc0KE3lF73FVm9luT74yF10oHQe+wURIKtDcnoFQ8HdasIPsBV/7Ty9GwWq7JYpS"
    "/aHwv4pqmtdLSk1xboardFoUfjGltAvoEbmr0sX"
)


@pytest.mark.parametrize(("sealed", "beside"), [(SEALED, "papay"), (SEALED_WITHOUT, "")])
def test_a_resource_opens_with_what_stood_beside_it(sealed, beside):
    plain = decrypt(KEY, nonce="abcdef012345", ciphertext=sealed, associated_data=beside)

    assert plain == b'{"contract_id":"202501010000000001","contract_state":"SIGNED"}'
    assert encrypt(KEY, nonce="abcdef012345", plain=plain, associated_data=beside) == sealed
    with pytest.raises(BadSignature):
        decrypt(KEY, nonce="abcdef012345", ciphertext=sealed, associated_data="other")


@pytest.mark.parametrize(
    ("fields", "key", "md5", "hmac"),
    [
        (
            V2_SAMPLE,
            "192006250b4c09247ec02edce69f6a2d",
            "9A0A8659F005D6984697E2CA0A9CF3B7",
            "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6",
        ),
        (
            V2_CALL,
            KEY,
            "50F21EFC77A23E236790E5E6463331F9",
            "30907AE5993A1821DDB7FFC9B0763213AD89265D7BE2A6125E0BB88835EADBC9",
        ),
    ],
)
def test_v2_signs_as_the_rail_does(fields, key, md5, hmac):
    assert v2_sign(fields, key) == md5
    assert v2_sign(fields, key, how=V2Hash.HMAC_SHA256) == hmac


@given(TEXTS)
def test_order_and_empty_values_never_change_a_text(fields):
    turned = dict(reversed(fields.items())) | {"empty": "", "sign": "anything"}
    fields = {key: value for key, value in fields.items() if key not in {"empty", "sign"}}
    turned = {key: value for key, value in turned.items() if key in {*fields, "empty", "sign"}}

    assert canonical_text(turned | {"empty": "", "sign": "x"}) == canonical_text(fields)


@given(TEXTS, st.sampled_from(V2Hash))
def test_v2_survives_the_wire_and_notices_every_change(fields, how):
    signed = v2_signed(fields | {"amount": "1"}, KEY, how=how)
    arrived = parse_xml(build_xml(signed))

    assert v2_verify(arrived, KEY)
    assert not v2_verify(arrived | {"amount": "2"}, KEY)
    assert not v2_verify(arrived | {"added": "1"}, KEY)
    assert not v2_verify(arrived, "another key")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<xml><a>1</a><a>2</a></xml>",
        b"<xml><a><b>1</b></a></xml>",
        b"<other><a>1</a></other>",
        b'<!DOCTYPE x [<!ENTITY e "boom">]><xml><a>&e;</a></xml>',
    ],
)
def test_what_is_not_the_protocols_xml_is_refused(body):
    with pytest.raises(OddXml):
        parse_xml(body)
