"""The books of rails, warehouse and message providers, in one shape for all of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import aiohttp

from deploy.running import NoPlatform, RunningPlatform
from shared.calendar import CHINA

Doc = dict[str, Any]

READ: Final = ("alipay", "wechatpay", "bankcard", "payout", "jst", "sms", "wechat")
"""The simulators whose books are compared with ours."""


@dataclass(frozen=True, slots=True)
class Books:
    """
    What the outside has on record; each list holds plain JSON rows.

    ``captures``: rail, number (our trade number), amount_fen.
    ``refunds``: rail, number (our refund number), trade_no, amount_fen; succeeded ones only.
    ``mandates``: rail, number (the rail's), alive, ended_at.
    ``prenotices``: contract (the rail's mandate number), day, amount_fen.
    ``payouts``: number (ours), amount_fen; those that reached the beneficiary only.
    ``orders``: number (our shipment number), order_no, status, sent_at.
    ``messages``: provider, id (the provider's), out_id (ours, where it keeps one), same
    (equal for messages that say the same to the same person), at.
    """

    now: datetime
    captures: Sequence[Doc] = field(default=())
    refunds: Sequence[Doc] = field(default=())
    mandates: Sequence[Doc] = field(default=())
    prenotices: Sequence[Doc] = field(default=())
    payouts: Sequence[Doc] = field(default=())
    orders: Sequence[Doc] = field(default=())
    messages: Sequence[Doc] = field(default=())


async def read_books(running: RunningPlatform) -> Books:
    """
    Read the books of every simulator that the audit compares with ours.

    Raises:
        NoPlatform: The platform runs without one of them.
        aiohttp.ClientError: One of them does not answer.
    """
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        now = await _now(session, running)
        alipay, wechatpay, bankcard, payout, jst, sms, wechat = await asyncio.gather(
            *(_book(session, running, name) for name in READ)
        )
    return Books(
        now=now,
        captures=[
            *_captures("alipay", alipay),
            *_captures("wechatpay", wechatpay),
            *_captures("bankcard", bankcard),
        ],
        refunds=[*_alipay_refunds(alipay), *_wechat_refunds(wechatpay), *_card_refunds(bankcard)],
        mandates=[
            *_alipay_mandates(alipay),
            *_wechat_mandates(wechatpay),
            *_card_mandates(bankcard),
        ],
        prenotices=[
            {"contract": row["contract_id"], "day": row["day"], "amount_fen": row["amount_fen"]}
            for row in wechatpay.get("prenotices", [])
        ],
        payouts=[
            {"number": row["no"], "amount_fen": row["amount_fen"]}
            for row in payout.get("transfers", [])
            if row["status"] == "SUCCESS"
        ],
        orders=_orders(jst),
        messages=[*_sms(sms), *_wechat_messages(wechat), *_alipay_messages(alipay)],
    )


async def _book(session: aiohttp.ClientSession, running: RunningPlatform, name: str) -> Doc:
    async with session.get(f"{_url(running, name)}/_sandbox/books") as answer:
        answer.raise_for_status()
        book: Doc = await answer.json()
        return book


async def _now(session: aiohttp.ClientSession, running: RunningPlatform) -> datetime:
    async with session.get(f"{_url(running, 'alipay')}/_sandbox/clock") as answer:
        answer.raise_for_status()
        return datetime.fromisoformat((await answer.json())["now"])


def _url(running: RunningPlatform, name: str) -> str:
    if name not in running.simulators:
        raise NoPlatform(f"The platform runs without {name}: there are no books to compare with.")
    return running.simulators[name]


def _captures(rail: str, book: Doc) -> list[Doc]:
    return [
        {"rail": rail, "number": row["out_trade_no"], "amount_fen": row["amount_fen"]}
        for row in book.get("captures", [])
    ]


def _alipay_refunds(book: Doc) -> list[Doc]:
    return [_refund("alipay", row, row["out_request_no"]) for row in book.get("refunds", [])]


def _wechat_refunds(book: Doc) -> list[Doc]:
    return [
        _refund("wechatpay", row, row["out_refund_no"])
        for row in book.get("refunds", [])
        if row["status"] == "SUCCESS"
    ]


def _card_refunds(book: Doc) -> list[Doc]:
    return [
        _refund("bankcard", row, row["refund_no"])
        for row in book.get("refunds", [])
        if row["status"] == "SUCCEEDED"
    ]


def _card_mandates(book: Doc) -> list[Doc]:
    return [
        {
            "rail": "bankcard",
            "number": row["contract_no"],
            "alive": row["state"] == "ACTIVE",
            "ended_at": row["ended_at"] or None,
        }
        for row in book.get("contracts", [])
        if row["contract_no"]
    ]


def _refund(rail: str, row: Doc, number: str) -> Doc:
    return {
        "rail": rail,
        "number": number,
        "trade_no": row["out_trade_no"],
        "amount_fen": row["amount_fen"],
    }


def _alipay_mandates(book: Doc) -> list[Doc]:
    return [
        {
            "rail": "alipay",
            "number": row["agreement_no"],
            "alive": row["status"] == "NORMAL",
            "ended_at": _from_china(row.get("unsign_time", "")),
        }
        for row in book.get("agreements", [])
    ]


def _wechat_mandates(book: Doc) -> list[Doc]:
    return [
        {
            "rail": "wechatpay",
            "number": row["contract_id"],
            "alive": row["state"] == "0",
            "ended_at": row["terminated_at"] or None,
        }
        for row in book.get("contracts", [])
    ]


def _orders(book: Doc) -> list[Doc]:
    return [
        {
            "number": row["so_id"],
            "order_no": str(row["o_id"]),
            "status": row["status"],
            "sent_at": row["sent_at"],
        }
        for row in book.get("orders", [])
    ]


def _sms(book: Doc) -> list[Doc]:
    return [
        {
            "provider": "sms",
            "id": row["biz_id"],
            "out_id": row["out_id"],
            "same": row["out_id"] or row["key"],
            "at": row["at"],
        }
        for row in book.get("messages", [])
    ]


def _wechat_messages(book: Doc) -> list[Doc]:
    return [
        {
            "provider": "wechat",
            "id": str(row["msgid"]),
            "out_id": "",
            "same": f"{row['openid']} {row['template_id']} {sorted(row['data'].items())}",
            "at": row["at"],
        }
        for row in book.get("messages", [])
    ]


def _alipay_messages(book: Doc) -> list[Doc]:
    return [
        {
            "provider": "alipay",
            "id": row["id"],
            "out_id": "",
            "same": f"{row['account']} {row['template_id']} {sorted(row['data'].items())}",
            "at": row["at"],
        }
        for row in book.get("messages", [])
    ]


def _from_china(text: str) -> str | None:
    """Return Alipay's local time as an instant, None where there is none."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA).isoformat() if text else None
