"""What the warehouse's ERP makes of an uploaded order: form, payment, stock, its life."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from deploy.sandbox.kit import Doc
from deploy.sandbox.provider_time import china_text, from_china
from shared.calendar import at_in_china, day_in_china

CARRIERS: Final = (
    ("ZTO", "中通快递", "78{:012d}"),
    ("SF", "顺丰速运", "SF{:013d}"),
    ("YTO", "圆通速递", "YT{:013d}"),
)
"""The tenant's carrier codes, their names, and the form of a waybill number."""

SHOP_STATUSES: Final = {
    "WAIT_BUYER_PAY",
    "WAIT_SELLER_SEND_GOODS",
    "WAIT_BUYER_CONFIRM_GOODS",
    "TRADE_FINISHED",
    "TRADE_CLOSED",
    "TRADE_CLOSED_BY_TAOBAO",
}
_CLOSED: Final = {"TRADE_CLOSED", "TRADE_CLOSED_BY_TAOBAO"}
_LONGEST: Final = {
    "so_id": 50,
    "shop_buyer_id": 50,
    "receiver_state": 50,
    "receiver_city": 50,
    "receiver_district": 50,
    "receiver_town": 50,
    "receiver_address": 200,
    "receiver_name": 50,
    "receiver_phone": 50,
    "receiver_mobile": 50,
    "remark": 1000,
    "buyer_message": 400,
}
_REQUIRED: Final = (
    "shop_id",
    "so_id",
    "order_date",
    "shop_status",
    "shop_buyer_id",
    "pay_amount",
    "freight",
    "items",
)
_LONGEST_SKU: Final = 40
_LONGEST_LINE_ID: Final = 50


class ErpStatus(StrEnum):
    """States of an order inside the ERP."""

    WAIT_PAY = "WaitPay"
    WAIT_CONFIRM = "WaitConfirm"
    QUESTION = "Question"
    SENT = "Sent"
    CANCELLED = "Cancelled"


def form_error(row: Any) -> str | None:
    """Return what is wrong with one uploaded order, in the provider's words, or None."""
    if not isinstance(row, dict):
        return "订单格式错误"
    missing = [name for name in _REQUIRED if row.get(name) in (None, "", [])]
    if missing:
        return f"{missing[0]}不能为空"
    too_long = [name for name, limit in _LONGEST.items() if len(str(row.get(name, ""))) > limit]
    if too_long:
        return f"{too_long[0]}长度超限"
    if not isinstance(row["shop_id"], int) or row["shop_status"] not in SHOP_STATUSES:
        return "shop_id或shop_status错误"
    if any(name in row and row[name] is None for name in _LONGEST):
        return "收货信息不能为null"
    return _date_error(row) or _items_error(row["items"]) or _amount_error(row)


def _date_error(row: Doc) -> str | None:
    try:
        from_china(str(row["order_date"]))
    except ValueError:
        return "order_date格式错误"
    return None


def _items_error(items: Any) -> str | None:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return "items格式错误"
    for item in items:
        qty = item.get("qty")
        if not item.get("sku_id") or len(str(item["sku_id"])) > _LONGEST_SKU:
            return "sku_id错误"
        if not isinstance(qty, int) or qty < 1 or item.get("amount") is None:
            return "qty或amount错误"
        if not item.get("outer_oi_id") or len(str(item["outer_oi_id"])) > _LONGEST_LINE_ID:
            return "outer_oi_id错误"
    if len({item["outer_oi_id"] for item in items}) != len(items):
        return "outer_oi_id重复"
    return None


def _amount_error(row: Doc) -> str | None:
    try:
        lines = sum(_fen(item["amount"]) for item in row["items"])
        if lines + _fen(row["freight"]) != _fen(row["pay_amount"]):
            return "订单金额与明细金额不一致"
        payment(row)
    except (ValueError, ArithmeticError, KeyError):
        return "金额格式错误"
    return None


def payment(row: Doc) -> int | None:
    """
    Return what was paid in fen, or None without a payment.

    One object and a list of them are both read: the provider's papers disagree.
    """
    pay = row.get("pay")
    if not pay:
        return None
    payments = pay if isinstance(pay, list) else [pay]
    return sum(_fen(one["amount"]) for one in payments)


def is_paid(row: Doc) -> bool:
    """Tell whether the order's payment equals what is to be paid."""
    paid = payment(row)
    fits = paid is not None and paid == _fen(row["pay_amount"])
    return fits and row["shop_status"] not in {"WAIT_BUYER_PAY", *_CLOSED}


def is_closed(row: Doc) -> bool:
    """Tell whether the shop closed the order, or refunded each of its lines."""
    refunded = all(item.get("refund_status") == "success" for item in row["items"])
    return row["shop_status"] in _CLOSED or refunded


def is_held(row: Doc) -> bool:
    """Tell whether a refund under way holds the order."""
    return any(item.get("refund_status") == "waiting" for item in row["items"])


def wanted(row: Doc) -> dict[str, int]:
    """Return pieces by SKU that are to be shipped."""
    pieces: dict[str, int] = {}
    for item in row["items"]:
        if item.get("refund_status") != "success":
            pieces[item["sku_id"]] = pieces.get(item["sku_id"], 0) + item["qty"]
    return pieces


def leaves_at(now: datetime, hour: int) -> datetime:
    """Return the next moment after *now* at which China's clocks show *hour*."""
    today = at_in_china(day_in_china(now), hour)
    return today if today > now else today + timedelta(days=1)


def order_view(order: Doc) -> Doc:
    """Return an order as the query shows it."""
    row = order["row"]
    return {
        "o_id": order["o_id"],
        "so_id": order["so_id"],
        "shop_id": row["shop_id"],
        "status": order["status"],
        "shop_status": row["shop_status"],
        "question_type": order["question_type"],
        "question_desc": order["question_desc"],
        "order_date": row["order_date"],
        "pay_amount": row["pay_amount"],
        "modified": _china(order["modified_at"]),
        "send_date": _china(order["sent_at"]),
        "sign_time": "",
        "l_id": order["l_id"],
        "lc_id": order["lc_id"],
        "logistics_company": order["logistics_company"],
        "wms_co_id": row.get("wms_co_id", 0),
        "is_split": False,
        "is_merge": False,
        "ts": order["ts"],
        "items": [
            {
                "oi_id": f"{order['o_id']}{index:02d}",
                "outer_oi_id": item["outer_oi_id"],
                "sku_id": item["sku_id"],
                "qty": item["qty"],
                "amount": item["amount"],
                "name": item.get("name", ""),
                "refund_status": item.get("refund_status", ""),
            }
            for index, item in enumerate(row["items"], start=1)
        ],
    }


def shipped_view(order: Doc) -> Doc:
    """Return a shipped order as the logistics query and the shipping push show it."""
    view = order_view(order)
    names = ("o_id", "so_id", "shop_id", "l_id", "lc_id", "logistics_company", "send_date")
    return {name: view[name] for name in names} | {
        "is_send_all": True,
        "order_from": "OPENAPI",
        "wms_co_id": view["wms_co_id"],
        "freight": order["row"]["freight"],
        "weight": "0",
        "items": [
            {
                "oi_id": item["oi_id"],
                "outer_oi_id": item["outer_oi_id"],
                "sku_id": item["sku_id"],
                "qty": item["qty"],
                "name": item["name"],
                "so_id": view["so_id"],
                "raw_so_id": view["so_id"],
                "o_id": view["o_id"],
                "refund_status": item["refund_status"],
            }
            for item in view["items"]
            if item["refund_status"] != "success"
        ],
    }


def _fen(yuan: str | float) -> int:
    # The provider reads numbers and texts alike, with up to two decimals.
    cents = Decimal(str(yuan)) * 100
    if cents != int(cents):
        raise ValueError(f"More than two decimals: {yuan}")
    return int(cents)


def _china(moment: str | None) -> str:
    return "" if moment is None else china_text(datetime.fromisoformat(moment))
