"""
The Alipay gateway, simulated: ``python -m deploy.sandbox.alipay --port P --keys DIR``.

``POST /gateway.do`` speaks the gateway's format.  What customers do in their wallets:

* ``POST /_sandbox/users/{user_id}/sign`` ``{"sign_str"}``: sign an agreement.  Answers as the
  wallet does, ``{"resultStatus": "7000", "agreement_no"}``; 7002 with a ``code`` when refused.
* ``POST /_sandbox/users/{user_id}/unsign`` ``{"agreement_no"}``: revoke it.  The notification goes
  to ``--app-gateway`` only.
* ``POST /_sandbox/users/{user_id}/pay`` ``{"trade_no"}``: pay a trade made by trade.create.
* ``POST /_sandbox/users/{user_id}/certify`` ``{"certify_id", "passed"}``: the identity check.
* ``PUT /_sandbox/users/{user_id}`` ``{"balance_fen"}``: ``null`` = unlimited, the default.
* ``PUT /_sandbox/scores/{cert_no}`` ``{"score"}``: 700 by default, ``null`` = cannot be evaluated.

Calls that fault scripts name: sign, unsign, query_agreement, modify, pay, create, query, close,
refund, query_refund, score, message, certify, query_certify, notify, and those of ``alipay_bill``.
Accounts: the user id, or the beginning of ``out_trade_no`` / ``agreement_no``.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

import orjson
from aiohttp import web

from deploy.sandbox import keys
from deploy.sandbox.alipay_bank import AlipayBank, Declined, merchant_of, paid_amount
from deploy.sandbox.alipay_bill import BillDesk
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from shared.ids import new_id
from shared.money import yuan
from shared.rails.alipay import rail_time
from shared.rails.alipay_signing import canonical_text, notification_texts
from shared.rails.signer import RsaSigner, RsaVerifier

_NEVER: Final = "2115-02-01 00:00:00"

_CALLS: Final = {
    "alipay.user.agreement.query": "query_agreement",
    "alipay.user.agreement.unsign": "unsign",
    "alipay.user.agreement.executionplan.modify": "modify",
    "alipay.trade.pay": "pay",
    "alipay.trade.create": "create",
    "alipay.trade.query": "query",
    "alipay.trade.close": "close",
    "alipay.trade.refund": "refund",
    "alipay.trade.fastpay.refund.query": "query_refund",
    "zhima.credit.score.brief.get": "score",
    "alipay.open.app.mini.templatemessage.send": "message",
    "alipay.user.certify.open.initialize": "certify",
    "alipay.user.certify.open.query": "query_certify",
    "alipay.data.dataservice.bill.downloadurl.query": "bill",
}


class AlipaySandbox(Sandbox):
    """The gateway in front of the bank."""

    name = "alipay"
    # Source: Alipay open docs, asynchronous notification: 8 sends within 25 hours.
    resend_gaps_s = (240, 600, 600, 3600, 7200, 21600, 54000)

    def __init__(self, options: Options) -> None:
        """Read the keys; ``extra`` may have ``app_gateway`` (URL)."""
        super().__init__(options)
        assert options.keys is not None
        self.bank = AlipayBank(self.books, self.now, self.next_number)
        self.app_gateway = options.extra.get("app_gateway", "")
        self._bills = BillDesk(self)
        self._signer = RsaSigner(keys.private_pem(options.keys, "alipay"))
        self._stranger = RsaSigner(keys.private_pem(options.keys, "nobody"))
        self._apps = RsaVerifier(keys.public_pem(options.keys, "alipay-app"))
        self.composers["form"] = self._compose
        self._handlers: dict[str, Callable[[Doc, Doc, Fault | None], Doc]] = {
            name: getattr(self, f"_do_{name}") for name in _CALLS.values()
        }
        router = self.app.router
        router.add_post("/gateway.do", self._gateway)
        router.add_post("/_sandbox/users/{user_id}/sign", self._customer_signs)
        router.add_post("/_sandbox/users/{user_id}/unsign", self._customer_unsigns)
        router.add_post("/_sandbox/users/{user_id}/pay", self._customer_pays)
        router.add_post("/_sandbox/users/{user_id}/certify", self._customer_certifies)
        router.add_put("/_sandbox/users/{user_id}", self._put_user)
        router.add_put("/_sandbox/scores/{cert_no}", self._put_score)

    def summary(self) -> Doc:
        """Return the bank's totals."""
        return self.bank.summary()

    # The gateway

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        form = parse_qsl((await request.read()).decode(), keep_blank_values=True)
        fields = dict([*request.query.items(), *form])
        call = _CALLS.get(fields.get("method", ""))
        refusal = self._refusal(fields, call)
        if refusal is not None or call is None:
            return _answered("error_response", orjson.dumps(refusal), "")
        content = orjson.loads(fields["biz_content"])
        fault = self.fault(call, *self._accounts(fields, content))

        async def act() -> web.StreamResponse:
            asked = fields | {"_base": str(request.url.origin())}
            node = self._node(call, asked, content, fault)
            raw = orjson.dumps(node)
            spoilt = fault is not None and fault.kind is FaultKind.BAD_SIGNATURE
            sign = (self._stranger if spoilt else self._signer).sign(raw)
            return _answered(f"{fields['method'].replace('.', '_')}_response", raw, sign)

        return await self.disturb(request, fault, act)

    def _refusal(self, fields: dict[str, str], call: str | None) -> Doc | None:
        for name in ("method", "app_id", "timestamp", "version"):
            if not fields.get(name):
                return _error("40001", f"isv.missing-{name.replace('_', '-')}")
        if not fields.get("sign"):
            return _error("40001", "isv.missing-signature")
        if call is None:
            return _error("40002", "isv.invalid-method")
        if fields.get("sign_type") != "RSA2":
            return _error("40002", "isv.invalid-signature-type")
        if not self._apps.verify(canonical_text(fields).encode(), fields["sign"]):
            return _error("40002", "isv.invalid-signature")
        return None

    def _accounts(self, fields: Doc, content: Doc) -> list[str]:
        number = content.get("agreement_no") or content.get("agreement_params", {}).get(
            "agreement_no", ""
        )
        agreement = self.books.get("agreements", number)
        trade = self.bank.trade(merchant_of(fields), str(content.get("out_trade_no", "")))
        named = (
            "" if agreement is None else agreement["user_id"],
            "" if trade is None else trade["user_id"],
            *(str(content.get(name, "")) for name in _ACCOUNT_FIELDS),
            number,
        )
        return [account for account in named if account]

    def _node(self, call: str, fields: Doc, content: Doc, fault: Fault | None) -> Doc:
        decline = ""
        if fault is not None and fault.kind is FaultKind.DECLINE:
            decline = fault.argument
        try:
            if decline and (decline.isdigit() or call != "pay"):
                raise Declined(decline)  # noqa: TRY301 - one way out for every no
            return {
                "code": "10000",
                "msg": "Success",
                **self._handlers[call](fields, content, fault),
            }
        except Declined as no:
            return _declined(no.code, fields["method"])
        except (KeyError, ValueError, TypeError):
            return _declined("INVALID_PARAMETER", fields["method"])

    def _do_query_agreement(self, fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        row = self.bank.agreement(merchant_of(fields), content)
        shown = {name: row[name] for name in _AGREEMENT_FIELDS}
        shown |= {"valid_time": row["sign_time"], "invalid_time": _NEVER}
        shown["principal_id"] = row["user_id"]
        if row["months"]:
            shown["next_deduct_time"] = row["next_day"]
        return shown

    def _do_unsign(self, fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        row = self.bank.agreement(merchant_of(fields), content)
        self._tell_unsigned(
            self.bank.unsign(row["agreement_no"]), fields.get("notify_url") or self.app_gateway
        )
        return {}

    def _do_modify(self, fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        row = self.bank.agreement(merchant_of(fields), content)
        row = self.bank.move_plan(row, date.fromisoformat(content["deduct_time"]))
        return {"agreement_no": row["agreement_no"], "deduct_time": row["next_day"]}

    def _do_pay(self, fields: Doc, content: Doc, fault: Fault | None) -> Doc:
        decline = fault.argument if fault is not None and fault.kind is FaultKind.DECLINE else ""
        trade, fresh = self.bank.withhold(fields, content, decline=decline)
        if fresh:
            self._tell_trade(trade)
        amount = paid_amount(trade, wrong=_wrong(fault))
        return {
            "trade_no": trade["trade_no"],
            "out_trade_no": trade["out_trade_no"],
            "total_amount": amount,
            "receipt_amount": amount,
            "buyer_pay_amount": amount,
            "gmt_payment": _rail_time(trade["paid_at"]),
            "buyer_user_id": trade["user_id"],
            "fund_bill_list": [{"fund_channel": "ALIPAYACCOUNT", "amount": amount}],
            "async_payment_mode": "SYNC_DIRECT_PAY",
        }

    def _do_create(self, fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        trade = self.bank.create(fields, content)
        return {"trade_no": trade["trade_no"], "out_trade_no": trade["out_trade_no"]}

    def _do_query(self, fields: Doc, content: Doc, fault: Fault | None) -> Doc:
        trade = self.bank.known_trade(merchant_of(fields), content["out_trade_no"])
        amount = paid_amount(trade, wrong=_wrong(fault))
        shown = {
            "trade_no": trade["trade_no"],
            "out_trade_no": trade["out_trade_no"],
            "trade_status": trade["status"],
            "total_amount": amount,
            "buyer_user_id": trade["user_id"],
        }
        if trade["paid_at"]:
            shown |= {"receipt_amount": amount, "send_pay_date": _rail_time(trade["paid_at"])}
        return shown

    def _do_close(self, fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        trade = self.bank.close(merchant_of(fields), content["out_trade_no"])
        return {"trade_no": trade["trade_no"], "out_trade_no": trade["out_trade_no"]}

    def _do_refund(self, fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        trade, refund, fresh = self.bank.refund(merchant_of(fields), content)
        if fresh:
            self._tell_trade(trade, refund)
        return {
            "trade_no": trade["trade_no"],
            "out_trade_no": trade["out_trade_no"],
            "fund_change": "Y" if fresh else "N",
            "refund_fee": yuan(trade["refunded_fen"]),
            "gmt_refund_pay": _rail_time(refund["at"]),
            "buyer_user_id": trade["user_id"],
        }

    def _do_query_refund(self, fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        trade = self.bank.known_trade(merchant_of(fields), content["out_trade_no"])
        refund = self.bank.known_refund(merchant_of(fields), content)
        if refund is None:
            return {}
        return {
            "trade_no": trade["trade_no"],
            "out_trade_no": trade["out_trade_no"],
            "out_request_no": refund["out_request_no"],
            "refund_status": "REFUND_SUCCESS",
            "refund_amount": yuan(refund["amount_fen"]),
            "total_amount": yuan(trade["amount_fen"]),
            "gmt_refund_pay": _rail_time(refund["at"]),
        }

    def _do_score(self, _fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        threshold, number = int(content["admittance_score"]), content["transaction_id"]
        if not 350 <= threshold <= 950:  # noqa: PLR2004 - the documented range
            raise Declined("INVALID_PARAMETER")
        known = self.books.get("evaluations", number)
        if known is None:
            score = (self.books.get("scores", content["cert_no"]) or {"score": 700})["score"]
            reached = "N/A" if score is None else "Y" if score >= threshold else "N"
            known = {"biz_no": f"ZM{self.next_number('score'):018d}", "is_admittance": reached}
            self.books.put("evaluations", number, known | {"transaction_id": number})
        return {name: known[name] for name in ("biz_no", "is_admittance")}

    def _do_message(self, _fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        user = content.get("to_user_id") or content["to_open_id"]
        data = orjson.loads(content["data"])
        if not content.get("user_template_id") or not data:
            raise Declined("USER_TEMPLATE_ILLEGAL")
        if any(len(item["value"]) > 50 for item in data.values()):  # noqa: PLR2004 - documented
            raise Declined("USER_KEYWORD_LENGTH_ERROR")
        number = str(self.next_number("message"))
        entry = {"id": number, "account": user, "at": self.now().isoformat(), "data": data}
        entry["template_id"] = content["user_template_id"]
        self.books.put("messages", number, entry)
        return {}

    def _do_certify(self, _fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        number = content["outer_order_no"]
        known = self.books.get("certifies", number)
        if known is None:
            certify_id = f"CERT{self.next_number('certify'):028d}"
            known = {"certify_id": certify_id, "outer_order_no": number, "passed": ""}
            known["cert_no"] = content["identity_param"]["cert_no"]
            self.books.put("certifies", number, known)
            self.books.put("_certify_ids", certify_id, {"number": number})
        return {"certify_id": known["certify_id"]}

    def _do_query_certify(self, _fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        key = self.books.get("_certify_ids", content["certify_id"])
        row = None if key is None else self.books.get("certifies", key["number"])
        if row is None:
            raise Declined("CERTIFY_ID_NOT_EXIST")
        return {"passed": row["passed"] or "F"}

    def _do_bill(self, fields: Doc, content: Doc, _fault: Fault | None) -> Doc:
        found = self._bills.ask(merchant_of(fields), content, fields["_base"])
        if found is None:
            raise Declined("BILL_NOT_EXIST")
        return found

    # Customers

    async def _customer_signs(self, request: web.Request) -> web.StreamResponse:
        user_id = request.match_info["user_id"]
        text = unquote((await json_body(request))["sign_str"])
        fields = dict(parse_qsl(text, keep_blank_values=True))
        fault = self.fault("sign", user_id)
        if fault is not None and fault.kind is FaultKind.DECLINE:
            return json_reply({"resultStatus": fault.argument})
        if not self._apps.verify(canonical_text(fields).encode(), fields.get("sign", "")):
            return json_reply({"resultStatus": "7002", "code": "isv.invalid-signature"})
        try:
            row = self.bank.sign(user_id, fields, orjson.loads(fields["biz_content"]))
        except Declined as no:
            return json_reply({"resultStatus": "7002", "code": no.code})
        except (KeyError, ValueError, TypeError):
            return json_reply({"resultStatus": "7002", "code": "INVALID_PARAMETER"})
        url = fields.get("notify_url") or self.app_gateway
        times = {"sign_time": row["sign_time"], "valid_time": row["sign_time"]}
        times["invalid_time"] = _NEVER
        self._tell_agreement("dut_user_sign", row, times, url)
        # With a return_url the wallet says "cancelled" although it signed.
        status = "6001" if "return_url" in fields else "7000"
        return json_reply({"resultStatus": status, "agreement_no": row["agreement_no"]})

    async def _customer_unsigns(self, request: web.Request) -> web.StreamResponse:
        number = (await json_body(request))["agreement_no"]
        row = self.books.get("agreements", number)
        if row is None or row["user_id"] != request.match_info["user_id"]:
            return json_reply({"error": "no such agreement"}, status=404)
        if row["status"] == "NORMAL":
            self._tell_unsigned(self.bank.unsign(number), self.app_gateway)
        return json_reply({"agreement_no": number})

    async def _customer_pays(self, request: web.Request) -> web.StreamResponse:
        user_id = request.match_info["user_id"]
        number = (await json_body(request))["trade_no"]
        fault = self.fault("customer_pay", user_id)
        try:
            if fault is not None and fault.kind is FaultKind.DECLINE:
                raise Declined(fault.argument)  # noqa: TRY301 - one way out for every no
            trade = self.bank.pay(user_id, number)
        except Declined as no:
            return json_reply({"resultCode": "4000", "code": no.code}, status=409)
        self._tell_trade(trade)
        return json_reply({"resultCode": "9000"})

    async def _customer_certifies(self, request: web.Request) -> web.StreamResponse:
        body = await json_body(request)
        key = self.books.get("_certify_ids", body["certify_id"])
        if key is None:
            return json_reply({"resultStatus": "4000"}, status=404)
        passed = "T" if body.get("passed", True) else "F"
        self.books.change("certifies", key["number"], passed=passed)
        return json_reply({"resultStatus": "9000"})

    async def _put_user(self, request: web.Request) -> web.StreamResponse:
        body = await json_body(request)
        return json_reply(self.bank.set_user(request.match_info["user_id"], body))

    async def _put_score(self, request: web.Request) -> web.StreamResponse:
        score = (await json_body(request))["score"]
        return json_reply(self.books.put("scores", request.match_info["cert_no"], {"score": score}))

    # Notifications

    def _tell_trade(self, trade: Doc, refund: Doc | None = None) -> None:
        if not trade["notify_url"]:
            return
        fields = {
            "notify_type": "trade_status_sync",
            "trade_no": trade["trade_no"],
            "out_trade_no": trade["out_trade_no"],
            "buyer_id": trade["user_id"],
            "seller_id": trade["merchant"],
            "trade_status": trade["status"],
            "total_amount": yuan(trade["amount_fen"]),
            "receipt_amount": yuan(trade["amount_fen"]),
            "subject": trade["subject"],
            "gmt_create": _rail_time(trade["created_at"]),
            "gmt_payment": _rail_time(trade["paid_at"]),
            "passback_params": trade["passback_params"],
        }
        if refund is not None:
            fields |= {
                "refund_fee": yuan(trade["refunded_fen"]),
                "gmt_refund": f"{_rail_time(refund['at'])}.000",
                "out_biz_no": refund["out_request_no"],
            }
        self._tell(fields, trade["app_id"], trade["notify_url"], trade["user_id"])

    def _tell_unsigned(self, row: Doc, url: str) -> None:
        times = {"unsign_time": row["unsign_time"]}
        self._tell_agreement("dut_user_unsign", row, times, url)

    def _tell_agreement(self, kind: str, row: Doc, times: Doc, url: str) -> None:
        fields = {
            "notify_type": kind,
            "status": row["status"],
            "agreement_no": row["agreement_no"],
            "external_agreement_no": row["external_agreement_no"],
            "personal_product_code": row["personal_product_code"],
            "sign_scene": row["sign_scene"],
            "alipay_user_id": row["user_id"],
            "alipay_logon_id": "138****0000",
            **times,
        }
        self._tell(fields, row["app_id"], url, row["user_id"])

    def _tell(self, fields: dict[str, str], app_id: str, url: str, account: str) -> None:
        if not url:
            return
        common = {
            "notify_id": new_id().hex,
            "app_id": app_id,
            "auth_app_id": app_id,
            "charset": "utf-8",
            "version": "1.0",
        }
        filled = {name: value for name, value in (fields | common).items() if value}
        self.notify("form", {"fields": filled}, url=url, account=account, accepted="=success")

    def _compose(self, payload: Doc, spoil: bool) -> tuple[dict[str, str], bytes]:
        fields: dict[str, str] = payload["fields"] | {"notify_time": rail_time(self.now())}
        if payload.get("wrong_amount") and "total_amount" in fields:
            fields["total_amount"] = yuan(int(fields["total_amount"].replace(".", "")) + 1)
        text = notification_texts(list(fields.items()))[0].encode()
        sign = (self._stranger if spoil else self._signer).sign(text)
        body = urlencode(fields | {"sign_type": "RSA2", "sign": sign})
        return {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, body.encode()


_ACCOUNT_FIELDS: Final = (
    "buyer_id",
    "buyer_open_id",
    "to_user_id",
    "to_open_id",
    "out_trade_no",
    "cert_no",
    "external_agreement_no",
    "bill_date",
)
_AGREEMENT_FIELDS: Final = (
    "agreement_no",
    "external_agreement_no",
    "personal_product_code",
    "sign_scene",
    "status",
    "sign_time",
)


def _answered(name: str, raw: bytes, sign: str) -> web.Response:
    tail = f',"sign":"{sign}"' if sign else ""
    body = b'{"' + name.encode() + b'":' + raw + tail.encode() + b"}"
    return web.Response(body=body, content_type="text/html", charset="utf-8")


def _error(code: str, sub_code: str) -> Doc:
    return {"code": code, "msg": "Invalid Arguments", "sub_code": sub_code, "sub_msg": sub_code}


def _declined(code: str, method: str) -> Doc:
    if code.isdigit():
        sub = {"sub_code": "isp.unknow-error"} if code == "20000" else {}
        return {"code": code, "msg": "Service Currently Unavailable", **sub}
    prefix = "ACQ." if method.startswith("alipay.trade.") else ""
    answer: dict[str, Any] = {"code": "40004", "msg": "Business Failed"}
    return answer | {"sub_code": f"{prefix}{code}", "sub_msg": code}


def _wrong(fault: Fault | None) -> bool:
    return fault is not None and fault.kind is FaultKind.WRONG_AMOUNT


def _rail_time(moment: str) -> str:
    return rail_time(datetime.fromisoformat(moment)) if moment else ""


if __name__ == "__main__":
    main(AlipaySandbox, "app-gateway")
