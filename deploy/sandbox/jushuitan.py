"""
聚水潭 (JST): the cloud warehouse's ERP, from the upload of an order to the parcel's departure.

Provider's side (form fields, ``sign`` over all of them): ``/openWeb/auth/getInitToken``,
``/openWeb/auth/refreshToken``, ``/open/jushuitan/orders/upload``, ``/open/orders/single/query``,
``/open/jushuitan/orderbyoid/cancel``, ``/open/inventory/query``, ``/open/logistic/query``,
``/open/logisticscompany/query``, ``/open/wms/partner/query``.  The token of the keys directory
(``jst_access_token``) never ends; those that the simulator issues live 30 days.  More than
``--jst-calls-per-second`` (5) or ``--jst-calls-per-minute`` (100) of real time are refused with
199 and 200; 0 lifts a limit.

An order that is paid and in stock is accepted at once and leaves at the next
``--jst-ships-at-hour`` (15) of China's day with a waybill; out of stock it becomes ``Question``
(``question_type`` 缺货) until stock or an upload with other lines comes.  Each step is pushed to
``--jst-push-url`` as a signed form (``action_code``, ``timestamp``, ``biz``, ``sign``), to be
answered ``{"code":"0",...}``, and redelivered ten times.  Action codes (the provider's own are
not published): ``business_order_syn`` for accepted, question, cancelled;
``business_logistics_syn`` for shipped.

Our side: ``PUT /_sandbox/stock/{sku}`` ``{"qty": n}`` (plenty by default); ``GET`` shows it.

Faults: account = so_id or its beginning; ``on`` = ``token``, ``upload``, ``query``, ``cancel``,
``inventory``, ``logistic`` (``decline:199`` answers that code), ``upload_row`` and ``cancel_row``
(``decline:TEXT`` refuses one row), ``ship`` (also by sku; ``decline:TEXT`` turns the order into a
Question with that text), ``notify``.

Start: ``python -m deploy.sandbox.jushuitan --port P --jst-push-url URL``.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from aiohttp import web

from deploy.sandbox import jushuitan_orders as orders
from deploy.sandbox import provider_settings as settings
from deploy.sandbox import provider_signatures as signatures
from deploy.sandbox.jushuitan_orders import CARRIERS, ErpStatus
from deploy.sandbox.jushuitan_wire import SUCCESS, Refused, biz_of, decline_call, page, window
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from deploy.sandbox.provider_time import within
from shared.ids import new_id

SKEW_S: Final = 900
TOKEN_LIVES_S: Final = 2_592_000
MAX_ORDERS: Final = 50
MAX_SO_IDS: Final = 20
MAX_SKUS: Final = 100
PLENTY: Final = 1_000_000
ACTION_ORDER: Final = "business_order_syn"
ACTION_SHIPPED: Final = "business_logistics_syn"
OUT_OF_STOCK: Final = "缺货"
REFUND_HOLD: Final = "退款中"

Handler = Callable[[Any, Fault | None], Doc]


class Jushuitan(Sandbox):
    """The warehouse's ERP."""

    name = "jushuitan"
    resend_gaps_s = (60, 120, 300, 600, 1800, 1800, 3600, 3600, 7200, 7200)

    def __init__(self, options: Options) -> None:
        """Take one merchant with one app."""
        super().__init__(options)
        self.app_key = settings.credential(options, "jst_app_key")
        self.secret = settings.credential(options, "jst_app_secret")
        self.first_token = settings.credential(options, "jst_access_token")
        self.push_url = settings.text(options, "jst_push_url")
        self.ships_at_hour = settings.number(options, "jst_ships_at_hour", 15)
        self._limits = (
            (1.0, settings.number(options, "jst_calls_per_second", 5), 199),
            (60.0, settings.number(options, "jst_calls_per_minute", 100), 200),
        )
        self._calls: deque[float] = deque()
        self.composers["push"] = self._compose
        self.timeline.kinds["ship"] = self._ship
        router = self.app.router
        router.add_post("/openWeb/auth/getInitToken", self._route("token", self._token))
        router.add_post("/openWeb/auth/refreshToken", self._route("token", self._refresh))
        for path, on, handler in (
            ("/open/jushuitan/orders/upload", "upload", self._upload),
            ("/open/orders/single/query", "query", self._query),
            ("/open/jushuitan/orderbyoid/cancel", "cancel", self._cancel),
            ("/open/inventory/query", "inventory", self._inventory),
            ("/open/logistic/query", "logistic", self._logistic),
            ("/open/logisticscompany/query", "carriers", _carriers),
            ("/open/wms/partner/query", "warehouses", _warehouses),
        ):
            router.add_post(path, self._route(on, handler))
        router.add_put("/_sandbox/stock/{sku}", self._put_stock)
        router.add_get("/_sandbox/stock/{sku}", self._get_stock)

    def _route(
        self, on: str, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def route(request: web.Request) -> web.StreamResponse:
            form = await request.post()
            fields = {key: str(value) for key, value in form.items()}
            biz = biz_of(fields)
            fault = self.fault(on, *self._accounts(biz))

            async def act() -> web.StreamResponse:
                return self._answer(on, fields, biz, fault, handler)

            return await self.disturb(request, fault, act)

        return route

    def _answer(
        self, on: str, fields: dict[str, str], biz: Any, fault: Fault | None, handler: Handler
    ) -> web.Response:
        try:
            self._check_call(fields, with_token=on != "token")
            decline_call(fault)
            data = handler(fields if on == "token" else biz, fault)
        except Refused as refusal:
            return json_reply({"code": refusal.code, "msg": refusal.msg, "data": None})
        return json_reply({"code": 0, "msg": SUCCESS, "data": data})

    def _accounts(self, biz: Any) -> list[str]:
        if isinstance(biz, list):
            return [str(row.get("so_id")) for row in biz if isinstance(row, dict)]
        if not isinstance(biz, dict):
            return []
        by_id = [self.books.get("orders", str(o_id)) for o_id in biz.get("o_ids") or []]
        return [
            *(str(order["so_id"]) for order in by_id if order is not None),
            *map(str, biz.get("so_ids") or []),
        ]

    def _check_call(self, fields: dict[str, str], *, with_token: bool) -> None:
        sign = signatures.jushuitan(self.secret, fields)
        if fields.get("app_key") != self.app_key or not signatures.same(
            sign, fields.get("sign", "")
        ):
            raise Refused(10)
        stamp = fields.get("timestamp", "")
        if not stamp.isdigit() or not within(
            datetime.fromtimestamp(int(stamp), UTC), of=self.now(), seconds=SKEW_S
        ):
            raise Refused(140)
        if with_token and not self._token_stands(fields.get("access_token", "")):
            raise Refused(100)
        if with_token and fields.get("version") != "2":
            raise Refused(130, "version")
        self._count_call()

    def _token_stands(self, text: str) -> bool:
        if signatures.same(text, self.first_token):
            return True
        token = self.books.get("_tokens", text)
        return token is not None and datetime.fromisoformat(token["until"]) > self.now()

    def _count_call(self) -> None:
        # Business time stands still between the steps of a test clock: only real time can limit.
        now = asyncio.get_running_loop().time()
        while self._calls and self._calls[0] <= now - self._limits[-1][0]:
            self._calls.popleft()
        for span_s, limit, code in self._limits:
            if limit and sum(call > now - span_s for call in self._calls) >= limit:
                raise Refused(code)
        self._calls.append(now)

    def _token(self, fields: dict[str, str], _fault: Fault | None) -> Doc:
        code_fits = len(fields.get("code", "")) == len("abcdef")
        if fields.get("grant_type") != "authorization_code" or not code_fits:
            raise Refused(130, "grant_type, code")
        return self._new_token()

    def _refresh(self, fields: dict[str, str], _fault: Fault | None) -> Doc:
        token = self.books.get("_refresh_tokens", fields.get("refresh_token", ""))
        if fields.get("grant_type") != "refresh_token" or token is None:
            raise Refused(100)
        self.books.drop("_refresh_tokens", fields["refresh_token"])
        return self._new_token()

    def _new_token(self) -> Doc:
        access, refresh = new_id().hex, new_id().hex
        until = self.now() + timedelta(seconds=TOKEN_LIVES_S)
        self.books.put("_tokens", access, {"until": until.isoformat()})
        self.books.put("_refresh_tokens", refresh, {"access_token": access})
        return {
            "access_token": access,
            "expires_in": TOKEN_LIVES_S,
            "refresh_token": refresh,
            "scope": "all",
        }

    def _upload(self, biz: Any, _fault: Fault | None) -> Doc:
        if not isinstance(biz, list) or not 0 < len(biz) <= MAX_ORDERS:
            raise Refused(130, "biz")
        return {"datas": [self._upload_row(row) for row in biz]}

    def _declined(self, on: str, so_id: str) -> str | None:
        fault = self.fault(on, so_id)
        return fault.argument if fault is not None and fault.kind is FaultKind.DECLINE else None

    def _upload_row(self, row: Any) -> Doc:
        so_id = str(row.get("so_id", "")) if isinstance(row, dict) else ""
        error = orders.form_error(row) or self._declined("upload_row", so_id)
        if error is not None:
            return {"o_id": 0, "so_id": so_id, "issuccess": False, "msg": error}
        order = self._standing(row) or self._new_order(row)
        if order["status"] == ErpStatus.CANCELLED and not orders.is_closed(row):
            msg = "订单已取消，不能更新"
            return {"o_id": order["o_id"], "so_id": so_id, "issuccess": False, "msg": msg}
        if order["status"] not in {ErpStatus.SENT, ErpStatus.CANCELLED}:
            self._change(order, row=row, uploads=order["uploads"] + 1)
            self._assess(str(order["o_id"]))
        return {"o_id": order["o_id"], "so_id": so_id, "issuccess": True, "msg": "成功"}

    def _standing(self, row: Doc) -> Doc | None:
        same = (
            order
            for order in self._by_so_id(row["so_id"])
            if order["row"]["shop_id"] == row["shop_id"]
        )
        return next(same, None)

    def _by_so_id(self, so_id: str) -> list[Doc]:
        known = self.books.get("_by_so_id", so_id) or {"o_ids": []}
        return [self._order(o_id) for o_id in known["o_ids"]]

    def _new_order(self, row: Doc) -> Doc:
        o_id = 10_000_000 + self.next_number("orders")
        order = {
            "o_id": o_id,
            "so_id": row["so_id"],
            "row": row,
            "status": ErpStatus.WAIT_PAY.value,
            "question_type": "",
            "question_desc": "",
            "uploads": 0,
            "uploaded_at": self.now().isoformat(),
            "modified_at": self.now().isoformat(),
            "ts": 0,
            "sent_at": None,
            "lc_id": "",
            "logistics_company": "",
            "l_id": "",
        }
        known = self.books.get("_by_so_id", row["so_id"]) or {"o_ids": []}
        self.books.put("_by_so_id", row["so_id"], {"o_ids": [*known["o_ids"], str(o_id)]})
        return self.books.put("orders", str(o_id), order)

    def _change(self, order: Doc, **fields: object) -> Doc:
        return self.books.change(
            "orders",
            str(order["o_id"]),
            modified_at=self.now().isoformat(),
            ts=self.next_number("ts"),
            **fields,
        )

    def _assess(self, o_id: str) -> None:
        """Decide again what becomes of an order not yet shipped; push what changed."""
        order = self._order(o_id)
        self._release(order)
        row = order["row"]
        before = (order["status"], order["question_desc"])
        status, question_type, question_desc = self._verdict(row)
        order = self._change(
            order, status=status.value, question_type=question_type, question_desc=question_desc
        )
        if status is ErpStatus.WAIT_CONFIRM:
            self._reserve(order)
        if before != (status, question_desc) and status is not ErpStatus.WAIT_PAY:
            self._push(ACTION_ORDER, orders.order_view(order))
        if before[0] != status and status is ErpStatus.WAIT_CONFIRM:
            self.later(orders.leaves_at(self.now(), self.ships_at_hour), "ship", {"o_id": o_id})

    def _verdict(self, row: Doc) -> tuple[ErpStatus, str, str]:
        if orders.is_closed(row):
            return ErpStatus.CANCELLED, "", ""
        if orders.is_held(row):
            return ErpStatus.QUESTION, REFUND_HOLD, "商品退款中"
        if not orders.is_paid(row):
            return ErpStatus.WAIT_PAY, "", ""
        short = [sku for sku, qty in orders.wanted(row).items() if self._free(sku) < qty]
        if short:
            return ErpStatus.QUESTION, OUT_OF_STOCK, f"库存不足：{','.join(short)}"
        return ErpStatus.WAIT_CONFIRM, "", ""

    def _order(self, o_id: str) -> Doc:
        order = self.books.get("orders", o_id)
        assert order is not None
        return order

    def _stock(self, sku: str) -> Doc:
        return self.books.get("stock", sku) or {"sku_id": sku, "qty": PLENTY, "order_lock": 0}

    def _free(self, sku: str) -> int:
        stock = self._stock(sku)
        return int(stock["qty"]) - int(stock["order_lock"])

    def _reserve(self, order: Doc) -> None:
        locked = orders.wanted(order["row"])
        for sku, qty in locked.items():
            stock = self._stock(sku)
            self.books.put("stock", sku, stock | {"order_lock": stock["order_lock"] + qty})
        self.books.put("_locks", str(order["o_id"]), locked)

    def _release(self, order: Doc) -> dict[str, int]:
        locked: dict[str, int] = self.books.get("_locks", str(order["o_id"])) or {}
        for sku, qty in locked.items():
            stock = self._stock(sku)
            self.books.put("stock", sku, stock | {"order_lock": stock["order_lock"] - qty})
        self.books.drop("_locks", str(order["o_id"]))
        return locked

    async def _ship(self, payload: Doc) -> None:
        order = self._order(payload["o_id"])
        if order["status"] != ErpStatus.WAIT_CONFIRM:
            return
        fault = self.fault("ship", order["so_id"], *orders.wanted(order["row"]))
        taken = self._release(order)
        if fault is not None and fault.kind is FaultKind.DECLINE:
            status = ErpStatus.QUESTION.value
            order = self._change(
                order, status=status, question_type="其它", question_desc=fault.argument
            )
            self._push(ACTION_ORDER, orders.order_view(order))
            return
        for sku, qty in taken.items():
            stock = self._stock(sku)
            self.books.put("stock", sku, stock | {"qty": stock["qty"] - qty})
        number = self.next_number("waybills")
        lc_id, company, form = CARRIERS[number % len(CARRIERS)]
        order = self._change(
            order,
            status=ErpStatus.SENT.value,
            sent_at=self.now().isoformat(),
            lc_id=lc_id,
            logistics_company=company,
            l_id=form.format(number),
        )
        self._push(ACTION_SHIPPED, orders.shipped_view(order))

    def _push(self, action_code: str, biz: Doc) -> None:
        if self.push_url:
            self.notify(
                "push",
                {"action_code": action_code, "biz": biz},
                url=self.push_url,
                account=str(biz["so_id"]),
                accepted='"code":"0"',
            )

    def _compose(self, payload: Doc, spoil: bool) -> tuple[dict[str, str], bytes]:
        fields = {
            "action_code": str(payload["action_code"]),
            "timestamp": str(int(self.now().timestamp())),
            "biz": orjson.dumps(payload["biz"]).decode(),
        }
        fields["sign"] = signatures.jushuitan("stranger" if spoil else self.secret, fields)
        return signatures.form(fields)

    def _cancel(self, biz: Any, _fault: Fault | None) -> Doc:
        o_ids = biz.get("o_ids") if isinstance(biz, dict) else None
        if not isinstance(o_ids, list) or not 0 < len(o_ids) <= MAX_ORDERS:
            raise Refused(130, "o_ids")
        return {"datas": [self._cancel_one(str(o_id)) for o_id in o_ids]}

    def _cancel_one(self, o_id: str) -> Doc:
        order = self.books.get("orders", o_id)
        if order is None:
            return {"o_id": o_id, "issuccess": False, "msg": "订单不存在"}
        row = {"o_id": order["o_id"], "so_id": order["so_id"]}
        refusal = self._declined("cancel_row", order["so_id"])
        if refusal is not None:
            return row | {"issuccess": False, "msg": refusal}
        if order["status"] == ErpStatus.SENT:
            return row | {"issuccess": False, "msg": "订单已发货，不能取消"}
        if order["status"] != ErpStatus.CANCELLED:
            self._release(order)
            order = self._change(
                order, status=ErpStatus.CANCELLED.value, question_type="", question_desc=""
            )
            self._push(ACTION_ORDER, orders.order_view(order))
        return row | {"issuccess": True, "msg": "成功"}

    def _query(self, biz: Any, _fault: Fault | None) -> Doc:
        return page(biz, map(orders.order_view, self._found(biz, "modified_at")), most=100)

    def _logistic(self, biz: Any, _fault: Fault | None) -> Doc:
        sent = [order for order in self._found(biz, "sent_at") if order["sent_at"] is not None]
        return page(biz, map(orders.shipped_view, sent), most=50)

    def _found(self, biz: Any, moment_field: str) -> list[Doc]:
        if not isinstance(biz, dict):
            raise Refused(130, "biz")
        so_ids = biz.get("so_ids")
        if so_ids:
            if len(so_ids) > MAX_SO_IDS:
                raise Refused(130, "so_ids")
            return [order for so_id in so_ids for order in self._by_so_id(str(so_id))]
        everything = list(self.books.all("orders"))
        if biz.get("start_ts") is not None:
            newer = (order for order in everything if order["ts"] >= int(biz["start_ts"]))
            return sorted(newer, key=lambda order: int(order["ts"]))
        begin, end = window(biz)
        return [
            order
            for order in everything
            if order[moment_field] is not None
            and begin <= datetime.fromisoformat(order[moment_field]) <= end
        ]

    def _inventory(self, biz: Any, _fault: Fault | None) -> Doc:
        asked = biz.get("sku_ids") if isinstance(biz, dict) else None
        skus = asked.split(",") if isinstance(asked, str) else asked
        if not skus or len(skus) > MAX_SKUS:
            raise Refused(130, "sku_ids")
        rows = [
            self._stock(str(sku))
            | {"i_id": sku, "pick_lock": 0, "virtual_qty": 0, "lock_qty": 0, "in_qty": 0}
            for sku in skus
        ]
        found = page(biz, rows, most=100)
        return {"inventorys": found.pop("orders")} | found

    async def _put_stock(self, request: web.Request) -> web.Response:
        sku = request.match_info["sku"]
        qty = int((await json_body(request))["qty"])
        self.books.put("stock", sku, self._stock(sku) | {"qty": qty})
        for o_id, order in self.books.items("orders"):
            if order["question_type"] == OUT_OF_STOCK:
                self._assess(o_id)
        return json_reply(self._stock(sku))

    async def _get_stock(self, request: web.Request) -> web.Response:
        return json_reply(self._stock(request.match_info["sku"]))


def _carriers(_biz_of_call: Any, _fault: Fault | None) -> Doc:
    rows = [{"lc_id": lc_id, "lc_name": name, "modified": ""} for lc_id, name, _ in CARRIERS]
    return {"datas": rows, "has_next": False}


def _warehouses(_biz_of_call: Any, _fault: Fault | None) -> Doc:
    row = {"name": "沙盒云仓", "co_id": 1, "wms_co_id": 1001, "is_main": True, "status": "生效"}
    return {"datas": [row], "has_next": False}


if __name__ == "__main__":
    main(
        Jushuitan,
        "jst-push-url",
        "jst-calls-per-second",
        "jst-calls-per-minute",
        "jst-ships-at-hour",
    )
