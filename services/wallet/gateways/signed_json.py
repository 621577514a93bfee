"""
A profile of signed JSON over HTTPS, spoken by the payout channel and the advance partner.

Unconfirmed: no licensed institution has been contracted yet.  The profile is the usual one -
JSON bodies, an application id, a moment, a nonce, HMAC-SHA256 over method, path, both and the
body, the answer signed alike over our nonce - and what differs between institutions (address,
id, secret) is configuration.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson

from services.wallet.domain.errors import PartnerUnclear
from services.wallet.domain.order import Answer, Verdict
from shared.clock import Clock

TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=3)
MOST_BYTES: Final = 256 * 1024

_VERDICTS: Final[Mapping[str, Verdict]] = {
    "SUCCESS": Verdict.DONE,
    "FAILED": Verdict.REFUSED,
    "PROCESSING": Verdict.PENDING,
}
_REFUSALS: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}


@dataclass(frozen=True, slots=True)
class Account:
    """Our account at an institution."""

    url: str
    app_id: str
    secret: str


def signature(secret: str, *parts: str) -> str:
    """Return the hexadecimal HMAC-SHA256 of *parts*, each followed by a line feed."""
    text = "".join(f"{part}\n" for part in parts)
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class SignedJson:
    """Calls of one institution."""

    def __init__(self, session: aiohttp.ClientSession, account: Account, clock: Clock) -> None:
        self._session = session
        self._account = account
        self._clock = clock

    async def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """
        Return status and JSON of a signed answer (2xx or 4xx).

        Raises:
            PartnerUnclear: No answer, a failure of theirs, a bad signature, or no JSON.
        """
        raw = b"" if body is None else orjson.dumps(body)
        nonce = secrets.token_hex(16)
        try:
            async with self._session.request(
                method,
                self._account.url + path,
                data=raw,
                headers=self._headers(method, path, raw, nonce),
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as answer:
                text = (await answer.content.read(MOST_BYTES)).decode("utf-8", "replace")
                status, signed = answer.status, answer.headers.get("X-Signature", "")
        except (aiohttp.ClientError, OSError) as error:
            raise PartnerUnclear("No answer.", error=type(error).__name__) from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise PartnerUnclear("The institution failed.", status=status)
        wanted = signature(self._account.secret, nonce, str(status), text)
        if not hmac.compare_digest(wanted, signed):
            raise PartnerUnclear("The answer's signature is wrong.", status=status)
        return status, _object(text, status)

    async def order(
        self, method: str, path: str, body: Mapping[str, object] | None, *, amount_fen: int
    ) -> Answer:
        """Return what is said about an order; unclear is an answer too."""
        try:
            status, told = await self.call(method, path, body)
        except PartnerUnclear as problem:
            return Answer(Verdict.UNKNOWN, reason=str(problem))
        code = str(told.get("code", status))
        if status == HTTPStatus.NOT_FOUND and method == "GET":
            return Answer(Verdict.UNSEEN, reason=code)
        if status in _REFUSALS and method == "POST":
            return Answer(Verdict.REFUSED, reason=code)
        verdict = _VERDICTS.get(str(told.get("status")))
        if status >= HTTPStatus.BAD_REQUEST or verdict is None:
            return Answer(Verdict.UNKNOWN, reason=code)
        if told.get("amount_fen") != amount_fen:
            return Answer(Verdict.UNKNOWN, reason="another amount")
        return Answer(verdict, reference=str(told.get("reference", "")), reason=code)

    def _headers(self, method: str, path: str, raw: bytes, nonce: str) -> dict[str, str]:
        moment = str(int(self._clock.now().timestamp()))
        signed = signature(self._account.secret, method, path, moment, nonce, raw.decode())
        return {
            "Content-Type": "application/json",
            "X-App-Id": self._account.app_id,
            "X-Timestamp": moment,
            "X-Nonce": nonce,
            "X-Signature": signed,
        }


def _object(text: str, status: int) -> dict[str, Any]:
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise PartnerUnclear("An answer that is no JSON.", status=status) from error
    if not isinstance(told, dict):
        raise PartnerUnclear("An answer that is no JSON object.", status=status)
    return told
