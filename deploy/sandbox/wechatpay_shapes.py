"""How the simulated WeChat Pay writes its books on the wire."""

from datetime import datetime, timedelta

from aiohttp import web

from deploy.sandbox.kit import Doc
from shared.calendar import CHINA
from shared.rails.wechatpay_v2 import build_xml


def xml(fields: dict[str, str]) -> web.Response:
    """Answer with *fields* as XML."""
    return web.Response(body=build_xml(fields), content_type="text/xml", charset="utf-8")


def order_v2(order: Doc, *, wrong: bool) -> Doc:
    """Return an order as v2 shows it, one fen too much if *wrong*."""
    shown = {
        "openid": order["account"],
        "out_trade_no": order["out_trade_no"],
        "transaction_id": order["transaction_id"],
        "contract_id": order["contract_id"],
        "trade_state": order["trade_state"],
        "attach": order["attach"],
    }
    if order["trade_state"] == "SUCCESS":
        paid_at = datetime.fromisoformat(order["paid_at"]).astimezone(CHINA)
        fee = str(order["amount_fen"] + (1 if wrong else 0))
        shown |= {"total_fee": fee, "fee_type": "CNY", "cash_fee": fee, "bank_type": "OTHERS"}
        shown["time_end"] = f"{paid_at:%Y%m%d%H%M%S}"
        if order["refunded_fen"]:
            shown["trade_state"] = "REFUND"
    if order["err_code"]:
        shown |= {"err_code": order["err_code"], "err_code_des": order["err_code"]}
    return shown


def order_v3(order: Doc, *, wrong: bool) -> Doc:
    """Return an order as v3 shows it, one fen too much if *wrong*."""
    state = order["trade_state"]
    total = order["amount_fen"] + (1 if wrong else 0)
    shown = {
        "appid": order["appid"],
        "mchid": order["merchant"],
        "out_trade_no": order["out_trade_no"],
        "trade_type": order["trade_type"],
        "trade_state": "REFUND" if order["refunded_fen"] else state,
        "attach": order["attach"],
        "payer": {"openid": order["account"]},
        "amount": {"total": total, "payer_total": total, "currency": "CNY"},
    }
    if order["paid_at"]:
        shown["transaction_id"] = order["transaction_id"]
        shown["success_time"] = rfc3339(order["paid_at"])
    return shown


def refund_v3(refund: Doc) -> Doc:
    """Return a refund as v3 shows it."""
    shown = {
        "refund_id": refund["refund_id"],
        "out_refund_no": refund["out_refund_no"],
        "transaction_id": refund["transaction_id"],
        "out_trade_no": refund["out_trade_no"],
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": rfc3339(refund["created_at"]),
        "status": refund["status"],
        "amount": {
            "total": refund["total_fen"],
            "refund": refund["amount_fen"],
            "payer_total": refund["total_fen"],
            "payer_refund": refund["amount_fen"],
        },
    }
    if refund["status"] == "SUCCESS":
        shown["success_time"] = rfc3339(refund["at"])
    return shown


def local_time(moment: str) -> str:
    """Return an ISO moment as v2 writes it, Beijing time; empty stays empty."""
    if not moment:
        return ""
    return f"{datetime.fromisoformat(moment).astimezone(CHINA):%Y-%m-%d %H:%M:%S}"


def expiry(row: Doc) -> str:
    """Return when a contract ends: ten years after its signing."""
    signed_at = datetime.fromisoformat(row["signed_at"])
    return local_time((signed_at + timedelta(days=3650)).isoformat())


def rfc3339(moment: str) -> str:
    """Return an ISO moment with +08:00, as v3 writes it."""
    return datetime.fromisoformat(moment).astimezone(CHINA).isoformat(timespec="seconds")
