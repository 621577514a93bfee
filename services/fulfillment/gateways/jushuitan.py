"""聚水潭 (JST), the ERP of cloud warehouses: orders by form posts, news by signed pushes."""

import asyncio
import secrets
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5
from hmac import compare_digest
from typing import Any, Final, TypeVar

import aiohttp
import orjson
import structlog

from services.fulfillment.domain.carriers import carrier_named
from services.fulfillment.domain.shipment import OrderState, Report
from services.fulfillment.gateways.forms import china_text, from_china, post, read_form, read_json
from services.fulfillment.gateways.pace import Pace
from services.fulfillment.gateways.warehouse import (
    Answer,
    Order,
    Push,
    Refused,
    Taken,
    WarehouseUnclear,
)
from shared.clock import Clock
from shared.errors import Malformed, Unauthentic
from shared.money import split_evenly, yuan
from shared.webhooks import body_key, require_fresh

log = structlog.get_logger()

T = TypeVar("T")

UPLOADS: Final = 50
QUERIES: Final = 20
CANCELS: Final = 50
STOCKS: Final = 100
"""How many rows one call of each kind may have."""
TOKEN_ENDED: Final = 100
SKEW: Final = timedelta(minutes=15)
"""How far a call's time stamp may be from the receiver's clock, both ways."""
OUT_OF_STOCK: Final = "缺货"

_STATES: Final[Mapping[str, OrderState]] = {
    "WaitPay": OrderState.HELD,
    "WaitConfirm": OrderState.ACCEPTED,
    "WaitFConfirm": OrderState.ACCEPTED,
    "WaitOuterSent": OrderState.ACCEPTED,
    "Delivering": OrderState.ACCEPTED,
    "Merged": OrderState.ACCEPTED,
    "Split": OrderState.ACCEPTED,
    "Question": OrderState.HELD,
    "Sent": OrderState.DISPATCHED,
    "Cancelled": OrderState.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Account:
    """Our app and our shop at JST; *token* is where we begin, JST may give another."""

    url: str
    app_key: str
    app_secret: str
    token: str
    shop_id: int


class Jushuitan:
    """
    The warehouse port in JST's language.

    Calls are held back to *per_second* and *per_minute* (0: no limit of ours), so that
    JST's own limits are never met.  One token is renewed by one of us at a time.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        clock: Clock,
        *,
        per_second: int = 4,
        per_minute: int = 90,
    ) -> None:
        self._session = session
        self._account = account
        self._clock = clock
        self._token = account.token
        self._renewing = asyncio.Lock()
        self._paces = (Pace(per_second, span_s=1.0), Pace(per_minute, span_s=60.0))

    async def upload(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        """Place or update *orders*: the same shipment number is the same order."""
        answers: dict[str, Answer] = {}
        for some in _chunks(orders, UPLOADS):
            biz = [_order_row(order, self._account.shop_id) for order in some]
            for row in _rows(await self._call("/open/jushuitan/orders/upload", biz)):
                answers[str(row.get("so_id"))] = _answer(row)
        return answers

    async def find(self, shipment_nos: Sequence[str]) -> Mapping[str, Report]:
        """Return what has become of orders; a number that JST does not know is absent."""
        found: dict[str, Report] = {}
        for some in _chunks(shipment_nos, QUERIES):
            biz = {"so_ids": list(some), "page_index": 1, "page_size": 100}
            data = await self._call("/open/orders/single/query", biz)
            for row in _list(data, "orders"):
                report = _clear_report(row)
                found[report.shipment_no] = report
        return found

    async def cancel(self, order_nos: Sequence[str]) -> Mapping[str, Answer]:
        """Cancel orders by JST's own numbers; what has left is refused."""
        answers: dict[str, Answer] = {}
        for some in _chunks(order_nos, CANCELS):
            biz = {"o_ids": list(map(int, some)), "cancel_type": "其它", "remark": "协议终止"}
            for row in _rows(await self._call("/open/jushuitan/orderbyoid/cancel", biz)):
                answers[str(row.get("o_id"))] = _answer(row)
        return answers

    async def stock(self, skus: Sequence[str]) -> Mapping[str, int]:
        """Return the pieces that can be sold; an unknown SKU has none."""
        found = dict.fromkeys(skus, 0)
        for some in _chunks(skus, STOCKS):
            biz = {"sku_ids": ",".join(some), "page_index": 1, "page_size": 100}
            data = await self._call("/open/inventory/query", biz)
            for row in _list(data, "inventorys"):
                found[str(row.get("sku_id"))] = _sellable(row)
        return found

    def read_push(self, body: bytes, *, now: datetime) -> Push:
        """
        Return what a push says of one order, or that it is other news.

        It is the same push however often it is signed anew.
        """
        fields = read_form(body)
        right = sign(self._account.app_secret, fields)
        if not compare_digest(right.encode(), fields.get("sign", "").encode()):
            raise Unauthentic("The push is not signed by the warehouse.")
        require_fresh(_stamp(fields.get("timestamp", "")), now=now, window=SKEW)
        said = f"{fields.get('action_code', '')}\x1f{fields.get('biz', '')}"
        biz = read_json(fields.get("biz", ""))
        known = isinstance(biz.get("so_id"), str) and bool({"status", "l_id"} & set(biz))
        return Push(body_key(said.encode()), _report(biz) if known else None)

    async def _call(self, path: str, biz: object) -> Any:
        token = self._token
        told = await self._post(path, biz, token)
        if told.get("code") == TOKEN_ENDED:
            await self._renew(token)
            told = await self._post(path, biz, self._token)
        if told.get("code") != 0:
            log.warning("warehouse.refused_call", path=path, code=told.get("code"))
            raise WarehouseUnclear("The warehouse refused the call.", code=told.get("code"))
        return told.get("data")

    async def _post(self, path: str, biz: object, token: str) -> dict[str, Any]:
        fields = {
            **self._common(),
            "access_token": token,
            "version": "2",
            "biz": orjson.dumps(biz).decode(),
        }
        return await self._send(path, fields)

    async def _renew(self, ended: str) -> None:
        async with self._renewing:
            if self._token != ended:
                return
            code = "".join(secrets.choice(string.ascii_lowercase) for _ in range(6))
            asked = {"grant_type": "authorization_code", "code": code}
            told = await self._send("/openWeb/auth/getInitToken", self._common() | asked)
            data = told.get("data")
            if told.get("code") != 0 or not isinstance(data, dict) or "access_token" not in data:
                raise WarehouseUnclear("There is no new token.", code=told.get("code"))
            self._token = str(data["access_token"])

    async def _send(self, path: str, fields: dict[str, str]) -> dict[str, Any]:
        for pace in self._paces:
            await pace.wait()
        signed = fields | {"sign": sign(self._account.app_secret, fields)}
        url = self._account.url + path
        return await post(self._session, url, signed, unclear=WarehouseUnclear)

    def _common(self) -> dict[str, str]:
        return {
            "app_key": self._account.app_key,
            "timestamp": str(int(self._clock.now().timestamp())),
            "charset": "utf-8",
        }


def sign(secret: str, fields: Mapping[str, str]) -> str:
    """
    Return JST's signature of a form: MD5 over the secret and all fields but ``sign``, by name.

    Source: JST open platform, signature rule; pushes are taken to follow it as well.
    """
    text = "".join(name + fields[name] for name in sorted(fields) if name != "sign")
    return md5((secret + text).encode()).hexdigest()  # noqa: S324 - their rule, not ours


def _order_row(order: Order, shop_id: int) -> dict[str, Any]:
    shares = split_evenly(order.paid_fen, len(order.items))
    to = order.recipient
    return {
        "shop_id": shop_id,
        "so_id": order.shipment_no,
        "order_date": china_text(order.paid_at),
        "shop_status": "WAIT_SELLER_SEND_GOODS",
        "shop_buyer_id": order.buyer_id.hex,
        "receiver_state": to.province,
        "receiver_city": to.city,
        "receiver_district": to.district,
        "receiver_address": to.address,
        "receiver_name": to.name,
        "receiver_mobile": to.phone,
        "pay_amount": yuan(order.paid_fen),
        "freight": "0.00",
        "plan_delivery_date": f"{order.deliver_by.isoformat()} 23:59:59",
        "items": [
            {
                "sku_id": item.sku,
                "shop_sku_id": item.sku,
                "name": item.name[:100],
                "qty": item.quantity,
                "amount": yuan(share),
                "base_price": yuan(share),
                "outer_oi_id": f"L{position:02d}",
            }
            for position, (item, share) in enumerate(zip(order.items, shares, strict=True), start=1)
        ],
        "pay": {
            "outer_pay_id": order.payment_no,
            "pay_date": china_text(order.paid_at),
            "payment": "月付",
            "seller_account": "yuefu",
            "buyer_account": order.buyer_id.hex,
            "amount": yuan(order.paid_fen),
        },
    }


def _clear_report(row: Mapping[str, Any]) -> Report:
    try:
        return _report(row)
    except Malformed as error:
        raise WarehouseUnclear("The warehouse's answer makes no sense.") from error


def _report(row: Mapping[str, Any]) -> Report:
    """Return an order's row of a query or push in our words; a push of departure has no status."""
    waybill = str(row.get("l_id") or "")
    state = _state(row, waybill)
    sent_at = row.get("send_date")
    return Report(
        shipment_no=str(row.get("so_id")),
        order_no=str(row.get("o_id") or ""),
        state=state,
        carrier=carrier_named(str(row.get("logistics_company") or row.get("lc_id") or "")),
        tracking_no=waybill,
        sent_at=from_china(str(sent_at)) if sent_at else None,
        items=_items(row.get("items")),
    )


def _items(told: object) -> tuple[tuple[str, int], ...]:
    rows = told if isinstance(told, list) else []
    if not all(isinstance(row, dict) and type(row.get("qty")) is int for row in rows):
        raise Malformed("The lines make no sense.")
    return tuple(
        (str(row.get("sku_id")), row["qty"])
        for row in rows
        if row.get("refund_status") != "success"
    )


def _state(row: Mapping[str, Any], waybill: str) -> OrderState:
    status = str(row.get("status", "Sent"))
    why = f"{row.get('question_type') or ''} {row.get('question_desc') or ''}"
    if status == "Question" and (OUT_OF_STOCK in why or "库存不足" in why):
        return OrderState.SHORT
    if status not in _STATES:
        log.warning("warehouse.status_unknown", status=status)
    state = _STATES.get(status, OrderState.HELD)
    if state is OrderState.DISPATCHED and not waybill:
        return OrderState.ACCEPTED
    return state


def _answer(row: Mapping[str, Any]) -> Answer:
    if row.get("issuccess") is True and row.get("o_id"):
        return Taken(str(row["o_id"]))
    return Refused(str(row.get("msg") or "")[:200])


def _rows(data: Any) -> list[dict[str, Any]]:
    return _list(data, "datas")


def _list(data: Any, name: str) -> list[dict[str, Any]]:
    rows = data.get(name) if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WarehouseUnclear("The warehouse's answer makes no sense.")
    return rows


def _sellable(row: Mapping[str, Any]) -> int:
    try:
        return int(row["qty"]) - int(row.get("order_lock") or 0) + int(row.get("virtual_qty") or 0)
    except (KeyError, TypeError, ValueError) as error:
        raise WarehouseUnclear("The stock makes no sense.") from error


def _stamp(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Malformed("The time stamp makes no sense.") from error


def _chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
