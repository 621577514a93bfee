"""
A licensed aggregator of bank-card withholding: signed JSON calls out, verified answers in.

No aggregator's documents are gathered.  This is a profile of our own of what such institutions
commonly ask for, to be fitted to the contract: paths and header names are settings, all else is
in this file and its two adapters.

* ``POST {base}{path}``, UTF-8 JSON both ways, amounts in whole fen, times in RFC 3339.
* Headers ``X-Merchant-No``, ``X-Timestamp`` (seconds), ``X-Nonce``, ``X-Signature``: RSA with
  SHA-256 (PKCS#1 v1.5, Base64) over method, path, timestamp, nonce and raw body, each followed by
  a line feed; answers and notifications sign timestamp, nonce and raw body alike.
* An answer is ``{"code", "message", "data"}``; ``SUCCESS`` says that the call was done, and
  ``data.status`` what became of the order.  Any number of ours is an order for ever: the same
  content again is the same order.
* A bill is asked for by day; a day without trades has none (``NO_TRADES``), else the answer has
  ``download_url``, whose file anybody may fetch for a while, and its ``sha256``.
* The customer signs, and enters card number and SMS code, on the aggregator's own page only.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from shared.clock import Clock, SystemClock
from shared.rails.outcome import BadSignature, Ok, Outcome, Refused, Unknown, UnknownReason
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.transport import DOWNLOAD_S, Answer, Timeouts, download, send
from shared.rails.wechatpay_v3 import MAX_AGE, answer_text, request_text

NOTIFICATION_TAKEN: Final = {"code": "SUCCESS"}
"""The body that stops a notification from coming again."""

PATHS: Final[Mapping[str, str]] = {
    "sign": "/v1/contracts/sign",
    "query_contract": "/v1/contracts/query",
    "end_contract": "/v1/contracts/end",
    "charge": "/v1/charges",
    "pay": "/v1/payments",
    "query": "/v1/orders/query",
    "close": "/v1/orders/close",
    "refund": "/v1/refunds",
    "query_refund": "/v1/refunds/query",
    "bill": "/v1/bills",
}
"""Where each call goes."""

_SUCCESS: Final = "SUCCESS"
_UNSURE: Final = frozenset({"SYSTEM_ERROR", "BANK_TIMEOUT"})


@dataclass(frozen=True)
class CardConfig:
    """Where the aggregator is and who we are there; *paths* replaces some of ``PATHS``."""

    base_url: str
    merchant_no: str
    paths: Mapping[str, str] = field(default_factory=dict)
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True)
class CardNotification:
    """A notification whose signature holds; ``notify_id`` stays the same over resends."""

    notify_id: str
    kind: str
    merchant_no: str
    data: Mapping[str, Any]


class CardClient:
    """Calls the aggregator; one per merchant number, shared by all callers of one event loop."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        config: CardConfig,
        signer: RsaSigner,
        verifier: RsaVerifier,
        *,
        wire_clock: Clock | None = None,
    ) -> None:
        """
        Use *signer* (our key) and *verifier* (the aggregator's).

        *wire_clock* dates the requests; it is the machine's clock also where business time is
        moved by hand.
        """
        self.config = config
        self._session = session
        self._signer = signer
        self._verifier = verifier
        self._wire_clock = wire_clock or SystemClock()

    async def call(self, name: str, content: Mapping[str, Any]) -> Outcome:
        """Make the call *name* of ``PATHS`` and say what came of it; repeats safely."""
        path = self.config.paths.get(name, PATHS[name])
        body = orjson.dumps(content)
        stamp, nonce = int(self._wire_clock.now().timestamp()), secrets.token_hex(16)
        text = request_text("POST", path, stamp, nonce, body)
        headers = {
            "Content-Type": "application/json",
            "X-Merchant-No": self.config.merchant_no,
            "X-Timestamp": str(stamp),
            "X-Nonce": nonce,
            "X-Signature": await self._signer.sign_soon(text),
        }
        answer = await send(
            self._session,
            "POST",
            self.config.base_url.rstrip("/") + path,
            body=body,
            headers=headers,
            timeouts=self.config.timeouts,
        )
        return answer if isinstance(answer, Unknown) else self._read(answer)

    async def download(self, url: str, into: Path, *, limit_bytes: int) -> Unknown | None:
        """Fetch a bill from the *url* we were given; the URL itself carries the permission."""
        return await download(
            self._session, url, into, headers={}, limit_bytes=limit_bytes, total_s=DOWNLOAD_S
        )

    def open_notification(self, headers: Mapping[str, str], body: bytes) -> CardNotification:
        """
        Return the notification in the raw *body*.

        Raises:
            BadSignature: It is not the aggregator's, too old, or of another form.
        """
        self._verify(headers, body)
        try:
            told = orjson.loads(body)
            return CardNotification(
                str(told["notify_id"]), str(told["type"]), str(told["merchant_no"]), told["data"]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BadSignature("The notification has another form.") from error

    def _verify(self, headers: Mapping[str, str], body: bytes) -> None:
        stamp = headers.get("X-Timestamp", "")
        if not (stamp.isascii() and stamp.isdigit()):
            raise BadSignature("No time stamp.")
        if abs(self._wire_clock.now().timestamp() - int(stamp)) > MAX_AGE.total_seconds():
            raise BadSignature("The time stamp is too far from now.")
        text = answer_text(stamp, headers.get("X-Nonce", ""), body)
        if not self._verifier.verify(text, headers.get("X-Signature", "")):
            raise BadSignature("The signature does not hold.")

    def _read(self, answer: Answer) -> Outcome:
        if answer.status != 200:  # noqa: PLR2004 - the only status of an answered call
            return Unknown(UnknownReason.HTTP_STATUS, str(answer.status))
        try:
            self._verify(answer.headers, answer.body)
        except BadSignature:
            return Unknown(UnknownReason.BAD_SIGNATURE)
        return _outcome(answer.body)


def _outcome(body: bytes) -> Outcome:
    try:
        told = orjson.loads(body)
        code, message, data = str(told["code"]), str(told.get("message", "")), told.get("data")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Unknown(UnknownReason.ODD_BODY, str(error))
    if not isinstance(data, dict | None):
        return Unknown(UnknownReason.ODD_BODY, "data is not an object")
    if code in _UNSURE:
        return Unknown(UnknownReason.RAIL_UNSURE, code)
    return Ok(data or {}) if code == _SUCCESS else Refused(code, message, data or {})


def read_time(text: object) -> datetime | None:
    """Return an instant as the aggregator writes it, None where there is none or it is odd."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
