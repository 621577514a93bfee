"""WeChat Pay: v2 calls for deductions, v3 calls for the rest, and what it tells us."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from shared.clock import Clock, SystemClock
from shared.rails.outcome import BadSignature, Ok, Outcome, Refused, Unknown, UnknownReason
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.transport import DOWNLOAD_S, Answer, Timeouts, download, send
from shared.rails.wechatpay_v2 import (
    OddXml,
    V2Hash,
    build_xml,
    nonce,
    parse_xml,
    v2_signed,
    v2_verify,
)
from shared.rails.wechatpay_v3 import (
    V3Event,
    authorization,
    open_event,
    pay_sign_text,
    request_text,
    verify_answer,
)

_UNSURE_V2: Final = frozenset({"SYSTEMERROR", "SYSTEM_ERROR", "BIZERR_NEED_RETRY"})
_UNSIGNED_REFUSALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses sent before the request is looked at, and therefore unsigned: nothing happened."""


@dataclass(frozen=True)
class WechatPayConfig:
    """Where WeChat Pay is and who we are there; the two keys are secrets of one merchant."""

    base_url: str
    mchid: str
    appid: str
    merchant_serial: str
    apiv2_key: str = field(repr=False)
    apiv3_key: str = field(repr=False)
    v2_hash: V2Hash = V2Hash.HMAC_SHA256
    timeouts: Timeouts = field(default_factory=Timeouts)


class WechatPayClient:
    """
    Calls WeChat Pay for one merchant number; shared by all callers of one event loop.

    ``wechatpay_calls`` has one function per interface that this platform uses.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        config: WechatPayConfig,
        signer: RsaSigner,
        verifiers: Mapping[str, RsaVerifier],
        *,
        wire_clock: Clock | None = None,
    ) -> None:
        """
        Use *signer* (the merchant's API key) and *verifiers* (WeChat Pay's, by serial or id).

        *wire_clock* dates requests and checks the age of answers; it is the machine's clock also
        where business time is moved by hand.
        """
        self.config = config
        self._session = session
        self._signer = signer
        self._verifiers = verifiers
        self._wire_clock = wire_clock or SystemClock()

    async def call_v2(
        self, path: str, fields: Mapping[str, str], *, how: V2Hash | None = None
    ) -> Outcome:
        """
        Post signed XML to *path*; ``mch_id`` and ``appid`` are filled in.

        ``Ok`` only if both codes say SUCCESS under a valid signature.  For a deduction that means
        accepted, not paid.
        """
        config = self.config
        whole = {"appid": config.appid, "mch_id": config.mchid, **fields}
        signed = v2_signed(whole, config.apiv2_key, how=how or config.v2_hash)
        answer = await send(
            self._session,
            "POST",
            config.base_url + path,
            body=build_xml(signed),
            headers={"Content-Type": "text/xml; charset=utf-8"},
            timeouts=config.timeouts,
        )
        return answer if isinstance(answer, Unknown) else self._read_v2(answer)

    async def call_v3(
        self, method: str, target: str, content: Mapping[str, Any] | None = None
    ) -> Outcome:
        """
        Call *target* (path and query) with *content* as JSON, or with an empty body.

        ``Ok`` only for 2xx under a valid signature; 5xx is unknown; 429 is refused.
        """
        body = b"" if content is None else orjson.dumps(content)
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "yuefu",
            "Authorization": await self._authorization(method, target, body),
        }
        answer = await send(
            self._session,
            method,
            self.config.base_url + target,
            body=body,
            headers=headers,
            timeouts=self.config.timeouts,
        )
        return answer if isinstance(answer, Unknown) else self._read_v3(answer)

    async def download(self, url: str, into: Path, *, limit_bytes: int) -> Unknown | None:
        """
        Fetch a bill from the *url* WeChat Pay gave, under our signature of its path and query.

        The answer carries no signature: compare its hash with the one that was signed.
        """
        split = urlsplit(url)
        target = f"{split.path}?{split.query}" if split.query else split.path
        headers = {
            "Accept": "*/*",
            "User-Agent": "yuefu",
            "Authorization": await self._authorization("GET", target, b""),
        }
        return await download(
            self._session, url, into, headers=headers, limit_bytes=limit_bytes, total_s=DOWNLOAD_S
        )

    def open_v2_notification(self, body: bytes) -> Mapping[str, str]:
        """
        Return the fields of a v2 notification.

        It has no id: tell repeats by content, (out_trade_no, trade_state) or (contract_id,
        change_type, operate_time).

        Raises:
            BadSignature: Not signed with the APIv2 key, or not the protocol's XML.
        """
        try:
            fields = parse_xml(body)
        except OddXml as error:
            raise BadSignature("The notification cannot be read.") from error
        if not v2_verify(fields, self.config.apiv2_key):
            raise BadSignature("The notification's signature does not hold.")
        return fields

    def open_v3_notification(self, headers: Mapping[str, str], body: bytes) -> V3Event:
        """
        Return the event in a v3 callback.

        Raises:
            BadSignature: Signature, age or encryption do not hold.  WeChat Pay sends such
                callbacks on purpose; they must be answered with 401.
        """
        verify_answer(headers, body, self._verifiers, now=self._wire_clock.now())
        return open_event(body, self.config.apiv3_key)

    async def payment_request(self, prepay_id: str) -> dict[str, str]:
        """Return the parameters of ``wx.requestPayment`` for an order; valid for two hours."""
        stamp, once = str(int(self._wire_clock.now().timestamp())), nonce()
        package = f"prepay_id={prepay_id}"
        text = pay_sign_text(self.config.appid, stamp, once, package)
        return {
            "appId": self.config.appid,
            "timeStamp": stamp,
            "nonceStr": once,
            "package": package,
            "signType": "RSA",
            "paySign": await self._signer.sign_soon(text),
        }

    def sign_v2(self, fields: Mapping[str, str], *, how: V2Hash = V2Hash.MD5) -> dict[str, str]:
        """Return *fields* signed with the APIv2 key, for what the front end sends itself."""
        return v2_signed(fields, self.config.apiv2_key, how=how)

    def wire_seconds(self) -> int:
        """Return the seconds since 1970 that requests are dated with."""
        return int(self._wire_clock.now().timestamp())

    async def _authorization(self, method: str, target: str, body: bytes) -> str:
        stamp, once = int(self._wire_clock.now().timestamp()), nonce()
        text = request_text(method, target, stamp, once, body)
        return authorization(
            mchid=self.config.mchid,
            serial_no=self.config.merchant_serial,
            nonce=once,
            timestamp=stamp,
            signature=await self._signer.sign_soon(text),
        )

    def _read_v2(self, answer: Answer) -> Outcome:
        if answer.status != HTTPStatus.OK:
            return Unknown(UnknownReason.HTTP_STATUS, str(answer.status))
        try:
            fields = parse_xml(answer.body)
        except OddXml as error:
            return Unknown(UnknownReason.ODD_BODY, str(error))
        if not v2_verify(fields, self.config.apiv2_key):
            return Unknown(UnknownReason.BAD_SIGNATURE, fields.get("return_msg", ""))
        return _v2_outcome(fields)

    def _read_v3(self, answer: Answer) -> Outcome:
        status = answer.status
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.OK:
            return Unknown(UnknownReason.HTTP_STATUS, str(status))
        try:
            content = orjson.loads(answer.body) if answer.body else {}
        except orjson.JSONDecodeError:
            return Unknown(UnknownReason.ODD_BODY, str(status))
        if not isinstance(content, dict):
            return Unknown(UnknownReason.ODD_BODY, str(status))
        if status not in _UNSIGNED_REFUSALS:
            try:
                verify_answer(
                    answer.headers, answer.body, self._verifiers, now=self._wire_clock.now()
                )
            except BadSignature as error:
                return Unknown(UnknownReason.BAD_SIGNATURE, error.detail)
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return Ok(content)
        code = str(content.get("code") or f"HTTP_{status}")
        return Refused(code, str(content.get("message", "")), content)


def _v2_outcome(fields: Mapping[str, str]) -> Outcome:
    if fields.get("return_code") != "SUCCESS":
        return Refused("RETURN_FAIL", fields.get("return_msg", ""), fields)
    if fields.get("result_code") == "SUCCESS":
        return Ok(fields)
    code = fields.get("err_code", "")
    if code in _UNSURE_V2 or not code:
        return Unknown(UnknownReason.RAIL_UNSURE, code)
    return Refused(code, fields.get("err_code_des", ""), fields)
