"""The WeChat Pay interfaces this platform uses, each as one function; amounts are fen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from shared.rails.outcome import Outcome
from shared.rails.wechatpay import WechatPayClient
from shared.rails.wechatpay_v2 import nonce

SIGN_APP_ID: Final = "wxbd687630cd02ce1d"
"""WeChat Pay's own mini-program, in which a contract is signed."""

SIGN_PATH: Final = "pages/index/index"


@dataclass(frozen=True)
class Contract:
    """What a customer signs: a template of the merchant under our own contract code."""

    contract_code: str
    plan_id: str
    request_serial: int
    display_account: str
    outerid: str = ""


@dataclass(frozen=True)
class Deduction:
    """One deduction under a contract; ``out_trade_no`` is its idempotency key per merchant."""

    out_trade_no: str
    amount_fen: int
    description: str
    contract_id: str
    server_ip: str = "127.0.0.1"
    attach: str = ""


def sign_extra_data(
    client: WechatPayClient, contract: Contract, *, notify_url: str
) -> dict[str, str]:
    """Return ``extraData`` for ``wx.navigateToMiniProgram``, signed MD5 over its own fields."""
    return client.sign_v2(
        {
            "appid": client.config.appid,
            "mch_id": client.config.mchid,
            "plan_id": contract.plan_id,
            "contract_code": contract.contract_code,
            "request_serial": str(contract.request_serial),
            "contract_display_account": contract.display_account,
            "notify_url": notify_url,
            "timestamp": str(client.wire_seconds()),
            "outerid": contract.outerid,
        }
    )


async def query_contract(
    client: WechatPayClient, *, contract_id: str = "", plan_id: str = "", contract_code: str = ""
) -> Outcome:
    """Ask for a contract by its id, or by template and our code; ``contract_state`` 0 = signed."""
    return await client.call_v2(
        "/papay/querycontract", _contract(contract_id, plan_id, contract_code)
    )


async def delete_contract(client: WechatPayClient, *, contract_id: str, remark: str) -> Outcome:
    """End a contract; repeat until ``query_contract`` answers state 1."""
    fields = {**_contract(contract_id, "", ""), "contract_termination_remark": remark}
    return await client.call_v2("/papay/deletecontract", fields)


async def apply_deduction(client: WechatPayClient, order: Deduction, *, notify_url: str) -> Outcome:
    """Ask for a deduction; ``Ok`` = accepted.  The result comes by notification or query."""
    fields = {
        "nonce_str": nonce(),
        "body": order.description,
        "attach": order.attach,
        "out_trade_no": order.out_trade_no,
        "total_fee": str(order.amount_fen),
        "fee_type": "CNY",
        "spbill_create_ip": order.server_ip,
        "notify_url": notify_url,
        "trade_type": "PAP",
        "contract_id": order.contract_id,
    }
    return await client.call_v2("/pay/pappayapply", fields)


async def query_deduction(client: WechatPayClient, *, out_trade_no: str) -> Outcome:
    """Ask what became of a deduction; judge by ``trade_state``, never by ``result_code``."""
    fields = {"nonce_str": nonce(), "out_trade_no": out_trade_no}
    return await client.call_v2("/pay/paporderquery", fields)


async def send_prenotice(
    client: WechatPayClient, *, contract_id: str, amount_fen: int, window_days: int | None = None
) -> Outcome:
    """Announce a deduction of at most *amount_fen*; allowed 07:00-22:00, once per cycle."""
    content: dict[str, Any] = {
        "mchid": client.config.mchid,
        "appid": client.config.appid,
        "estimated_amount": {"amount": amount_fen, "currency": "CNY"},
    }
    if window_days is not None:
        content["deduct_duration"] = {"count": window_days, "unit": "DAY"}
    return await client.call_v3(
        "POST", f"/v3/papay/contracts/{quote(contract_id, safe='')}/notify", content
    )


async def send_fail_notice(client: WechatPayClient, *, contract_id: str) -> Outcome:
    """Let WeChat Pay tell the customer that the charge failed."""
    content = {"mchid": client.config.mchid, "appid": client.config.appid}
    return await client.call_v3(
        "POST", f"/v3/papay/contracts/{quote(contract_id, safe='')}/fail-notify", content
    )


async def refund(
    client: WechatPayClient,
    *,
    out_trade_no: str,
    out_refund_no: str,
    amount_fen: int,
    total_fen: int,
    reason: str = "",
    notify_url: str = "",
) -> Outcome:
    """
    Refund to the original route; ``Ok`` = accepted, look at ``status``.

    The same refund number refunds once, and a failed refund is sent again under its number.
    """
    content: dict[str, Any] = {
        "out_trade_no": out_trade_no,
        "out_refund_no": out_refund_no,
        "amount": {"refund": amount_fen, "total": total_fen, "currency": "CNY"},
    }
    content |= {
        name: text for name, text in (("reason", reason), ("notify_url", notify_url)) if text
    }
    return await client.call_v3("POST", "/v3/refund/domestic/refunds", content)


async def query_refund(client: WechatPayClient, *, out_refund_no: str) -> Outcome:
    """Ask for a refund, not sooner than a minute after it was asked for."""
    return await client.call_v3(
        "GET", f"/v3/refund/domestic/refunds/{quote(out_refund_no, safe='')}"
    )


async def create_order(
    client: WechatPayClient,
    *,
    out_trade_no: str,
    amount_fen: int,
    description: str,
    openid: str,
    notify_url: str,
    time_expire: str = "",
) -> Outcome:
    """Create an order the customer pays in the mini-program; answers ``prepay_id``."""
    content: dict[str, Any] = {
        "appid": client.config.appid,
        "mchid": client.config.mchid,
        "description": description,
        "out_trade_no": out_trade_no,
        "notify_url": notify_url,
        "amount": {"total": amount_fen, "currency": "CNY"},
        "payer": {"openid": openid},
    }
    if time_expire:
        content["time_expire"] = time_expire
    return await client.call_v3("POST", "/v3/pay/transactions/jsapi", content)


async def query_order(client: WechatPayClient, *, out_trade_no: str) -> Outcome:
    """Ask what became of an order made by ``create_order``."""
    number = quote(out_trade_no, safe="")
    return await client.call_v3(
        "GET", f"/v3/pay/transactions/out-trade-no/{number}?mchid={client.config.mchid}"
    )


async def close_order(client: WechatPayClient, *, out_trade_no: str) -> Outcome:
    """Close an unpaid order, so that it cannot be paid later."""
    number = quote(out_trade_no, safe="")
    return await client.call_v3(
        "POST",
        f"/v3/pay/transactions/out-trade-no/{number}/close",
        {"mchid": client.config.mchid},
    )


def _contract(contract_id: str, plan_id: str, contract_code: str) -> Mapping[str, str]:
    if contract_id:
        return {"contract_id": contract_id, "version": "1.0"}
    return {"plan_id": plan_id, "contract_code": contract_code, "version": "1.0"}


async def trade_bill(client: WechatPayClient, *, day: date) -> Outcome:
    """
    Ask for the day's bill of all trades: ``hash_type``, ``hash_value``, ``download_url``.

    NO_STATEMENT_EXIST: not ready, or a day without trades.  The hash is of the unpacked content.
    """
    return await client.call_v3(
        "GET", f"/v3/bill/tradebill?bill_date={day.isoformat()}&bill_type=ALL&tar_type=GZIP"
    )
