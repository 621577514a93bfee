"""Alipay's open gateway: signed calls out, verified answers and notifications in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import orjson

from shared.calendar import CHINA
from shared.clock import Clock, SystemClock
from shared.money import fen
from shared.rails.alipay_signing import (
    OddResponse,
    canonical_text,
    cut_node,
    notification_texts,
    order_string,
    parse_form,
)
from shared.rails.outcome import BadSignature, Ok, Outcome, Refused, Unknown, UnknownReason
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.transport import DOWNLOAD_S, Answer, Timeouts, download, send

NOTIFICATION_TAKEN: Final = "success"
"""The exact body that stops Alipay from sending a notification again."""

_SUCCESS: Final = "10000"
_UNSURE: Final = frozenset({"10003", "20000"})
"""Accepted and still processing; service unavailable: neither says what happened."""

_UNSURE_SUB_CODES: Final = frozenset({"SYSTEM_ERROR", "isp.unknow-error", "aop.unknow-error"})

_GATEWAY_REFUSALS: Final = frozenset({"20001", "40001", "40002", "40003", "40005", "40006"})


@dataclass(frozen=True)
class AlipayConfig:
    """Where the gateway is and who we are there."""

    gateway_url: str
    app_id: str
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True)
class AlipayNotification:
    """A notification whose signature holds; every value is text, as Alipay sends it."""

    fields: Mapping[str, str]

    @property
    def kind(self) -> str:
        """Return ``notify_type``, such as ``trade_status_sync`` or ``dut_user_sign``."""
        return self.fields.get("notify_type", "")

    @property
    def inbox_key(self) -> tuple[str, str]:
        """Return what stays the same over resends: the app id and the notification's id."""
        return self.fields.get("app_id", ""), self.fields.get("notify_id", "")

    def amount_fen(self, name: str) -> int | None:
        """
        Return an amount field in fen, or ``None`` where it is absent.

        Raises:
            ValueError: The field is not an amount in yuan.
        """
        return amount_fen(self.fields, name)


class AlipayClient:
    """
    Calls the gateway; one per app, shared by all callers of one event loop.

    ``alipay_calls`` has one function per method that this platform uses.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        config: AlipayConfig,
        signer: RsaSigner,
        verifier: RsaVerifier,
        *,
        wire_clock: Clock | None = None,
    ) -> None:
        """
        Use *signer* (our app's key) and *verifier* (Alipay's key, not our own public one).

        *wire_clock* dates the requests; it is the machine's clock also where business time is
        moved by hand.
        """
        self.config = config
        self._session = session
        self._signer = signer
        self._verifier = verifier
        self._wire_clock = wire_clock or SystemClock()

    async def call(
        self,
        method: str,
        content: Mapping[str, Any],
        *,
        notify_url: str = "",
        app_auth_token: str = "",
    ) -> Outcome:
        """
        Call *method* with *content* as ``biz_content`` and say what came of it.

        ``Ok`` only for code 10000 under a valid signature.  Repeating the same content is safe
        where Alipay makes it so: a trade by ``out_trade_no``, a refund by ``out_request_no``.
        """
        fields = self._fields(method, content, notify_url, app_auth_token)
        fields["sign"] = await self._signer.sign_soon(canonical_text(fields).encode())
        answer = await send(
            self._session,
            "POST",
            self.config.gateway_url,
            body=urlencode(fields).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"},
            timeouts=self.config.timeouts,
        )
        if isinstance(answer, Unknown):
            return answer
        return self._read(method, answer)

    async def download(self, url: str, into: Path, *, limit_bytes: int) -> Unknown | None:
        """Fetch a bill from the *url* Alipay gave; the URL itself carries the permission."""
        return await download(
            self._session, url, into, headers={}, limit_bytes=limit_bytes, total_s=DOWNLOAD_S
        )

    async def sdk_string(
        self,
        method: str,
        content: Mapping[str, Any],
        *,
        notify_url: str = "",
        app_auth_token: str = "",
    ) -> str:
        """Return the signed query string that a client SDK takes (``sdkExecute``)."""
        fields = self._fields(method, content, notify_url, app_auth_token)
        fields["sign"] = await self._signer.sign_soon(canonical_text(fields).encode())
        return order_string(fields)

    async def mini_program_string(
        self, method: str, content: Mapping[str, Any], **more: str
    ) -> str:
        """
        Return ``signStr`` of ``my.paySignCenter``: the SDK string, URL-encoded once more.

        Source: Alipay open docs, my.paySignCenter; not encoding it gives "invalid signature".
        """
        return quote(await self.sdk_string(method, content, **more), safe="")

    def open_notification(self, body: bytes) -> AlipayNotification:
        """
        Return the notification in the raw form *body*.

        Raises:
            BadSignature: No signature, or not Alipay's over these fields, or not even a form.
        """
        try:
            fields = parse_form(body)
        except ValueError as error:
            raise BadSignature("The notification cannot be read.") from error
        named = dict(fields)
        sign = named.get("sign", "")
        if len(named) != len(fields) or not sign:
            raise BadSignature("The notification names a field twice or has no signature.")
        for text in notification_texts(fields):
            if self._verifier.verify(text.encode(_charset(named)), sign):
                return AlipayNotification(named)
        raise BadSignature("The notification's signature does not hold.")

    def _fields(
        self, method: str, content: Mapping[str, Any], notify_url: str, app_auth_token: str
    ) -> dict[str, str]:
        fields = {
            "app_id": self.config.app_id,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": rail_time(self._wire_clock.now()),
            "version": "1.0",
            "notify_url": notify_url,
            "app_auth_token": app_auth_token,
            "biz_content": orjson.dumps(content).decode(),
        }
        return {key: value for key, value in fields.items() if value}

    def _read(self, method: str, answer: Answer) -> Outcome:
        if answer.status != 200:  # noqa: PLR2004 - the only status of an answered call
            return Unknown(UnknownReason.HTTP_STATUS, str(answer.status))
        try:
            node = cut_node(answer.body.decode(), f"{method.replace('.', '_')}_response")
        except (OddResponse, UnicodeDecodeError) as error:
            return Unknown(UnknownReason.ODD_BODY, str(error))
        if not isinstance(node.value, dict):
            return Unknown(UnknownReason.ODD_BODY, "the node is not an object")
        outcome = _outcome(node.value)
        if node.sign is not None and self._verifier.verify(node.raw.encode(), node.sign):
            return outcome
        if node.sign is None and node.name == "error_response" and _by_gateway(node.value):
            # The gateway refuses before it knows the caller, and then does not sign.
            return outcome
        return Unknown(UnknownReason.BAD_SIGNATURE)


def rail_time(moment: datetime) -> str:
    """Return *moment* as Alipay writes time: Beijing's clock, no zone."""
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def read_time(text: str) -> datetime:
    """
    Return the instant that Alipay wrote as *text*, with or without milliseconds.

    Raises:
        ValueError: It is not such a time.
    """
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


def amount_fen(fields: Mapping[str, Any], name: str) -> int | None:
    """
    Return the yuan field *name* in fen, or ``None`` where it is absent or empty.

    Raises:
        ValueError: The field is not an amount in yuan.
    """
    text = str(fields.get(name) or "")
    if not text:
        return None
    whole, _, decimals = text.partition(".")
    return fen(f"{whole}.{decimals:0<2}")


def _outcome(node: dict[str, Any]) -> Outcome:
    code = str(node.get("code", ""))
    sub_code = str(node.get("sub_code", "")).removeprefix("ACQ.")
    if code == _SUCCESS:
        return Ok(node)
    if code in _UNSURE or sub_code in _UNSURE_SUB_CODES:
        return Unknown(UnknownReason.RAIL_UNSURE, sub_code or code)
    if not code:
        return Unknown(UnknownReason.ODD_BODY, "no code")
    return Refused(sub_code or code, str(node.get("sub_msg") or node.get("msg") or ""), node)


def _by_gateway(node: dict[str, Any]) -> bool:
    return node.get("code") in _GATEWAY_REFUSALS


def _charset(fields: Mapping[str, str]) -> str:
    named = fields.get("charset", "utf-8").lower()
    return "gb18030" if named in {"gbk", "gb2312"} else "utf-8"
