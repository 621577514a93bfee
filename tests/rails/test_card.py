"""The card aggregator's profile: signatures, orders, what banks refuse, and what is never lost."""

import csv
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox import keys
from deploy.sandbox.card_aggregator import CardSandbox
from deploy.sandbox.kit import Options
from shared.rails.card import CardClient, CardConfig
from shared.rails.classes import FailureClass, RailCall, classify
from shared.rails.outcome import BadSignature, Ok, Outcome, Refused, Unknown, UnknownReason
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.wechatpay_v3 import answer_text
from tests.rails.support import FAST, Listener, RailWorld, running

START = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)  # 10:00 in China
USER = "U1"


@dataclass
class CardWorld:
    rail: RailWorld
    client: CardClient
    listener: Listener

    async def signed(self, number: str = "AG1", **terms: Any) -> str:
        content = {"external_no": number, "user_no": USER, "ceiling_fen": 600_000}
        content |= {"notify_url": self.listener.url("/signed"), **terms}
        invited = await self.client.call("sign", content)
        assert isinstance(invited, Ok)
        doc = {"sign_token": invited.data["sign_token"], "sms_code": "246810"}
        status, answer = await self.rail.ask("POST", f"/users/{USER}/sign", doc)
        assert status == 200
        return str(answer["contract_no"])

    async def charge(self, number: str, contract: str, amount_fen: int = 8800) -> Outcome:
        content = {"order_no": number, "contract_no": contract, "amount_fen": amount_fen}
        content |= {"subject": "宠粮月付", "notify_url": self.listener.url("/paid")}
        return await self.client.call("charge", content)

    async def refund(self, number: str, order: str, amount_fen: int) -> Outcome:
        content = {"refund_no": number, "order_no": order, "amount_fen": amount_fen}
        content |= {"reason": "退", "notify_url": self.listener.url("/paid")}
        return await self.client.call("refund", content)


@pytest.fixture
async def card(keys_dir: Path, http, listener) -> AsyncIterator[CardWorld]:
    sandbox = CardSandbox(Options(keys=keys_dir, now=START))
    async with running(sandbox.app) as url:
        client = CardClient(
            http,
            CardConfig(url, keys.secret(keys_dir, "card_merchant_no"), timeouts=FAST),
            RsaSigner(keys.private_pem(keys_dir, "card-merchant")),
            RsaVerifier(keys.public_pem(keys_dir, "card-aggregator")),
        )
        yield CardWorld(RailWorld(sandbox, url, http, listener), client, listener)


def code(outcome: Outcome) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.code


async def test_a_contract_is_signed_by_the_banks_code_and_the_third_wrong_one_ends_it(card):
    content = {"external_no": "AG9", "user_no": USER, "ceiling_fen": 1, "notify_url": ""}
    first = await card.client.call("sign", content)
    again = await card.client.call("sign", content)
    doc = {"sign_token": first.data["sign_token"], "sms_code": "000000"}
    wrong = [await card.rail.ask("POST", f"/users/{USER}/sign", doc) for _ in range(4)]

    assert first == again
    assert [answer["code"] for _, answer in wrong] == ["SMS_CODE_WRONG"] * 3 + [
        "SIGN_TOKEN_INVALID"
    ]
    ended = await card.client.call("query_contract", {"external_no": "AG9"})
    assert ended.data["state"] == "ENDED"
    assert code(await card.client.call("query_contract", {"external_no": "AG0"})) == (
        "CONTRACT_NOT_FOUND"
    )


async def test_an_order_is_charged_once_whatever_is_repeated(card):
    contract = await card.signed()

    first = await card.charge("O1", contract)
    again = await card.charge("O1", contract)
    other = await card.charge("O1", contract, 8801)

    assert isinstance(first, Ok)
    assert (first.data["status"], first.data["amount_fen"]) == ("SUCCEEDED", 8800)
    assert again == first
    assert code(other) == "ORDER_NO_USED"
    books = await card.rail.books()
    assert (books["summary"]["captures"], books["summary"]["double_captures"]) == (1, 0)


async def test_banks_refuse_what_they_refuse(card):
    contract = await card.signed()
    await card.rail.ask("PUT", f"/users/{USER}", {"balance_fen": 500})
    poor = await card.charge("O1", contract)
    reused = await card.charge("O1", contract)
    await card.rail.ask("PUT", f"/users/{USER}", {"balance_fen": None})
    day = [await card.charge(f"O{n}", contract, 400_000) for n in (2, 3, 4)]
    above = await card.charge("O5", contract, 600_001)
    await card.rail.in_china("2026-01-02", 23)
    night = await card.charge("O6", contract)
    await card.rail.in_china("2026-01-03", 10)
    await card.client.call("end_contract", {"external_no": "AG1"})
    ended = await card.charge("O7", contract)

    assert poor.data["fail_code"] == "INSUFFICIENT_FUNDS"
    assert code(reused) == "ORDER_NO_USED"
    assert [one.data["status"] for one in day] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
    assert day[2].data["fail_code"] == "DAILY_LIMIT_EXCEEDED"
    assert [code(one) for one in (above, night, ended)] == [
        "AMOUNT_ABOVE_CONTRACT",
        "OUTSIDE_HOURS",
        "CONTRACT_ENDED",
    ]


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("hide_answer", UnknownReason.DISCONNECTED),
        ("http_500", UnknownReason.HTTP_STATUS),
        ("bad_signature", UnknownReason.BAD_SIGNATURE),
        ("decline:BANK_TIMEOUT", None),
    ],
)
async def test_what_was_not_heard_is_known_by_query(card, do, reason):
    contract = await card.signed()
    await card.rail.faulty(USER, {"on": "pay", "do": do})

    answer = await card.charge("O1", contract)
    asked = await card.client.call("query", {"order_no": "O1"})

    if reason is not None:
        assert isinstance(answer, Unknown)
        assert answer.reason is reason
    if do == "http_500":
        assert code(asked) == "ORDER_NOT_FOUND"
    else:
        status = "FAILED" if reason is None else "SUCCEEDED"
        assert asked.data["status"] == status


async def test_refunds_go_back_once_and_never_above_the_charge(card):
    contract = await card.signed()
    await card.charge("O1", contract)

    first = await card.refund("R1", "O1", 8000)
    again = await card.refund("R1", "O1", 8000)
    too_much = await card.refund("R2", "O1", 801)
    unknown = await card.client.call("query_refund", {"refund_no": "R9"})
    await card.rail.move_on(minutes=5)
    done = await card.client.call("query_refund", {"refund_no": "R1"})

    assert first.data["status"] == again.data["status"] == "PROCESSING"
    assert code(too_much) == "REFUND_TOO_MUCH"
    assert code(unknown) == "REFUND_NOT_FOUND"
    assert done.data["status"] == "SUCCEEDED"
    assert (await card.rail.books())["summary"]["refunded_fen"] == 8000


async def test_notifications_hold_only_with_the_aggregators_own_fresh_signature(card, keys_dir):
    contract = await card.signed()
    await card.charge("O1", contract)
    await card.rail.quiet()
    ((_, headers, body),) = [one for one in card.listener.heard if one[0] == "/paid"]

    note = card.client.open_notification(headers, body)
    assert (note.kind, note.data["order_no"], note.data["amount_fen"]) == ("ORDER", "O1", 8800)

    stranger = RsaSigner(keys.private_pem(keys_dir, "nobody"))
    stamp = headers["X-Timestamp"]
    forged = stranger.sign(answer_text(stamp, headers["X-Nonce"], body))
    old = str(int(stamp) - int(timedelta(minutes=6).total_seconds()))
    for changed, raw in (
        ({"X-Signature": forged}, body),
        ({"X-Timestamp": old}, body),
        ({"X-Timestamp": "soon"}, body),
        ({}, body.replace(b"8800", b"8801")),
    ):
        with pytest.raises(BadSignature):
            card.client.open_notification({**headers, **changed}, raw)


async def test_strangers_are_refused_by_the_aggregator(card, http, keys_dir):
    stranger = CardClient(
        http,
        card.client.config,
        RsaSigner(keys.private_pem(keys_dir, "nobody")),
        RsaVerifier(keys.public_pem(keys_dir, "card-aggregator")),
    )
    assert code(await stranger.call("query", {"order_no": "O1"})) == "SIGN_ERROR"


async def test_the_bill_of_a_day_has_every_charge_and_refund_and_adds_up(card, tmp_path):
    contract = await card.signed()
    await card.charge("O1", contract)
    await card.refund("R1", "O1", 800)
    early = await card.client.call("bill", {"day": "2026-01-01"})
    await card.rail.in_china("2026-01-02", 10)

    bill = await card.client.call("bill", {"day": "2026-01-01"})

    assert code(early) == "BILL_NOT_READY"
    file = tmp_path / "bill.csv"
    assert await card.client.download(bill.data["download_url"], file, limit_bytes=10_000) is None
    assert hashlib.sha256(file.read_bytes()).hexdigest() == bill.data["sha256"]
    text = file.read_text()
    rows = list(csv.reader(io.StringIO(text)))[1:]
    assert [(row[0], row[4], row[5]) for row in rows] == [
        ("charge", "8800", "35"),
        ("refund", "800", "0"),
        ("total", "8000", "35"),
    ]


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'{"code":"SUCCESS","data":[]}', b"null", b"\xff"],
)
async def test_odd_answers_say_nothing(card, body):
    from shared.rails.card import _outcome

    found = _outcome(body)

    assert isinstance(found, Unknown)
    assert found.reason is UnknownReason.ODD_BODY


def test_every_refusal_of_a_bank_has_its_class():
    for known, wanted in (
        ("INSUFFICIENT_FUNDS", FailureClass.RETRY_LATER),
        ("CARD_EXPIRED", FailureClass.NEEDS_CUSTOMER),
        ("DAILY_LIMIT_EXCEEDED", FailureClass.LIMIT),
        ("CONTRACT_ENDED", FailureClass.MANDATE_GONE),
        ("NEVER_HEARD_OF", FailureClass.UNKNOWN),
    ):
        assert classify("bankcard", RailCall.CHARGE, known) is wanted
