"""Tencent FaceID: name against number, the face check's page, and its result by query."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from services.signing.domain.errors import NameNotMatching, ProviderRefused, ProviderSilent
from shared.clock import Clock
from shared.rails.outcome import Unknown
from shared.rails.transport import Timeouts, send

VERSION: Final = "2018-03-01"

_TYPE: Final = "application/json; charset=utf-8"
_MATCHES: Final = "0"
_DIFFERS: Final = frozenset({"-1", "-2", "-3", "-5"})
_BUSY: Final = ("InternalError", "RequestLimitExceeded", "FailedOperation.RequestLimitExceeded")
_OVER: Final = ("InvalidParameterValue.BizTokenExpired", "InvalidParameterValue.BizTokenIllegal")


@dataclass(frozen=True, slots=True)
class FacePage:
    """Where the person shows their face; the token asks for the result."""

    url: str
    biz_token: str


@dataclass(frozen=True, slots=True)
class FaceResult:
    """How a check stands: passed, failed, open or expired; ``outcome`` is the provider's code."""

    state: str
    outcome: str


class FaceId:
    """The identity provider; never fetches a picture."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        clock: Clock,
        *,
        url: str,
        secret_id: str,
        secret_key: str,
        rule_id: str,
    ) -> None:
        self._session = session
        self._clock = clock
        self._url = url
        self._host = urlsplit(url).netloc
        self._secret_id = secret_id
        self._secret_key = secret_key
        self._rule_id = rule_id

    async def match_name(self, *, name: str, id_number: str) -> None:
        """
        Check that name and number belong to one person.

        Raises:
            NameNotMatching: They do not, or nobody has this number.
            ProviderSilent: The register did not answer.
            ProviderRefused: No more checks today.
        """
        answer = await self._call("IdCardVerification", {"IdCard": id_number, "Name": name})
        result = str(answer.get("Result"))
        if result in _DIFFERS:
            raise NameNotMatching("Name and number do not belong together.", provider_code=result)
        if result == "-7":
            raise ProviderRefused("No more checks today.", provider_code=result)
        if result != _MATCHES:
            raise ProviderSilent("The register did not answer.", provider_code=result)

    async def start(self, *, name: str, id_number: str, extra: str) -> FacePage:
        """Return a page for this person, valid for two hours."""
        fields = {
            "RuleId": self._rule_id,
            "IdCard": id_number,
            "Name": name,
            "Extra": extra,
        }
        answer = await self._call("DetectAuth", fields)
        return FacePage(url=str(answer["Url"]), biz_token=str(answer["BizToken"]))

    async def result(self, biz_token: str) -> FaceResult:
        """Return how the check stands; what the front end says does not count."""
        fields = {"BizToken": biz_token, "RuleId": self._rule_id, "InfoType": "1"}
        try:
            answer = await self._call("GetDetectInfoEnhanced", fields)
        except ProviderRefused as refusal:
            if refusal.facts.get("provider_code") in _OVER:
                return FaceResult("expired", str(refusal.facts["provider_code"]))
            raise
        code = answer.get("Text", {}).get("ErrCode")
        if code is None:
            return FaceResult("open", "")
        return FaceResult("passed" if code == 0 else "failed", str(code))

    async def _call(self, action: str, fields: dict[str, str]) -> dict[str, Any]:
        body = orjson.dumps(fields)
        now = self._clock.now()
        headers = {
            "Content-Type": _TYPE,
            "Host": self._host,
            "X-TC-Action": action,
            "X-TC-Version": VERSION,
            "X-TC-Timestamp": str(int(now.timestamp())),
            "Authorization": self._authorization(body, now),
        }
        answer = await send(
            self._session, "POST", self._url, body=body, headers=headers, timeouts=Timeouts()
        )
        if isinstance(answer, Unknown) or answer.status != HTTPStatus.OK:
            raise ProviderSilent("The identity provider did not answer.")
        try:
            response: dict[str, Any] = orjson.loads(answer.body)["Response"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ProviderSilent("The identity provider's answer is odd.") from error
        if "Error" in response:
            code = str(response["Error"].get("Code", ""))
            if code.startswith(_BUSY):
                raise ProviderSilent("The identity provider is busy.", provider_code=code)
            raise ProviderRefused("The identity provider refused.", provider_code=code)
        return response

    def _authorization(self, body: bytes, now: datetime) -> str:
        """Return the TC3-HMAC-SHA256 header. Source: Tencent Cloud API 3.0, signature v3."""
        day = now.astimezone(UTC).strftime("%Y-%m-%d")
        names = "content-type;host"
        canonical = "\n".join(
            [
                "POST",
                "/",
                "",
                f"content-type:{_TYPE}\nhost:{self._host}\n",
                names,
                hashlib.sha256(body).hexdigest(),
            ]
        )
        scope = f"{day}/faceid/tc3_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"TC3-HMAC-SHA256\n{int(now.timestamp())}\n{scope}\n{digest}"
        key = f"TC3{self._secret_key}".encode()
        for part in (day, "faceid", "tc3_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return (
            f"TC3-HMAC-SHA256 Credential={self._secret_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
