"""
Aliyun SMS (Dysmsapi 2017-05-25): SendSms, QuerySendDetails, receipts and replies.

Requests carry their parameters in the query and an ACS3-HMAC-SHA256 signature.
Source: docs/sources.md#aliyun-sms.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp
import orjson
from yarl import URL

from services.notify.contract.states import Channel
from services.notify.domain.contact import normal_phone
from services.notify.domain.provider import (
    Accepted,
    Answer,
    CannotTell,
    Finding,
    Found,
    Letter,
    NotFound,
    Receipt,
    Refused,
    Reply,
    Tracking,
    Trouble,
    Unclear,
)
from shared.calendar import CHINA
from shared.clock import Clock
from shared.ids import new_id

VERSION: Final = "2017-05-25"
ALGORITHM: Final = "ACS3-HMAC-SHA256"
NAME: Final = "aliyun"
TAKEN: Final = {"code": 0, "msg": "成功"}
"""The answer to a push; anything else brings it again."""
PAGE: Final = 50
PAGES_MAX: Final = 4
SERVICE_UNAVAILABLE: Final = 503
TOO_MANY: Final = 429

_TROUBLES: Final[Mapping[Trouble, frozenset[str]]] = {
    Trouble.RETRY: frozenset(
        {"isp.SYSTEM_ERROR", "isp.GATEWAY_ERROR", "isp.UNKNOWN", "InternalError",
         "SignatureNonceUsed"}
    ),
    Trouble.DOWN: frozenset({"ServiceUnavailable"}),
    Trouble.RATE: frozenset(
        {"isv.BUSINESS_LIMIT_CONTROL", "isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL",
         "Throttling", "Throttling.User"}
    ),
    Trouble.RECIPIENT: frozenset(
        {"isv.MOBILE_NUMBER_ILLEGAL", "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"}
    ),
}  # fmt: skip
"""Whatever is not listed is our account's, signature's or template's fault."""


@dataclass(frozen=True, slots=True)
class Account:
    """Our account: where it is called, its key, and the approved signature of all messages."""

    url: str
    access_key_id: str
    access_key_secret: str
    sign_name: str


class AliyunSms:
    """Sends one SMS per call; safe to share within an event loop."""

    name = NAME
    channel = Channel.SMS
    tracking = Tracking.QUERY

    def __init__(
        self,
        session: aiohttp.ClientSession,
        account: Account,
        clock: Clock,
        *,
        nonce: Callable[[], str] = lambda: new_id().hex,
    ) -> None:
        """Date requests by *clock*: Aliyun refuses what is more than 15 minutes off."""
        self._session = session
        self._account = account
        self._clock = clock
        self._nonce = nonce

    async def send(self, letter: Letter) -> Answer:
        """Send one SMS; a cut connection or an odd answer is unclear, 503 is not."""
        query = {
            "PhoneNumbers": letter.recipient,
            "SignName": self._account.sign_name,
            "TemplateCode": letter.template_code,
            "TemplateParam": orjson.dumps(dict(letter.values)).decode(),
            "OutId": letter.out_id,
        }
        answer = await self._call("SendSms", query)
        if not isinstance(answer, dict):
            return answer
        code = str(answer.get("Code", ""))
        if code == "OK" and answer.get("BizId"):
            return Accepted(str(answer["BizId"]))
        return Unclear("odd_body") if code in {"", "OK"} else Refused(trouble_of(code), code)

    async def look_up(self, letter: Letter, *, submitted_at: datetime) -> Finding:
        """Search the day's messages to this number for our out id."""
        query = {
            "PhoneNumber": letter.recipient,
            "SendDate": submitted_at.astimezone(CHINA).strftime("%Y%m%d"),
            "PageSize": str(PAGE),
        }
        for page in range(1, PAGES_MAX + 1):
            answer = await self._call("QuerySendDetails", query | {"CurrentPage": str(page)})
            if not isinstance(answer, dict) or answer.get("Code") != "OK":
                return CannotTell("no_answer")
            try:
                rows = answer["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
                row = next((row for row in rows if row["OutId"] == letter.out_id), None)
                if row is not None:
                    return _found(row, submitted_at)
                if page * PAGE >= int(answer["TotalCount"]):
                    return NotFound()
            except (KeyError, TypeError, ValueError):
                return CannotTell("odd_body")
        return CannotTell("too_many")

    async def _call(
        self, action: str, query: Mapping[str, str]
    ) -> dict[str, Any] | Refused | Unclear:
        url = self._account.url.rstrip("/") + "/"
        headers = self._headers(action, query, host=urlsplit(url).netloc)
        target = URL(f"{url}?{canonical_query(query)}", encoded=True)
        try:
            async with self._session.post(target, headers=headers, allow_redirects=False) as answer:
                body, status = await answer.read(), answer.status
        except aiohttp.ClientConnectorError:
            return Refused(Trouble.DOWN, "not_reached")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unclear(type(error).__name__)
        if status == SERVICE_UNAVAILABLE:
            return Refused(Trouble.DOWN, str(status))
        if status == TOO_MANY:
            return Refused(Trouble.RATE, str(status))
        return _read(status, body)

    def _headers(self, action: str, query: Mapping[str, str], *, host: str) -> dict[str, str]:
        headers = {
            "accept": "application/json",
            "host": host,
            "x-acs-action": action,
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-acs-date": self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": self._nonce(),
            "x-acs-version": VERSION,
        }
        return headers | {"Authorization": authorization(self._account, query, headers)}


def canonical_query(query: Mapping[str, str]) -> str:
    """Return *query* sorted and encoded by RFC 3986, as it is signed and sent."""
    return "&".join(
        f"{quote(key, safe='~')}={quote(query[key], safe='~')}" for key in sorted(query)
    )


def authorization(account: Account, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return the Authorization header for a POST to ``/`` with an empty body and *headers*."""
    names = ";".join(sorted(headers))
    block = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    digest = headers["x-acs-content-sha256"]
    canonical = "\n".join(["POST", "/", canonical_query(query), block, names, digest])
    text = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(
        account.access_key_secret.encode(), text.encode(), hashlib.sha256
    ).hexdigest()
    return (
        f"{ALGORITHM} Credential={account.access_key_id},SignedHeaders={names},"
        f"Signature={signature}"
    )


def trouble_of(code: str) -> Trouble:
    """Return what Aliyun's *code* means for the one who asked."""
    return next((trouble for trouble, codes in _TROUBLES.items() if code in codes), Trouble.CONFIG)


def read_receipts(raw: bytes) -> list[Receipt]:
    """
    Return the receipts in one push.

    Raises:
        ValueError: It is not an array of receipts.
    """
    return [_receipt(item) for item in _array(raw)]


def read_replies(raw: bytes) -> list[Reply]:
    """
    Return the replies in one push; the sequence id was a number in older pushes.

    Raises:
        ValueError: It is not an array of replies.
    """
    return [_reply(item) for item in _array(raw)]


def _array(raw: bytes) -> list[dict[str, Any]]:
    items = orjson.loads(raw)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("not an array of objects")
    return items


def _receipt(item: dict[str, Any]) -> Receipt:
    if not isinstance(item.get("success"), bool) or not item.get("biz_id"):
        raise ValueError("not a receipt")
    return Receipt(
        provider=NAME,
        provider_message_id=str(item["biz_id"])[:64],
        out_id=str(item.get("out_id", "")),
        recipient=normal_phone(str(item.get("phone_number", ""))),
        template_code="",
        delivered=item["success"],
        code=str(item.get("err_code", ""))[:64],
        at=_moment(item.get("report_time")),
    )


def _reply(item: dict[str, Any]) -> Reply:
    sequence_id, phone = item.get("sequence_id"), normal_phone(str(item.get("phone_number", "")))
    if sequence_id in {None, ""} or not phone:
        raise ValueError("not a reply")
    return Reply(
        provider=NAME,
        sequence_id=str(sequence_id)[:64],
        phone=phone,
        content=str(item.get("content", ""))[:500],
        at=_moment(item.get("send_time")),
    )


def _found(row: dict[str, Any], submitted_at: datetime) -> Found:
    status = int(row["SendStatus"])
    delivered = {2: False, 3: True}.get(status)
    text = row.get("ReceiveDate") if delivered is not None else row.get("SendDate")
    at = _moment(text) if text else submitted_at
    return Found(delivered, str(row.get("ErrCode", "")), at)


def _moment(text: object) -> datetime:
    """Return the instant of a text in Beijing time; ValueError if it is none."""
    moment = datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    return moment.astimezone(UTC)


def _read(status: int, body: bytes) -> dict[str, Any] | Unclear:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Unclear(f"http_{status}")
    return answer if isinstance(answer, dict) and "Code" in answer else Unclear(f"http_{status}")
