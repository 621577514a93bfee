"""
A licensed payout channel and a licensed factor, in one profile of signed JSON.

Providers' side (``X-App-Id``, ``X-Timestamp`` within 5 minutes of business time, ``X-Nonce`` not
twice, ``X-Signature`` = HMAC-SHA256 over method, path, timestamp, nonce and body, each with a line
feed; the answer's signature covers our nonce, the status and the body):

* channel: ``POST /v1/transfers`` ``{"transfer_no","payee_account","amount_fen","purpose"}``,
  ``GET /v1/transfers/{no}``;
* factor: ``POST /v1/quotes`` ``{"advance_no","amount_fen"}``, ``POST /v1/draws``
  ``{"advance_no","quote_no","amount_fen"}``, ``GET /v1/draws/{no}``, ``POST /v1/repayments``
  ``{"repayment_no","amount_fen"}``, ``GET /v1/repayments/{no}``.

An order is ``PROCESSING`` and, ``--institution-minutes`` (5) of business time later, ``SUCCESS``.
The same number again is the same order; with another amount it is a 409.

Faults: account = the payee's account, the order's number, or ``*``; ``on`` = ``pay``, ``draw``,
``repay``, ``query``, ``quote``.  ``decline:CODE`` on ``pay``, ``draw`` and ``repay`` makes the
order fail later, on ``quote`` there is no offer.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import orjson
from aiohttp import web

from deploy.sandbox import provider_settings as settings
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox

SKEW_S: Final = 300
INTEREST_PPM: Final = 300
"""Offers: 0.03 % a day."""
QUOTE_FOR: Final = timedelta(hours=24)
_NONCES_KEPT: Final = 100_000


class _Institution(Sandbox):
    """What both have in common: signatures, orders that succeed after a while."""

    def __init__(self, options: Options) -> None:
        """Know one caller."""
        super().__init__(options)
        self.app_id = settings.credential(options, f"{self.name}_app_id")
        self.secret = settings.credential(options, f"{self.name}_app_secret")
        self.minutes = settings.number(options, "institution_minutes", 5)
        self._nonces: deque[str] = deque(maxlen=_NONCES_KEPT)
        self.timeline.kinds["succeed"] = self._succeed

    def orders(self, path: str, on: str, number: str, account: str) -> None:
        """Serve ``POST path`` and ``GET path/{no}``; *number* and *account* name body members."""

        async def take(request: web.Request) -> web.StreamResponse:
            return await self._signed(request, lambda doc: self._order(doc, path, on, number), on)

        async def tell(request: web.Request) -> web.StreamResponse:
            known = self.books.get(path, request.match_info["no"])
            return await self._signed(request, lambda _: _told(known), "query")

        self.accounts = getattr(self, "accounts", {}) | {on: (number, account)}
        self.app.router.add_post(f"/v1/{path}", take)
        self.app.router.add_get(f"/v1/{path}/{{no}}", tell)

    async def _signed(
        self, request: web.Request, act: Callable[[Doc], tuple[int, Doc]], on: str
    ) -> web.StreamResponse:
        raw = await request.text()
        if (refusal := self._door(request, raw)) is not None:
            return self._reply(request, 401, {"code": refusal})
        doc = orjson.loads(raw) if raw else {}
        names = self.accounts.get(on, ())
        fault = self.fault(
            on, *(str(doc.get(name, "")) for name in names), request.match_info.get("no", "")
        )

        async def answer() -> web.StreamResponse:
            if fault is not None and fault.kind is FaultKind.DECLINE and on == "quote":
                return self._reply(request, 422, {"code": fault.argument})
            status, told = act(doc)
            if fault is not None and fault.kind is FaultKind.DECLINE and status < 300:  # noqa: PLR2004
                self._spoil(on, doc, fault)
            if fault is not None and fault.kind is FaultKind.WRONG_AMOUNT:
                told = told | {"amount_fen": int(told.get("amount_fen", 0)) + 1}
            spoil = fault is not None and fault.kind is FaultKind.BAD_SIGNATURE
            return self._reply(request, status, told, spoil=spoil)

        return await self.disturb(request, fault, answer)

    def _door(self, request: web.Request, raw: str) -> str | None:
        moment, nonce = request.headers.get("X-Timestamp", "0"), request.headers.get("X-Nonce", "")
        wanted = _hmac(self.secret, request.method, request.path, moment, nonce, raw)
        if request.headers.get("X-App-Id") != self.app_id:
            return "APP_UNKNOWN"
        if not hmac.compare_digest(wanted, request.headers.get("X-Signature", "")):
            return "SIGNATURE_WRONG"
        if abs(self.now().timestamp() - int(moment)) > SKEW_S:
            return "TIMESTAMP_STALE"
        if not nonce or nonce in self._nonces:
            return "NONCE_REPEATED"
        self._nonces.append(nonce)
        return None

    def _reply(
        self, request: web.Request, status: int, told: Doc, *, spoil: bool = False
    ) -> web.Response:
        text = orjson.dumps(told).decode()
        nonce = request.headers.get("X-Nonce", "")
        signed = _hmac("stranger" if spoil else self.secret, nonce, str(status), text)
        headers = {"X-Signature": signed, "Content-Type": "application/json"}
        return web.Response(text=text, status=status, headers=headers)

    def _order(self, doc: Doc, path: str, on: str, number: str) -> tuple[int, Doc]:
        no, amount = str(doc.get(number, "")), doc.get("amount_fen")
        if not no or not isinstance(amount, int) or amount <= 0:
            return 400, {"code": "PARAMETER_WRONG"}
        known = self.books.get(path, no)
        if known is not None and known["amount_fen"] != amount:
            return 409, {"code": "NUMBER_USED"}
        if known is None:
            known = self.books.put(
                path,
                no,
                {
                    "no": no,
                    "account": str(doc.get(self.accounts[on][1], "")),
                    "amount_fen": amount,
                    "status": "PROCESSING",
                    "code": "",
                    "reference": f"{self.name[:1].upper()}{self.next_number(path):010d}",
                    "at": self.now().isoformat(),
                },
            )
            due = self.now() + timedelta(minutes=self.minutes)
            self.later(due, "succeed", {"path": path, "no": no})
        return _told(known)

    def _spoil(self, on: str, doc: Doc, fault: Fault) -> None:
        path = {"pay": "transfers", "draw": "draws", "repay": "repayments"}.get(on)
        if path is not None:
            no = str(doc.get(self.accounts[on][0], ""))
            self.books.change(path, no, fate=fault.argument or "DECLINED")

    async def _succeed(self, payload: Doc) -> None:
        order = self.books.get(payload["path"], payload["no"])
        assert order is not None
        if order.get("fate"):
            self.books.change(payload["path"], payload["no"], status="FAILED", code=order["fate"])
        else:
            self.books.change(payload["path"], payload["no"], status="SUCCESS")


class PayoutChannel(_Institution):
    """A licensed channel that pays out of the supervised account."""

    name = "payout"

    def __init__(self, options: Options) -> None:
        """Take transfers."""
        super().__init__(options)
        self.orders("transfers", "pay", "transfer_no", "payee_account")


class Factor(_Institution):
    """A licensed factor that buys delivered receivables."""

    name = "factor"

    def __init__(self, options: Options) -> None:
        """Offer, pay and take back advances."""
        super().__init__(options)
        self.orders("draws", "draw", "advance_no", "quote_no")
        self.orders("repayments", "repay", "repayment_no", "repayment_no")
        self.accounts["quote"] = ("advance_no", "advance_no")
        self.app.router.add_post("/v1/quotes", self._quotes)

    async def _quotes(self, request: web.Request) -> web.StreamResponse:
        return await self._signed(request, self._quote, "quote")

    def _quote(self, doc: Doc) -> tuple[int, Doc]:
        amount = doc.get("amount_fen")
        if not isinstance(amount, int) or amount <= 0:
            return 400, {"code": "PARAMETER_WRONG"}
        number = f"Q{self.next_number('quotes'):010d}"
        offer = {
            "quote_no": number,
            "amount_fen": amount,
            "interest_ppm_per_day": INTEREST_PPM,
            "valid_until": (self.now() + QUOTE_FOR).isoformat(),
        }
        return 200, self.books.put("quotes", number, offer)


def _told(order: Doc | None) -> tuple[int, Doc]:
    if order is None:
        return 404, {"code": "ORDER_UNKNOWN"}
    return 200, {key: order[key] for key in ("no", "amount_fen", "status", "code", "reference")}


def _hmac(secret: str, *parts: str) -> str:
    message = "".join(part + "\n" for part in parts).encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
