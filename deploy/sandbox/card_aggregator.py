"""
A card aggregator, simulated: ``python -m deploy.sandbox.card_aggregator --port P --keys DIR``.

The format is our own profile of such an institution, see ``shared/rails/card.py``.  Options of
its own: ``--card-contract-url`` (where contracts ended by the customer are told; else the signing's
``notify_url``), ``--processing-s`` (business seconds from a charge to its result, 0: at once) and
``--refund-delay-s`` (from accepting to paying a refund, 300).

What customers do: ``POST /_sandbox/users/{user_no}/sign`` ``{"sign_token", "sms_code"}`` (the
bank's code is 246810 unless ``PUT /_sandbox/users/{user_no}`` ``{"sms_code"}`` says otherwise; the
third wrong one ends the token), ``.../unsign`` ``{"contract_no"}``, ``.../pay`` ``{"pay_token"}``.
``PUT /_sandbox/users/{user_no}`` also takes ``{"balance_fen"}``.

Calls that fault scripts name: sign, query_contract, end_contract, pay (an automatic charge),
open (a payment of the customer's), query, close, refund, refund_result (decline:CARD_CLOSED),
query_refund, bill, customer_pay, notify.  Accounts: the user number, or the beginning of an
order's or contract's number.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Final

import orjson
from aiohttp import web

from deploy.sandbox import keys
from deploy.sandbox.card_bank import CardBank, Declined, shown
from deploy.sandbox.card_bill import BillDesk
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from shared.clock import SystemClock
from shared.ids import new_id
from shared.rails.card import PATHS
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.wechatpay_v3 import MAX_AGE, answer_text, request_text

_FAULT_NAMES: Final = {"charge": "pay", "pay": "open"}
"""An automatic charge is ``pay`` in fault scripts, as with every other rail."""


class CardSandbox(Sandbox):
    """The aggregator in front of the banks."""

    name = "bankcard"
    resend_gaps_s = (60, 300, 900, 3600, 21600)

    def __init__(self, options: Options) -> None:
        """Read keys and secrets."""
        super().__init__(options)
        assert options.keys is not None
        self.bank = CardBank(self.books, self.now, self.next_number)
        self._wire_clock = SystemClock()
        self._signer = RsaSigner(keys.private_pem(options.keys, "card-aggregator"))
        self._stranger = RsaSigner(keys.private_pem(options.keys, "nobody"))
        self._merchants = RsaVerifier(keys.public_pem(options.keys, "card-merchant"))
        self._merchant_no = keys.secret(options.keys, "card_merchant_no")
        self._contract_url = options.extra.get("card_contract_url", "")
        self._processing = timedelta(seconds=float(options.extra.get("processing_s", "0")))
        self._refund_delay = timedelta(seconds=float(options.extra.get("refund_delay_s", "300")))
        self._bills = BillDesk(self, self._merchant_no)
        self.composers["card"] = self._compose
        self.timeline.kinds |= {"execute": self._execute, "finish_refund": self._finish_refund}
        router = self.app.router
        for call, path in PATHS.items():
            router.add_post(path, self._handler(call))
        for what, act in (
            ("sign", self._customer_signs),
            ("unsign", self._customer_unsigns),
            ("pay", self._customer_pays),
        ):
            router.add_post(f"/_sandbox/users/{{user_no}}/{what}", act)
        router.add_put("/_sandbox/users/{user_no}", self._put_user)

    def summary(self) -> Doc:
        """Return the banks' totals."""
        return self.bank.summary()

    # Merchants

    def _handler(self, call: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            refusal = self._refusal(request, body)
            try:
                content = orjson.loads(body)
            except orjson.JSONDecodeError:
                content, refusal = {}, refusal or "MALFORMED"
            if refusal is not None:
                return self._answer({"code": refusal, "message": refusal}, None)
            fault = self.fault(_FAULT_NAMES.get(call, call), *self.bank.accounts(content))

            async def act() -> web.StreamResponse:
                asked = content | {"_base": str(request.url.origin())}
                return self._answer(self._result(call, asked, fault), fault)

            return await self.disturb(request, fault, act)

        return handle

    def _refusal(self, request: web.Request, body: bytes) -> str | None:
        stamp = request.headers.get("X-Timestamp", "")
        if request.headers.get("X-Merchant-No") != self._merchant_no:
            return "MERCHANT_NOT_FOUND"
        if not stamp.isdigit() or (
            abs(self._wire_clock.now().timestamp() - int(stamp)) > MAX_AGE.total_seconds()
        ):
            return "SIGN_EXPIRED"
        nonce = request.headers.get("X-Nonce", "")
        text = request_text("POST", request.path, int(stamp), nonce, body)
        if not self._merchants.verify(text, request.headers.get("X-Signature", "")):
            return "SIGN_ERROR"
        return None

    def _result(self, call: str, content: Doc, fault: Fault | None) -> Doc:
        declined = fault is not None and fault.kind is FaultKind.DECLINE
        try:
            if declined and fault is not None and call != "charge":
                raise Declined(fault.argument)  # noqa: TRY301 - one way out for every no
            data = getattr(self, f"_do_{call}")(content, fault)
        except Declined as no:
            return {"code": no.code, "message": no.code}
        except (KeyError, ValueError, TypeError):
            return {"code": "PARAM_ERROR", "message": "PARAM_ERROR"}
        if fault is not None and fault.kind is FaultKind.WRONG_AMOUNT and "amount_fen" in data:
            data |= {"amount_fen": data["amount_fen"] + 1}
        return {"code": "SUCCESS", "message": "", "data": data}

    def _answer(self, doc: Doc, fault: Fault | None) -> web.Response:
        body = orjson.dumps(doc)
        spoilt = fault is not None and fault.kind is FaultKind.BAD_SIGNATURE
        headers = self._signed(body, spoil=spoilt)
        return web.Response(body=body, content_type="application/json", headers=headers)

    def _signed(self, body: bytes, *, spoil: bool) -> dict[str, str]:
        stamp, nonce = str(int(self._wire_clock.now().timestamp())), secrets.token_hex(16)
        signer = self._stranger if spoil else self._signer
        sign = signer.sign(answer_text(stamp, nonce, body))
        return {"X-Timestamp": stamp, "X-Nonce": nonce, "X-Signature": sign}

    def _do_sign(self, content: Doc, _fault: Fault | None) -> Doc:
        token = self.bank.invite(content)
        return {"sign_token": token, "page_url": f"https://card.example.com/sign/{token}"}

    def _do_query_contract(self, content: Doc, _fault: Fault | None) -> Doc:
        return self.bank.shown_contract(self.bank.contract(content["external_no"]))

    def _do_end_contract(self, content: Doc, _fault: Fault | None) -> Doc:
        row = self.bank.contract(content["external_no"])
        if row["state"] != "ENDED":
            row = self.bank.end(row, "merchant")
            self._tell("CONTRACT_ENDED", self.bank.shown_contract(row), row["notify_url"], row)
        return self.bank.shown_contract(row)

    def _do_charge(self, content: Doc, fault: Fault | None) -> Doc:
        declined = fault is not None and fault.kind is FaultKind.DECLINE
        decline = fault.argument if declined and fault is not None else ""
        order, fresh = self.bank.charge(content, decline=decline)
        if fresh and self._processing:
            self.later(self.now() + self._processing, "execute", {"order_no": order["order_no"]})
        elif fresh:
            order = self._executed(order["order_no"])
        return shown(order)

    def _do_pay(self, content: Doc, _fault: Fault | None) -> Doc:
        order = self.bank.open(content)
        token = order["pay_token"]
        return {"pay_token": token, "page_url": f"https://card.example.com/pay/{token}"}

    def _do_query(self, content: Doc, _fault: Fault | None) -> Doc:
        return shown(self.bank.order(content["order_no"]))

    def _do_close(self, content: Doc, _fault: Fault | None) -> Doc:
        return shown(self.bank.close(content["order_no"]))

    def _do_refund(self, content: Doc, _fault: Fault | None) -> Doc:
        refund, fresh = self.bank.refund(content)
        if fresh:
            key = {"refund_no": refund["refund_no"]}
            self.later(self.now() + self._refund_delay, "finish_refund", key)
        return _shown_refund(refund)

    def _do_query_refund(self, content: Doc, _fault: Fault | None) -> Doc:
        refund = self.books.get("refunds", content["refund_no"])
        if refund is None:
            raise Declined("REFUND_NOT_FOUND")
        return _shown_refund(refund)

    def _do_bill(self, content: Doc, _fault: Fault | None) -> Doc:
        return self._bills.ask(date.fromisoformat(content["day"]), content["_base"])

    # The banks

    async def _execute(self, payload: Doc) -> None:
        self._executed(payload["order_no"])

    def _executed(self, order_no: str) -> Doc:
        order = self.bank.execute(order_no)
        self._tell("ORDER", shown(order), order["notify_url"], order)
        return order

    async def _finish_refund(self, payload: Doc) -> None:
        known = self.books.get("refunds", payload["refund_no"])
        assert known is not None
        fault = self.fault("refund_result", known["account"], known["refund_no"])
        declined = fault is not None and fault.kind is FaultKind.DECLINE
        refund = self.bank.finish_refund(
            payload["refund_no"], fault.argument if declined and fault is not None else ""
        )
        self._tell("REFUND", _shown_refund(refund), refund["notify_url"], refund)

    # Customers

    async def _customer_signs(self, request: web.Request) -> web.StreamResponse:
        body = await json_body(request)
        try:
            row = self.bank.sign(
                request.match_info["user_no"], body["sign_token"], body.get("sms_code", "246810")
            )
        except Declined as no:
            return json_reply({"code": no.code}, status=409)
        self._tell("CONTRACT_SIGNED", self.bank.shown_contract(row), row["notify_url"], row)
        return json_reply({"code": "SUCCESS", "contract_no": row["contract_no"]})

    async def _customer_unsigns(self, request: web.Request) -> web.StreamResponse:
        number = (await json_body(request))["contract_no"]
        row = self.bank.by_number(number)
        if row is None or row["account"] != request.match_info["user_no"]:
            return json_reply({"error": "no such contract"}, status=404)
        if row["state"] == "ACTIVE":
            row = self.bank.end(row, "customer")
            url = self._contract_url or row["notify_url"]
            self._tell("CONTRACT_ENDED", self.bank.shown_contract(row), url, row)
        return json_reply({"contract_no": number})

    async def _customer_pays(self, request: web.Request) -> web.StreamResponse:
        user_no, body = request.match_info["user_no"], await json_body(request)
        fault = self.fault("customer_pay", user_no)
        try:
            if fault is not None and fault.kind is FaultKind.DECLINE:
                raise Declined(fault.argument)  # noqa: TRY301 - one way out for every no
            order = self.bank.pay(user_no, body["pay_token"])
        except Declined as no:
            return json_reply({"code": no.code}, status=409)
        self._tell("ORDER", shown(order), order["notify_url"], order)
        return json_reply({"code": "SUCCESS"})

    async def _put_user(self, request: web.Request) -> web.StreamResponse:
        user_no, body = request.match_info["user_no"], await json_body(request)
        return json_reply(self.bank.set_user(user_no, body))

    # Notifications

    def _tell(self, kind: str, data: Doc, url: str, about: Doc) -> None:
        if url:
            payload = {"notify_id": new_id().hex, "type": kind, "data": data}
            self.notify("card", payload, url=url, account=about["account"], accepted="SUCCESS")

    def _compose(self, payload: Doc, spoil: bool) -> tuple[dict[str, str], bytes]:
        data = payload["data"]
        if payload.get("wrong_amount") and "amount_fen" in data:
            data = data | {"amount_fen": data["amount_fen"] + 1}
        told = {name: payload[name] for name in ("notify_id", "type")} | {"data": data}
        body = orjson.dumps(told | {"merchant_no": self._merchant_no})
        return {"Content-Type": "application/json", **self._signed(body, spoil=spoil)}, body


def _shown_refund(refund: Doc) -> Doc:
    return {
        "refund_no": refund["refund_no"],
        "order_no": refund["out_trade_no"],
        "status": refund["status"],
        "amount_fen": refund["amount_fen"],
        "fail_code": refund["fail_code"],
        "refunded_at": refund["at"],
    }


if __name__ == "__main__":
    main(CardSandbox, "card-contract-url", "processing-s", "refund-delay-s")
