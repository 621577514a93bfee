"""
WeChat Pay, simulated: ``python -m deploy.sandbox.wechatpay --port P --keys DIR``.

v2 deductions and v3 pre-notices, refunds and orders under their real paths.  Options of its own:
``--contract-url`` (where ended contracts are told, else the signing's ``notify_url``),
``--pap-delay-s`` (business seconds from accepting to executing a deduction, 3) and
``--refund-delay-s`` (from accepting to paying a refund, 300).

What customers do: ``POST /_sandbox/users/{openid}/sign`` ``{"extra_data": {...}}``,
``.../unsign`` ``{"contract_id"}``, ``.../pay`` ``{"prepay_id"}``; ``PUT /_sandbox/users/{openid}``
``{"balance_fen"}``; ``PUT /_sandbox/plans/{plan_id}`` ``{"mode": "prenotice" | "24h"}``.

Calls that fault scripts name: sign, apply (the request alone), pay (the request; declines become
an asynchronous PAY_FAIL), query, query_contract, delete_contract, prenotice, fail_notice, refund,
refund_result (decline:ABNORMAL or decline:CLOSED), query_refund, create, query_order, close,
customer_pay, notify, and those of ``wechatpay_bill``.  Accounts: openid, or the beginning of an
order or contract number.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import orjson
from aiohttp import web

from deploy.sandbox import keys
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from deploy.sandbox.wechatpay_bank import Declined, WechatBank
from deploy.sandbox.wechatpay_bill import BillDesk
from deploy.sandbox.wechatpay_shapes import (
    expiry,
    local_time,
    order_v2,
    order_v3,
    refund_v3,
    rfc3339,
    xml,
)
from shared.clock import SystemClock
from shared.ids import new_id
from shared.rails.outcome import BadSignature
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.wechatpay_v2 import (
    OddXml,
    V2Hash,
    build_xml,
    nonce,
    parse_xml,
    v2_sign,
    v2_verify,
)
from shared.rails.wechatpay_v3 import MAX_AGE, answer_text, encrypt, request_text

_FIELD: Final = re.compile(r'(\w+)="([^"]*)"')
_V2_CALLS: Final = {
    "/pay/pappayapply": "pay",
    "/pay/paporderquery": "query",
    "/papay/querycontract": "query_contract",
    "/papay/deletecontract": "delete_contract",
}
_V3_CALLS: Final = (
    ("POST", "/v3/papay/contracts/{contract_id}/notify", "prenotice"),
    ("POST", "/v3/papay/contracts/{contract_id}/fail-notify", "fail_notice"),
    ("POST", "/v3/refund/domestic/refunds", "refund"),
    ("GET", "/v3/refund/domestic/refunds/{out_refund_no}", "query_refund"),
    ("POST", "/v3/pay/transactions/jsapi", "create"),
    ("GET", "/v3/pay/transactions/out-trade-no/{out_trade_no}", "query_order"),
    ("POST", "/v3/pay/transactions/out-trade-no/{out_trade_no}/close", "close"),
    ("GET", "/v3/bill/tradebill", "bill"),
)
_FORBIDDEN: Final = frozenset({"NOT_ENOUGH", "NO_AUTH", "RULE_LIMIT"})


class WechatPaySandbox(Sandbox):
    """Both protocols in front of the bank."""

    name = "wechatpay"
    # Source: WeChat Pay docs, notifications: 0/15/15/30/180/1800x4/3600 seconds.
    resend_gaps_s = (15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600)

    def __init__(self, options: Options) -> None:
        """Read keys and secrets."""
        super().__init__(options)
        assert options.keys is not None
        self.bank = WechatBank(self.books, self.now, self.next_number)
        self._wire_clock = SystemClock()
        self._bills = BillDesk(self, self._check_authorization)
        self._signer = RsaSigner(keys.private_pem(options.keys, "wechat-platform"))
        self._stranger = RsaSigner(keys.private_pem(options.keys, "nobody"))
        self._merchants = RsaVerifier(keys.public_pem(options.keys, "wechat-merchant"))
        self._serial = keys.secret(options.keys, "wechat_platform_serial")
        self._apiv2_key = keys.secret(options.keys, "wechat_apiv2_key")
        self._apiv3_key = keys.secret(options.keys, "wechat_apiv3_key")
        self._contract_url = options.extra.get("contract_url", "")
        self._pap_delay = timedelta(seconds=float(options.extra.get("pap_delay_s", "3")))
        self._refund_delay = timedelta(seconds=float(options.extra.get("refund_delay_s", "300")))
        self.composers |= {"v2": self._compose_v2, "v3": self._compose_v3}
        self.timeline.kinds |= {"execute": self._execute, "finish_refund": self._finish_refund}
        self._route()

    def _route(self) -> None:
        router = self.app.router
        for path in _V2_CALLS:
            router.add_post(path, self._v2)
        for method, path, name in _V3_CALLS:
            router.add_route(method, path, self._v3_handler(name))
        router.add_post("/_sandbox/users/{openid}/sign", self._customer_signs)
        router.add_post("/_sandbox/users/{openid}/unsign", self._customer_unsigns)
        router.add_post("/_sandbox/users/{openid}/pay", self._customer_pays)
        router.add_put("/_sandbox/users/{openid}", self._put_user)
        router.add_put("/_sandbox/plans/{plan_id}", self._put_plan)

    def summary(self) -> Doc:
        """Return the bank's totals."""
        return self.bank.summary()

    # Protocol v2

    async def _v2(self, request: web.Request) -> web.StreamResponse:
        try:
            fields = parse_xml(await request.read())
        except OddXml:
            return xml({"return_code": "FAIL", "return_msg": "XML格式错误"})
        if not v2_verify(fields, self._apiv2_key):
            return xml({"return_code": "FAIL", "return_msg": "签名错误"})
        call = _V2_CALLS[request.path]
        accounts = self._accounts(fields)
        fault = self.fault("apply", *accounts) if call == "pay" else None
        sync = fault is not None
        fault = fault or self.fault(call, *accounts)

        async def act() -> web.StreamResponse:
            return self._answer_v2(call, fields, fault, sync=sync)

        return await self.disturb(request, fault, act)

    def _answer_v2(
        self, call: str, fields: dict[str, str], fault: Fault | None, *, sync: bool
    ) -> web.Response:
        base = {"return_code": "SUCCESS", "return_msg": "OK", "nonce_str": nonce()}
        base |= {name: fields.get(name, "") for name in ("appid", "mch_id")}
        declined = fault is not None and fault.kind is FaultKind.DECLINE
        try:
            if declined and fault is not None and (sync or call != "pay"):
                raise Declined(fault.argument)  # noqa: TRY301 - one way out for every no
            found = getattr(self, f"_do_{call}")(fields, fault)
            answer = base | {"result_code": "SUCCESS"} | found
        except Declined as no:
            answer = base | {"result_code": "FAIL", "err_code": no.code, "err_code_des": no.text}
        except (KeyError, ValueError):
            answer = base | {"result_code": "FAIL", "err_code": "PARAM_ERROR"}
        spoilt = fault is not None and fault.kind is FaultKind.BAD_SIGNATURE
        hashed = V2Hash(fields.get("sign_type", V2Hash.MD5))
        filled = {name: str(value) for name, value in answer.items() if value not in {"", None}}
        key = "nobody" if spoilt else self._apiv2_key
        return xml(filled | {"sign": v2_sign(filled, key, how=hashed)})

    def _do_pay(self, fields: dict[str, str], fault: Fault | None) -> Doc:
        declined = fault is not None and fault.kind is FaultKind.DECLINE
        decline = fault.argument if declined and fault is not None else ""
        order, due = self.bank.apply(fields, decline=decline)
        if due is not None:
            key = f"{order['merchant']}/{order['out_trade_no']}"
            self.later(due + self._pap_delay, "execute", {"key": key})
        return {}

    def _do_query(self, fields: dict[str, str], fault: Fault | None) -> Doc:
        order = self.bank.order(fields["mch_id"], fields["out_trade_no"])
        if order is None or order["trade_type"] != "PAP":
            raise Declined("ORDERNOTEXIST")
        wrong = fault is not None and fault.kind is FaultKind.WRONG_AMOUNT
        return order_v2(order, wrong=wrong)

    def _do_query_contract(self, fields: dict[str, str], _fault: Fault | None) -> Doc:
        row = self.bank.contract(fields["mch_id"], fields)
        return {
            "contract_id": row["contract_id"],
            "contract_code": row["contract_code"],
            "plan_id": row["plan_id"],
            "request_serial": row["request_serial"],
            "contract_display_account": row["display_account"],
            "openid": row["account"],
            "contract_state": row["state"],
            "contract_signed_time": local_time(row["signed_at"]),
            "contract_expired_time": expiry(row),
            "contract_terminated_time": local_time(row["terminated_at"]),
            "contract_termination_mode": row["termination_mode"],
        }

    def _do_delete_contract(self, fields: dict[str, str], _fault: Fault | None) -> Doc:
        row = self.bank.contract(fields["mch_id"], fields)
        if row["state"] == "0":
            row = self.bank.end(row, "3")
            self._tell_contract("DELETE", row)
        return {"contract_id": row["contract_id"]}

    async def _execute(self, payload: Doc) -> None:
        order = self.bank.execute(payload["key"])
        if order is not None and order["notify_url"]:
            fields = {"return_code": "SUCCESS", "result_code": "SUCCESS", "appid": order["appid"]}
            fields |= {"mch_id": order["merchant"]} | order_v2(order, wrong=False)
            self.notify(
                "v2",
                {"fields": fields},
                url=order["notify_url"],
                account=order["account"],
                accepted="SUCCESS",
            )

    # Protocol v3

    def _v3_handler(self, call: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            try:
                mchid = self._check_authorization(request, body)
            except BadSignature as error:
                return json_reply({"code": "SIGN_ERROR", "message": error.detail}, status=401)
            try:
                content = {"mchid": mchid, **(orjson.loads(body) if body else {})}
            except (ValueError, TypeError):
                content = {"mchid": mchid}
            content = dict(request.query) | content | dict(request.match_info)
            content["_base"] = str(request.url.origin())
            fault = self.fault(call, *self._accounts(content))

            async def act() -> web.StreamResponse:
                return self._answer_v3(call, content, fault)

            return await self.disturb(request, fault, act)

        return handle

    def _check_authorization(self, request: web.Request, body: bytes) -> str:
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        given = dict(_FIELD.findall(rest))
        stamp = given.get("timestamp", "")
        if scheme != "WECHATPAY2-SHA256-RSA2048" or not stamp.isdigit():
            raise BadSignature("Http头Authorization格式错误")
        if abs(self._wire_clock.now().timestamp() - int(stamp)) > MAX_AGE.total_seconds():
            raise BadSignature("签名已过期")
        text = request_text(
            request.method, request.raw_path, int(stamp), given.get("nonce_str", ""), body
        )
        if not self._merchants.verify(text, given.get("signature", "")):
            raise BadSignature("签名错误")
        return str(given.get("mchid", ""))

    def _answer_v3(self, call: str, content: Doc, fault: Fault | None) -> web.Response:
        status, found = 200, None
        try:
            if fault is not None and fault.kind is FaultKind.DECLINE:
                forbidden = fault.argument in _FORBIDDEN
                raise Declined(fault.argument, status=403 if forbidden else 400)  # noqa: TRY301
            found = getattr(self, f"_do_{call}")(content, fault)
            status = 204 if found is None else 200
        except Declined as no:
            status, found = no.status, {"code": no.code, "message": no.text}
        except (KeyError, ValueError, TypeError):
            status, found = 400, {"code": "PARAM_ERROR", "message": "参数错误"}
        body = b"" if found is None else orjson.dumps(found)
        spoilt = fault is not None and fault.kind is FaultKind.BAD_SIGNATURE
        headers = self._v3_headers(body, spoil=spoilt)
        return web.Response(status=status, body=body or None, headers=headers)

    def _do_prenotice(self, content: Doc, _fault: Fault | None) -> None:
        contract = self.bank.contract(content["mchid"], {"contract_id": content["contract_id"]})
        days = int(content.get("deduct_duration", {}).get("count", 7))
        self.bank.notice(contract, int(content["estimated_amount"]["amount"]), days)

    def _do_fail_notice(self, content: Doc, _fault: Fault | None) -> None:
        contract = self.bank.contract(content["mchid"], {"contract_id": content["contract_id"]})
        entry = {"contract_id": contract["contract_id"], "at": self.now().isoformat()}
        self.books.put("fail_notices", str(self.next_number("fail_notice")), entry)

    def _do_refund(self, content: Doc, _fault: Fault | None) -> Doc:
        refund, fresh = self.bank.refund(content["mchid"], content)
        if fresh:
            key = f"{refund['merchant']}/{refund['out_refund_no']}"
            self.later(self.now() + self._refund_delay, "finish_refund", {"key": key})
        return refund_v3(refund)

    def _do_query_refund(self, content: Doc, _fault: Fault | None) -> Doc:
        refund = self.books.get("refunds", f"{content['mchid']}/{content['out_refund_no']}")
        if refund is None:
            raise Declined("RESOURCE_NOT_EXISTS", status=404)
        return refund_v3(refund)

    def _do_create(self, content: Doc, _fault: Fault | None) -> Doc:
        return {"prepay_id": self.bank.create(content)["prepay_id"]}

    def _do_query_order(self, content: Doc, fault: Fault | None) -> Doc:
        order = self.bank.known_order(content["mchid"], content["out_trade_no"])
        wrong = fault is not None and fault.kind is FaultKind.WRONG_AMOUNT
        return order_v3(order, wrong=wrong)

    def _do_close(self, content: Doc, _fault: Fault | None) -> None:
        self.bank.close(content["mchid"], content["out_trade_no"])

    def _do_bill(self, content: Doc, _fault: Fault | None) -> Doc:
        found = self._bills.ask(content)
        if found is None:
            raise Declined("NO_STATEMENT_EXIST")
        return found

    async def _finish_refund(self, payload: Doc) -> None:
        known = self.books.get("refunds", payload["key"])
        assert known is not None
        fault = self.fault("refund_result", known["account"], known["out_refund_no"])
        declined = fault is not None and fault.kind is FaultKind.DECLINE
        status = fault.argument if declined and fault is not None else "SUCCESS"
        refund = self.bank.finish_refund(payload["key"], status)
        resource = refund_v3(refund)
        resource |= {"mchid": refund["merchant"], "refund_status": resource.pop("status")}
        self._tell_v3(f"REFUND.{status}", "refund", resource, refund)

    # Customers

    async def _customer_signs(self, request: web.Request) -> web.StreamResponse:
        openid = request.match_info["openid"]
        fields = {k: str(v) for k, v in (await json_body(request))["extra_data"].items()}
        fault = self.fault("sign", openid)
        try:
            if fault is not None and fault.kind is FaultKind.DECLINE:
                raise Declined(fault.argument)  # noqa: TRY301 - one way out for every no
            if v2_sign(fields, self._apiv2_key) != fields.get("sign"):
                raise Declined("SIGNERROR")  # noqa: TRY301 - one way out for every no
            row = self.bank.sign(openid, fields)
        except Declined as no:
            return json_reply({"return_code": "FAIL", "return_msg": no.code})
        except KeyError as error:
            return json_reply({"return_code": "FAIL", "return_msg": f"缺少参数{error}"})
        self._tell_contract("ADD", row)
        answer = {"return_code": "SUCCESS", "return_msg": "OK", "contract_id": row["contract_id"]}
        return json_reply(answer)

    async def _customer_unsigns(self, request: web.Request) -> web.StreamResponse:
        row = self.books.get("contracts", (await json_body(request))["contract_id"])
        if row is None or row["account"] != request.match_info["openid"]:
            return json_reply({"error": "no such contract"}, status=404)
        if row["state"] == "0":
            self._tell_contract("DELETE", self.bank.end(row, "2"))
        return json_reply({"contract_id": row["contract_id"]})

    async def _customer_pays(self, request: web.Request) -> web.StreamResponse:
        openid = request.match_info["openid"]
        prepay_id = (await json_body(request))["prepay_id"]
        fault = self.fault("customer_pay", openid)
        try:
            if fault is not None and fault.kind is FaultKind.DECLINE:
                raise Declined(fault.argument)  # noqa: TRY301 - one way out for every no
            order = self.bank.pay(openid, prepay_id)
        except Declined as no:
            return json_reply({"errMsg": "requestPayment:fail", "code": no.code}, status=409)
        self._tell_v3("TRANSACTION.SUCCESS", "transaction", order_v3(order, wrong=False), order)
        return json_reply({"errMsg": "requestPayment:ok"})

    async def _put_user(self, request: web.Request) -> web.StreamResponse:
        body = await json_body(request)
        return json_reply(self.bank.set_user(request.match_info["openid"], body))

    async def _put_plan(self, request: web.Request) -> web.StreamResponse:
        mode = (await json_body(request))["mode"]
        if mode not in {"prenotice", "24h"}:
            return json_reply({"error": "mode"}, status=400)
        return json_reply(self.books.put("plans", request.match_info["plan_id"], {"mode": mode}))

    # Notifications

    def _tell_contract(self, change: str, row: Doc) -> None:
        fields = {
            "return_code": "SUCCESS",
            "result_code": "SUCCESS",
            "mch_id": row["mch_id"],
            "contract_code": row["contract_code"],
            "plan_id": row["plan_id"],
            "openid": row["account"],
            "change_type": change,
            "contract_id": row["contract_id"],
            "request_serial": row["request_serial"],
        }
        url = row["notify_url"]
        if change == "ADD":
            fields["operate_time"] = local_time(row["signed_at"])
            fields["contract_expired_time"] = expiry(row)
        else:
            fields["operate_time"] = local_time(row["terminated_at"])
            fields["contract_termination_mode"] = row["termination_mode"]
            url = self._contract_url or url
        self.notify("v2", {"fields": fields}, url=url, account=row["account"], accepted="SUCCESS")

    def _tell_v3(self, event_type: str, original: str, resource: Doc, row: Doc) -> None:
        if not row["notify_url"]:
            return
        payload = {
            "id": str(new_id()),
            "create_time": rfc3339(self.now().isoformat()),
            "event_type": event_type,
            "original_type": original,
            "resource": resource,
        }
        self.notify("v3", payload, url=row["notify_url"], account=row["account"])

    def _compose_v2(self, payload: Doc, spoil: bool) -> tuple[dict[str, str], bytes]:
        fields = {name: str(text) for name, text in payload["fields"].items() if text != ""}
        if payload.get("wrong_amount") and "total_fee" in fields:
            fields["total_fee"] = str(int(fields["total_fee"]) + 1)
        sign = v2_sign(fields, "nobody" if spoil else self._apiv2_key)
        return {"Content-Type": "text/xml; charset=utf-8"}, build_xml(fields | {"sign": sign})

    def _compose_v3(self, payload: Doc, spoil: bool) -> tuple[dict[str, str], bytes]:
        resource, once = payload["resource"], nonce()[:12]
        if payload.get("wrong_amount"):
            amount = resource["amount"]
            name = "refund" if "refund" in amount else "total"
            resource = resource | {"amount": amount | {name: amount[name] + 1}}
        original = payload["original_type"]
        sealed = encrypt(
            self._apiv3_key, nonce=once, plain=orjson.dumps(resource), associated_data=original
        )
        body = orjson.dumps(
            {
                "id": payload["id"],
                "create_time": payload["create_time"],
                "event_type": payload["event_type"],
                "resource_type": "encrypt-resource",
                "summary": payload["event_type"],
                "resource": {
                    "algorithm": "AEAD_AES_256_GCM",
                    "ciphertext": sealed,
                    "nonce": once,
                    "associated_data": original,
                    "original_type": original,
                },
            }
        )
        headers = {"Content-Type": "application/json", **self._v3_headers(body, spoil=spoil)}
        return headers, body

    def _v3_headers(self, body: bytes, *, spoil: bool) -> dict[str, str]:
        stamp, once = str(int(self._wire_clock.now().timestamp())), nonce()
        signer = self._stranger if spoil else self._signer
        return {
            "Wechatpay-Timestamp": stamp,
            "Wechatpay-Nonce": once,
            "Wechatpay-Signature": signer.sign(answer_text(stamp, once, body)),
            "Wechatpay-Serial": self._serial,
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        }

    def _accounts(self, fields: Doc) -> list[str]:
        contract = self.books.get("contracts", fields.get("contract_id", "")) or {}
        merchant = fields.get("mch_id") or fields.get("mchid", "")
        order = self.bank.order(merchant, fields.get("out_trade_no", ""))
        refund = self.books.get("refunds", f"{merchant}/{fields.get('out_refund_no', '')}")
        payer = fields.get("payer")
        named = (
            contract.get("account", ""),
            (order or refund or {}).get("account", ""),
            payer.get("openid", "") if isinstance(payer, dict) else "",
            *(str(fields.get(name, "")) for name in _NUMBERS),
        )
        return [account for account in named if account]


_NUMBERS: Final = ("out_trade_no", "out_refund_no", "contract_id", "contract_code", "bill_date")


if __name__ == "__main__":
    main(WechatPaySandbox, "contract-url", "pap-delay-s", "refund-delay-s")
