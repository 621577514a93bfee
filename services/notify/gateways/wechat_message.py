"""
WeChat mini-program subscription messages: the access token, one message, pushes to us.

Source: docs/sources.md#wechat-messages.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
import orjson

from services.notify.contract.states import Channel
from services.notify.domain.provider import (
    Accepted,
    Answer,
    CannotTell,
    Finding,
    Letter,
    Receipt,
    Refused,
    Tracking,
    Trouble,
    Unclear,
)
from shared.clock import Clock

NAME: Final = "wechat"
TAKEN: Final = "success"
SENT_EVENT: Final = "subscribe_msg_sent_event"
TOKEN_SPARE: Final = timedelta(minutes=5)
"""A token is renewed this long before its end; old and new are valid together so long."""
SERVICE_UNAVAILABLE: Final = 503
OK: Final = 200

_TOKEN_GONE: Final = frozenset({40001, 40014, 42001})
_TROUBLES: Final[Mapping[int, Trouble]] = {
    -1: Trouble.RETRY,
    40001: Trouble.RETRY,
    40014: Trouble.RETRY,
    42001: Trouble.RETRY,
    40003: Trouble.RECIPIENT,
    43101: Trouble.RECIPIENT,
    45009: Trouble.RATE,
    43108: Trouble.RATE,
    45168: Trouble.RATE,
}
"""Whatever is not listed is our template's or account's fault."""


@dataclass(frozen=True, slots=True)
class Account:
    """Our mini-program."""

    url: str
    app_id: str
    secret: str
    push_token: str
    state: str = "formal"


class WeChatMessages:
    """Sends subscription messages; keeps one access token for all callers."""

    name = NAME
    channel = Channel.MINI_PROGRAM
    tracking = Tracking.RECEIPT

    def __init__(self, session: aiohttp.ClientSession, account: Account, clock: Clock) -> None:
        """Let tokens grow old by *clock*."""
        self._session = session
        self._account = account
        self._clock = clock
        self._token: tuple[str, datetime] | None = None
        self._renewing = asyncio.Lock()

    async def send(self, letter: Letter) -> Answer:
        """Send one message; an expired token is renewed, and then it is tried once more."""
        answer = await self._send(letter)
        if isinstance(answer, Refused) and answer.code in {str(code) for code in _TOKEN_GONE}:
            self._token = None
            answer = await self._send(letter)
        return answer

    async def look_up(self, letter: Letter, *, submitted_at: datetime) -> Finding:
        """Say that WeChat cannot be asked: only its receipt can tell."""
        del letter, submitted_at
        return CannotTell("no_query")

    async def _send(self, letter: Letter) -> Answer:
        token = await self._access_token()
        if isinstance(token, Refused):
            return token
        body = {
            "touser": letter.recipient,
            "template_id": letter.template_code,
            "page": letter.page,
            "data": {key: {"value": value} for key, value in letter.fields},
            "miniprogram_state": self._account.state,
            "lang": "zh_CN",
        }
        answer = await self._post(f"/cgi-bin/message/subscribe/send?access_token={token}", body)
        if not isinstance(answer, dict):
            return answer
        errcode = answer.get("errcode")
        if errcode == 0:
            return Accepted(str(answer.get("msgid", "")))
        if type(errcode) is not int:
            return Unclear("odd_body")
        return Refused(_TROUBLES.get(errcode, Trouble.CONFIG), str(errcode))

    async def _access_token(self) -> str | Refused:
        async with self._renewing:
            now = self._clock.now()
            if self._token is not None and self._token[1] > now:
                return self._token[0]
            answer = await self._post(
                "/cgi-bin/stable_token",
                {
                    "grant_type": "client_credential",
                    "appid": self._account.app_id,
                    "secret": self._account.secret,
                    "force_refresh": False,
                },
            )
            return self._keep_token(answer, now)

    def _keep_token(
        self, answer: dict[str, Any] | Refused | Unclear, now: datetime
    ) -> str | Refused:
        match answer:
            case Refused():
                return answer
            case Unclear(reason):  # without a token nothing was sent
                return Refused(Trouble.DOWN, f"token:{reason}")
            case {"access_token": str(token), "expires_in": int(seconds)}:
                self._token = token, now + timedelta(seconds=seconds) - TOKEN_SPARE
                return token
            case _:
                errcode = answer.get("errcode", "odd_body")
                trouble = _TROUBLES.get(errcode, Trouble.CONFIG)
                return Refused(trouble, f"token:{errcode}")

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | Refused | Unclear:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(
                self._account.url.rstrip("/") + path, data=orjson.dumps(body), headers=headers
            ) as answer:
                raw, status = await answer.read(), answer.status
        except aiohttp.ClientConnectorError:
            return Refused(Trouble.DOWN, "not_reached")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unclear(type(error).__name__)
        if status == SERVICE_UNAVAILABLE:
            return Refused(Trouble.DOWN, str(status))
        return _object(status, raw)


def signature(token: str, *, timestamp: str, nonce: str) -> str:
    """Return what a push in plain mode must carry: SHA-1 of the sorted three."""
    text = "".join(sorted([token, timestamp, nonce]))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def is_signed(query: Mapping[str, str], token: str) -> bool:
    """Return whether the *query* of a push carries the signature of *token*."""
    expected = signature(token, timestamp=query.get("timestamp", ""), nonce=query.get("nonce", ""))
    return hmac.compare_digest(expected.encode(), query.get("signature", "").encode())


def read_receipts(raw: bytes) -> list[Receipt]:
    """
    Return the receipts in one push, none if it is about something else.

    ``List`` is an object where there is one item, an array otherwise.

    Raises:
        ValueError: It is not an event.
    """
    event = orjson.loads(raw)
    if not isinstance(event, dict) or not isinstance(event.get("Event"), str):
        raise ValueError("not an event")  # noqa: TRY004 - bad text, not a bad call
    if event["Event"] != SENT_EVENT:
        return []
    items = event.get("List")
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("no list of results")
    at = datetime.fromtimestamp(int(event["CreateTime"]), UTC)
    return [_receipt(item, openid=str(event.get("FromUserName", "")), at=at) for item in items]


def _receipt(item: dict[str, Any], *, openid: str, at: datetime) -> Receipt:
    if not item.get("MsgID"):
        raise ValueError("no MsgID")
    error_code = str(item.get("ErrorCode", ""))
    return Receipt(
        provider=NAME,
        provider_message_id=str(item["MsgID"])[:64],
        out_id="",
        recipient=openid,
        template_code=str(item.get("TemplateId", "")),
        delivered=error_code == "0",
        code=str(item.get("ErrorStatus") or error_code)[:64],
        at=at,
    )


def _object(status: int, raw: bytes) -> dict[str, Any] | Unclear:
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return Unclear(f"http_{status}")
    return answer if status == OK and isinstance(answer, dict) else Unclear(f"http_{status}")
