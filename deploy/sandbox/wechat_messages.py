"""
WeChat's mini-program messages: the access token, one subscription message, its delivery result.

Provider's side: ``POST /cgi-bin/stable_token``, ``GET /cgi-bin/token``,
``POST /cgi-bin/message/subscribe/send?access_token=...``.  ``subscribe_msg_sent_event`` goes to
``--wechat-event-url`` in plain mode (JSON, ``signature``, ``timestamp`` and ``nonce`` in the
query), ``--wechat-receipt-after-s`` (3) seconds of business time later, to be answered
``success``.

Our side: ``PUT /_sandbox/users/{openid}/grants`` ``{"<template_id>": n}`` is the ledger of
one-time grants (without an entry a user has a long-term grant; ``null`` restores that);
``PUT /_sandbox/users/{openid}`` ``{"known": false}`` makes an openid unknown;
``PUT /_sandbox/templates/{template_id}`` ``{"fields": ["thing1", ...]}`` registers a template,
after which its messages must carry exactly these fields.

Faults: account = openid (the app id for ``token``); ``on`` = ``token``, ``send``
(``decline:43101``), ``receipt`` (``decline:STATUS`` is a delivery that failed), ``notify``.

Start: ``python -m deploy.sandbox.wechat_messages --port P --wechat-event-url URL``.
"""

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

import orjson
from aiohttp import web

from deploy.sandbox import message_rules as rules
from deploy.sandbox import provider_settings as settings
from deploy.sandbox import provider_signatures as signatures
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from shared.ids import new_id

TOKEN_LIVES: Final = timedelta(seconds=7200)
TOKENS_OVERLAP: Final = timedelta(minutes=5)
"""Before its end a token gets a successor, and both are valid (WeChat, stable token)."""
FORCED_GAP: Final = timedelta(seconds=30)
FORCED_PER_DAY: Final = 20
MESSAGES: Final = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40003: "invalid openid",
    40013: "invalid appid",
    40037: "invalid template_id",
    40125: "invalid appsecret",
    40002: "invalid grant_type",
    42001: "access_token expired",
    43101: "user refuse to accept the msg",
    45009: "reach max api daily quota limit",
    47001: "data format error",
    47003: "argument invalid!",
}
_STATES: Final = ("developer", "trial", "formal")
_LANGUAGES: Final = ("zh_CN", "en_US", "zh_HK", "zh_TW")


class Refused(Exception):
    """WeChat says no."""

    def __init__(self, errcode: int, detail: str = "") -> None:
        """Say no with *errcode*."""
        super().__init__(errcode)
        self.errcode = errcode
        self.errmsg = f"{MESSAGES.get(errcode, 'refused')} {detail}".strip()


class WeChatMessages(Sandbox):
    """The mini-program's message service."""

    name = "wechat_messages"
    resend_gaps_s = (5, 5, 5)

    def __init__(self, options: Options) -> None:
        """Take one mini-program and the address of its message push."""
        super().__init__(options)
        self.app_id = settings.credential(options, "wechat_appid")
        self.secret = settings.credential(options, "wechat_app_secret")
        self.push_token = settings.credential(options, "wechat_push_token")
        self.event_url = settings.text(options, "wechat_event_url")
        self.receipt_after_s = settings.number(options, "wechat_receipt_after_s", 3)
        self.composers["event"] = _compose
        self.timeline.kinds["receipt"] = self._receipt
        router = self.app.router
        router.add_post("/cgi-bin/stable_token", self._stable_token)
        router.add_get("/cgi-bin/token", self._plain_token)
        router.add_post("/cgi-bin/message/subscribe/send", self._subscribe_send)
        router.add_put("/_sandbox/users/{openid}", self._put_user)
        router.add_put("/_sandbox/users/{openid}/grants", self._put_grants)
        router.add_put("/_sandbox/templates/{template_id}", self._put_template)

    async def _stable_token(self, request: web.Request) -> web.StreamResponse:
        return await self._token(request, await _object(request))

    async def _plain_token(self, request: web.Request) -> web.StreamResponse:
        return await self._token(request, dict(request.query))

    async def _token(self, request: web.Request, fields: Doc) -> web.StreamResponse:
        fault = self.fault("token", str(fields.get("appid", "")))

        async def act() -> web.StreamResponse:
            try:
                return json_reply(self._issue(fields, fault))
            except Refused as refusal:
                return _refusal(refusal)

        return await self.disturb(request, fault, act)

    def _issue(self, fields: Doc, fault: Fault | None) -> Doc:
        _decline(fault)
        if fields.get("grant_type") != "client_credential":
            raise Refused(40002)
        if fields.get("appid") != self.app_id:
            raise Refused(40013)
        if not signatures.same(str(fields.get("secret", "")), self.secret):
            raise Refused(40125)
        forced = fields.get("force_refresh") is True
        if forced:
            self._count_forced()
        current = self._current_token()
        if current is None or forced:
            if forced and current is not None:
                self.books.change("_tokens", current["token"], expires_at=self.now().isoformat())
            current = self._new_token(forced=forced)
        left_s = datetime.fromisoformat(current["expires_at"]) - self.now()
        return {"access_token": current["token"], "expires_in": int(left_s.total_seconds())}

    def _count_forced(self) -> None:
        forced = [
            datetime.fromisoformat(token["issued_at"])
            for token in self.books.all("_tokens")
            if token["forced"]
        ]
        if any(self.now() - moment < FORCED_GAP for moment in forced) or rules.too_many(
            forced, now=self.now(), limit=FORCED_PER_DAY, within=timedelta(hours=24)
        ):
            raise Refused(45009)

    def _current_token(self) -> Doc | None:
        fresh = [
            token
            for token in self.books.all("_tokens")
            if datetime.fromisoformat(token["expires_at"]) > self.now() + TOKENS_OVERLAP
        ]
        return fresh[-1] if fresh else None

    def _new_token(self, *, forced: bool) -> Doc:
        long_ago = self.now() - timedelta(days=1)
        for key, token in self.books.items("_tokens"):
            if datetime.fromisoformat(token["expires_at"]) < long_ago:
                self.books.drop("_tokens", key)
        token_text = f"sandbox_{new_id().hex}"
        token = {
            "token": token_text,
            "issued_at": self.now().isoformat(),
            "expires_at": (self.now() + TOKEN_LIVES).isoformat(),
            "forced": forced,
        }
        return self.books.put("_tokens", token_text, token)

    async def _subscribe_send(self, request: web.Request) -> web.StreamResponse:
        body = await _object(request)
        fault = self.fault("send", str(body.get("touser", "")))

        async def act() -> web.StreamResponse:
            try:
                self._check_token(request.query.get("access_token", ""))
                return json_reply(self._accept(body, fault))
            except Refused as refusal:
                return _refusal(refusal)

        return await self.disturb(request, fault, act)

    def _check_token(self, text: str) -> None:
        token = self.books.get("_tokens", text)
        if token is None:
            raise Refused(40001)
        if datetime.fromisoformat(token["expires_at"]) <= self.now():
            raise Refused(42001)

    def _accept(self, body: Doc, fault: Fault | None) -> Doc:
        _decline(fault)
        openid, template_id = str(body.get("touser", "")), str(body.get("template_id", ""))
        user = self.books.get("users", openid) or {}
        if not openid or not user.get("known", True):
            raise Refused(40003)
        if not template_id:
            raise Refused(40037)
        self._check_form(body, template_id)
        self._use_grant(openid, template_id)
        msgid = self.next_number("messages")
        message = {
            "msgid": msgid,
            "openid": openid,
            "template_id": template_id,
            "page": str(body.get("page", "")),
            "data": {key: value["value"] for key, value in body["data"].items()},
            "at": self.now().isoformat(),
            "status": "accepted",
        }
        self.books.put("messages", str(msgid), message)
        due = self.now() + timedelta(seconds=self.receipt_after_s)
        self.later(due, "receipt", {"msgid": msgid})
        return {"errcode": 0, "errmsg": "ok", "msgid": msgid}

    def _check_form(self, body: Doc, template_id: str) -> None:
        state, language = body.get("miniprogram_state"), body.get("lang")
        if state not in _STATES or language not in _LANGUAGES:
            raise Refused(47001, "miniprogram_state or lang")
        data = body.get("data")
        if not isinstance(data, dict) or not data:
            raise Refused(47001, "data")
        wrong = rules.wrong_fields(data)
        template = self.books.get("templates", template_id)
        if template is not None:
            wrong += sorted(set(template["fields"]) ^ set(data))
        if wrong:
            raise Refused(47003, f"data.{wrong[0]}.value invalid")

    def _use_grant(self, openid: str, template_id: str) -> None:
        grants = self.books.get("grants", openid) or {}
        left = grants.get(template_id)
        if left is None:
            return
        if left < 1:
            raise Refused(43101)
        self.books.put("grants", openid, grants | {template_id: left - 1})

    async def _receipt(self, payload: Doc) -> None:
        key = str(payload["msgid"])
        message = self.books.get("messages", key)
        assert message is not None
        fault = self.fault("receipt", message["openid"])
        if fault is not None and fault.kind is FaultKind.DROP:
            return
        declined = fault is not None and fault.kind is FaultKind.DECLINE
        status = fault.argument if fault is not None and declined else "success"
        self.books.change("messages", key, status="failed" if declined else "delivered")
        if self.event_url:
            event = self._event(message, status=status, error_code="1" if declined else "0")
            self.notify(
                "event", event, url=self.event_url, account=message["openid"], accepted="=success"
            )

    def _event(self, message: Doc, *, status: str, error_code: str) -> Doc:
        return {
            "ToUserName": self.app_id,
            "FromUserName": message["openid"],
            "CreateTime": str(int(self.now().timestamp())),
            "MsgType": "event",
            "Event": "subscribe_msg_sent_event",
            "List": {
                "TemplateId": message["template_id"],
                "MsgID": str(message["msgid"]),
                "ErrorCode": error_code,
                "ErrorStatus": status,
            },
        }

    async def _send(self, send: Doc) -> None:
        # The signature stands in the query, so each send has an address of its own.
        base = str(send.get("base_url", send["url"]))
        timestamp, nonce = str(int(self.now().timestamp())), new_id().hex
        token = "stranger" if send["spoil"] else self.push_token
        query = {
            "signature": signatures.wechat_push(token, timestamp=timestamp, nonce=nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": send["account"],
        }
        url = f"{base}{'&' if '?' in base else '?'}{urlencode(query)}"
        await super()._send(send | {"base_url": base, "url": url})

    async def _put_user(self, request: web.Request) -> web.Response:
        openid = request.match_info["openid"]
        body = await json_body(request)
        user = {"openid": openid, "known": bool(body["known"])}
        return json_reply(self.books.put("users", openid, user))

    async def _put_grants(self, request: web.Request) -> web.Response:
        openid = request.match_info["openid"]
        grants = (self.books.get("grants", openid) or {}) | await json_body(request)
        return json_reply(self.books.put("grants", openid, grants))

    async def _put_template(self, request: web.Request) -> web.Response:
        template_id = request.match_info["template_id"]
        body = await json_body(request)
        template = {"template_id": template_id, "fields": list(body["fields"])}
        return json_reply(self.books.put("templates", template_id, template))


async def _object(request: web.Request) -> Doc:
    body = await json_body(request)
    return body if isinstance(body, dict) else {}


def _decline(fault: Fault | None) -> None:
    if fault is not None and fault.kind is FaultKind.DECLINE:
        raise Refused(int(fault.argument))


def _refusal(refusal: Refused) -> web.Response:
    return json_reply({"errcode": refusal.errcode, "errmsg": refusal.errmsg})


def _compose(payload: Doc, _spoil: bool) -> tuple[dict[str, str], bytes]:
    return {"Content-Type": "application/json"}, orjson.dumps(payload)


if __name__ == "__main__":
    main(WeChatMessages, "wechat-event-url", "wechat-receipt-after-s")
