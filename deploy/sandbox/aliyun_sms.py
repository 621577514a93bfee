"""
Aliyun SMS (Dysmsapi 2017-05-25): SendSms, QuerySendDetails, receipts and replies pushed to us.

Provider's side: ``POST /`` with ``x-acs-action`` and the parameters in the query, signed by
ACS3-HMAC-SHA256 (time within 15 minutes of business time, no nonce twice).  Receipts
(``--sms-report-url``) follow ``--sms-receipt-after-s`` (8) seconds of business time later, replies
(``--sms-reply-url``) at once; both are JSON arrays, to be answered ``{"code":0,...}``, and come
again after 1, 5 and 10 minutes.

Our side: ``POST /_sandbox/phones/{phone}/reply`` ``{"content": "R"}``;
``PUT /_sandbox/signs/{sign}`` ``{"status": "approved"}`` and ``PUT /_sandbox/templates/{code}``
``{"content": "...${name}...", "kind": "notification", "status": "approved"}``.  What nobody
registered is taken as approved unless ``--sms-open-registry 0``.

Faults: account = phone number; ``on`` = ``send``, ``query``, ``receipt`` (``decline:MK:0001`` is
the carrier's code of a message that did not arrive), ``notify`` (the push of the receipt or reply).

Start: ``python -m deploy.sandbox.aliyun_sms --port P --sms-report-url URL --sms-reply-url URL``.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import orjson
from aiohttp import web

from deploy.sandbox import message_rules as rules
from deploy.sandbox import provider_settings as settings
from deploy.sandbox import provider_signatures as signatures
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from deploy.sandbox.provider_time import china_text, within
from shared.ids import new_id

VERSION: Final = "2017-05-25"
SKEW_S: Final = 900
MAX_NUMBERS: Final = 1000
MAX_OUT_ID: Final = 255
MAX_PAGE: Final = 50
_NONCES_KEPT: Final = 100_000
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_SIGNED: Final = {
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
}
LIMITS: Final = {
    "verification": (
        (timedelta(minutes=1), 1),
        (timedelta(hours=1), 5),
        (timedelta(hours=24), 10),
    ),
    "notification": ((timedelta(hours=24), 50),),
    "promotion": ((timedelta(hours=24), 50),),
}
"""Accepted messages of one signature (and template) to one number; source: Aliyun SMS limits."""


class Refused(Exception):
    """The provider says no; *status* is 200 for what concerns the message itself."""

    def __init__(self, code: str, *, status: int = 200) -> None:
        """Say no with *code*."""
        super().__init__(code)
        self.code = code
        self.status = status


class AliyunSms(Sandbox):
    """The SMS provider."""

    name = "aliyun_sms"
    resend_gaps_s = (60, 300, 600)

    def __init__(self, options: Options) -> None:
        """Take one customer: our access key, and our two addresses."""
        super().__init__(options)
        self.access_key = settings.credential(options, "aliyun_access_key_id")
        self.secret = settings.credential(options, "aliyun_access_key_secret")
        self.report_url = settings.text(options, "sms_report_url")
        self.reply_url = settings.text(options, "sms_reply_url")
        self.receipt_after_s = settings.number(options, "sms_receipt_after_s", 8)
        self.open_registry = settings.number(options, "sms_open_registry", 1) != 0
        self._nonces: set[str] = set()
        self._nonce_order: deque[str] = deque()
        self._recent: dict[tuple[str, str, str], deque[datetime]] = {}
        for message in self.books.all("messages"):
            self._remember(message)
        self.composers["array"] = _compose
        self.timeline.kinds["receipt"] = self._receipt
        self._actions: dict[str, Callable[[Doc, Fault | None], Doc]] = {
            "SendSms": self._send_sms,
            "QuerySendDetails": self._query_send_details,
        }
        self.app.router.add_route("*", "/", self._call)
        self.app.router.add_post("/_sandbox/phones/{phone}/reply", self._reply)
        self.app.router.add_put("/_sandbox/signs/{key}", self._put_sign)
        self.app.router.add_put("/_sandbox/templates/{key}", self._put_template)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        query = dict(request.query)
        on = "query" if request.headers.get("x-acs-action") == "QuerySendDetails" else "send"
        phones = query.get("PhoneNumbers", query.get("PhoneNumber", "")).split(",")
        fault = self.fault(on, *(rules.mobile(phone) or phone for phone in phones))

        async def act() -> web.StreamResponse:
            return self._answer(request, body, query, fault)

        return await self.disturb(request, fault, act)

    def _answer(
        self, request: web.Request, body: bytes, query: Doc, fault: Fault | None
    ) -> web.Response:
        request_id = str(new_id()).upper()
        try:
            self._authenticate(request, body, query)
            answer = self._action(request.headers)(query, fault)
        except Refused as refusal:
            refused = {"Code": refusal.code, "Message": refusal.code, "RequestId": request_id}
            return json_reply(refused, status=refusal.status)
        return json_reply({"Code": "OK", "Message": "OK", "RequestId": request_id} | answer)

    def _action(self, headers: Mapping[str, str]) -> Callable[[Doc, Fault | None], Doc]:
        action = self._actions.get(headers.get("x-acs-action", ""))
        if action is None or headers.get("x-acs-version") != VERSION:
            raise Refused("InvalidAction.NotFound", status=404)
        return action

    def _authenticate(self, request: web.Request, body: bytes, query: Doc) -> None:
        headers = request.headers
        parts = signatures.authorization_parts(headers.get("Authorization", ""), signatures.ACS3)
        names = parts.get("SignedHeaders", "").split(";")
        if not set(names) >= _SIGNED or names != sorted(names):
            raise Refused("IncompleteSignature", status=400)
        if parts.get("Credential") != self.access_key:
            raise Refused("InvalidAccessKeyId.NotFound", status=404)
        self._check_moment(headers.get("x-acs-date", ""))
        expected = signatures.acs3(
            self.secret,
            method=request.method,
            path=request.path,
            query=query,
            headers=headers,
            signed_headers=names,
            body=body,
        )
        digest_fits = headers.get("x-acs-content-sha256", "") == sha256(body).hexdigest()
        if not digest_fits or not signatures.same(expected, parts.get("Signature", "")):
            raise Refused("SignatureDoesNotMatch", status=400)
        self._use_nonce(headers.get("x-acs-signature-nonce", ""))

    def _check_moment(self, text: str) -> None:
        try:
            moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise Refused("InvalidTimeStamp.Format", status=400) from None
        if not within(moment, of=self.now(), seconds=SKEW_S):
            raise Refused("InvalidTimeStamp.Expired", status=400)

    def _use_nonce(self, nonce: str) -> None:
        if nonce in self._nonces:
            raise Refused("SignatureNonceUsed", status=400)
        self._nonces.add(nonce)
        self._nonce_order.append(nonce)
        if len(self._nonce_order) > _NONCES_KEPT:
            self._nonces.discard(self._nonce_order.popleft())

    def _send_sms(self, query: Doc, fault: Fault | None) -> Doc:
        if fault is not None and fault.kind is FaultKind.DECLINE:
            raise Refused(fault.argument)
        numbers = str(query.get("PhoneNumbers", "")).split(",")
        if len(numbers) > MAX_NUMBERS:
            raise Refused("isv.MOBILE_COUNT_OVER_LIMIT")
        phones = [phone for number in numbers if (phone := rules.mobile(number)) is not None]
        if len(phones) != len(numbers):
            raise Refused("isv.MOBILE_NUMBER_ILLEGAL")
        sign, code = str(query.get("SignName", "")), str(query.get("TemplateCode", ""))
        template = self._approved(sign, code)
        params = _params(str(query.get("TemplateParam", "")) or "{}", template)
        if len(str(query.get("OutId", ""))) > MAX_OUT_ID:
            raise Refused("isv.INVALID_PARAMETERS")
        kind = str(template.get("kind", "notification"))
        if any(self._over_limit((sign, code, phone), kind) for phone in phones):
            raise Refused("isv.BUSINESS_LIMIT_CONTROL")
        biz_id = f"{self.next_number('biz'):012d}^0"
        for phone in phones:
            self._accept(biz_id, phone, sign, code, params, str(query.get("OutId", "")))
        return {"BizId": biz_id}

    def _approved(self, sign: str, code: str) -> Doc:
        known_sign = self.books.get("signs", sign)
        if not sign or not self._stands(known_sign):
            raise Refused("isv.SMS_SIGNATURE_ILLEGAL")
        template = self.books.get("templates", code)
        if not code.startswith("SMS_") or not self._stands(template):
            raise Refused("isv.SMS_TEMPLATE_ILLEGAL")
        return template or {}

    def _stands(self, entry: Doc | None) -> bool:
        return self.open_registry if entry is None else entry["status"] == "approved"

    def _over_limit(self, key: tuple[str, str, str], kind: str) -> bool:
        earlier = self._recent.get(key, deque())
        while earlier and earlier[0] <= self.now() - timedelta(hours=24):
            earlier.popleft()
        limits = LIMITS.get(kind, LIMITS["notification"])
        return any(
            rules.too_many(earlier, now=self.now(), limit=limit, within=span)
            for span, limit in limits
        )

    def _accept(
        self, biz_id: str, phone: str, sign: str, code: str, params: Doc, out_id: str
    ) -> None:
        key = f"{biz_id}:{phone}"
        message = {
            "key": key,
            "biz_id": biz_id,
            "phone": phone,
            "sign": sign,
            "template": code,
            "params": params,
            "out_id": out_id,
            "at": self.now().isoformat(),
            "status": "waiting",
            "err_code": "",
            "reported_at": None,
        }
        self.books.put("messages", key, message)
        self._remember(message)
        due = self.now() + timedelta(seconds=self.receipt_after_s)
        self.later(due, "receipt", {"key": key})

    def _remember(self, message: Doc) -> None:
        key = (message["sign"], message["template"], message["phone"])
        moment = datetime.fromisoformat(message["at"])
        self._recent.setdefault(key, deque()).append(moment)

    def _query_send_details(self, query: Doc, fault: Fault | None) -> Doc:
        if fault is not None and fault.kind is FaultKind.DECLINE:
            raise Refused(fault.argument)
        phone = rules.mobile(str(query.get("PhoneNumber", "")))
        size, page = _whole(query, "PageSize"), _whole(query, "CurrentPage")
        day = str(query.get("SendDate", ""))
        if phone is None or not 1 <= size <= MAX_PAGE or page < 1 or len(day) != len("yyyyMMdd"):
            raise Refused("isv.INVALID_PARAMETERS")
        found = [
            message
            for message in self.books.all("messages")
            if message["phone"] == phone
            and _china(message["at"])[:10].replace("-", "") == day
            and query.get("BizId") in {None, message["biz_id"]}
        ]
        rows = [self._detail(message) for message in found[(page - 1) * size : page * size]]
        return {"TotalCount": len(found), "SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}}

    def _detail(self, message: Doc) -> Doc:
        return {
            "PhoneNum": message["phone"],
            "SendStatus": {"waiting": 1, "failed": 2, "delivered": 3}[message["status"]],
            "ErrCode": message["err_code"],
            "TemplateCode": message["template"],
            "Content": self._content(message),
            "SendDate": _china(message["at"]),
            "ReceiveDate": "" if message["reported_at"] is None else _china(message["reported_at"]),
            "OutId": message["out_id"],
        }

    def _content(self, message: Doc) -> str:
        template = self.books.get("templates", message["template"]) or {}
        params = message["params"]
        default = " ".join(params.values())
        body = _VARIABLE.sub(
            lambda match: str(params.get(match.group(1), "")), template.get("content", default)
        )
        return f"【{message['sign']}】{body}"

    async def _receipt(self, payload: Doc) -> None:
        message = self.books.get("messages", payload["key"])
        assert message is not None
        fault = self.fault("receipt", message["phone"])
        if fault is not None and fault.kind is FaultKind.DROP:
            return
        failed = fault is not None and fault.kind is FaultKind.DECLINE
        err_code = fault.argument if fault is not None and failed else "DELIVERED"
        message = self.books.change(
            "messages",
            payload["key"],
            status="failed" if failed else "delivered",
            err_code=err_code,
            reported_at=self.now().isoformat(),
        )
        report = {
            "phone_number": message["phone"],
            "send_time": _china(message["at"]),
            "report_time": china_text(self.now()),
            "success": not failed,
            "err_code": err_code,
            "err_msg": err_code,
            "sms_size": str(rules.parts_of(self._content(message))),
            "biz_id": message["biz_id"],
            "out_id": message["out_id"],
        }
        self._push(self.report_url, message["phone"], report)

    def _push(self, url: str, phone: str, item: Doc) -> None:
        if url:
            self.notify("array", {"items": [item]}, url=url, account=phone, accepted='"code":0')

    async def _reply(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        phone = request.match_info["phone"]
        number = self.next_number("replies")
        reply = {
            "phone_number": phone,
            "content": str(body["content"]),
            "send_time": china_text(self.now()),
            "dest_code": "",
            "sequence_id": str(number),
        }
        self.books.put("replies", str(number), reply)
        self._push(self.reply_url, phone, reply)
        return json_reply(reply)

    async def _put_sign(self, request: web.Request) -> web.Response:
        return await self._register("signs", request)

    async def _put_template(self, request: web.Request) -> web.Response:
        return await self._register("templates", request)

    async def _register(self, kind: str, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        entry = {"status": "approved"} | await json_body(request) | {"key": key}
        return json_reply(self.books.put(kind, key, entry))


def _params(text: str, template: Doc) -> Doc:
    try:
        params = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Refused("isv.INVALID_JSON_PARAM") from None
    if not isinstance(params, dict):
        raise Refused("isv.INVALID_JSON_PARAM")
    if not all(isinstance(value, str) for value in params.values()):
        raise Refused("isv.TEMPLATE_PARAMS_ILLEGAL")
    if not set(_VARIABLE.findall(template.get("content", ""))) <= set(params):
        raise Refused("isv.TEMPLATE_MISSING_PARAMETERS")
    if any("://" in value for value in params.values()):
        raise Refused("isv.PARAM_NOT_SUPPORT_URL")
    if rules.banned_word(params.values()) is not None:
        raise Refused("isv.BLACK_KEY_CONTROL_LIMIT")
    return params


def _whole(query: Doc, name: str) -> int:
    value = str(query.get(name, ""))
    return int(value) if value.isascii() and value.isdigit() else 0


def _china(moment: str) -> str:
    return china_text(datetime.fromisoformat(moment))


def _compose(payload: Doc, _spoil: bool) -> tuple[dict[str, str], bytes]:
    return {"Content-Type": "application/json;charset=utf-8"}, orjson.dumps(payload["items"])


if __name__ == "__main__":
    main(AliyunSms, "sms-report-url", "sms-reply-url", "sms-receipt-after-s", "sms-open-registry")
