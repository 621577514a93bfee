"""e签宝: a document goes up, is signed on the provider's page, and comes back signed."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson

from services.signing.domain.application import Applicant
from services.signing.domain.errors import CallbackUnsigned, ProviderRefused, ProviderSilent
from shared.clock import Clock
from shared.rails.outcome import Unknown
from shared.rails.transport import Answer, Timeouts, send

TAKEN: Final = b'{"code":"200","msg":"success"}'
"""The answer that stops the provider from calling again."""

_JSON: Final = "application/json; charset=UTF-8"
_PDF: Final = "application/pdf"
_RETRY: Final = frozenset({1435012, 1430012, 1437513, 1437518})
_STATES: Final = {0: "open", 1: "open", 2: "signed", 3: "revoked", 5: "expired", 7: "refused"}
_SEAL: Final = {
    "autoSign": True,
    "signFieldStyle": 1,
    "signFieldPosition": {"positionPage": "1", "positionX": 150, "positionY": 90},
}
_SIGN: Final = {
    "signFieldStyle": 1,
    "signFieldPosition": {"positionPage": "1", "positionX": 420, "positionY": 90},
}


@dataclass(frozen=True, slots=True)
class FlowOrder:
    """What a flow is created for."""

    flow_no: str
    file_id: str
    title: str
    applicant: Applicant
    merchant_name: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FlowDetail:
    """How a flow stands, and what is known of the signing: times, the signer's id there."""

    state: str
    facts: Mapping[str, object]


class ESign:
    """The e-contract provider; every callback is only a reason to read the flow again."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        clock: Clock,
        *,
        url: str,
        app_id: str,
        secret: str,
        notify_url: str,
    ) -> None:
        self._session = session
        self._clock = clock
        self._url = url
        self._app_id = app_id
        self._secret = secret
        self._notify_url = notify_url

    async def upload(self, pdf: bytes, *, name: str) -> str:
        """Return the provider's id of the file; uploading again makes another one."""
        checksum = _md5(pdf)
        place = await self._call(
            "POST",
            "/v3/files/file-upload-url",
            {
                "contentMd5": checksum,
                "contentType": _PDF,
                "fileName": name,
                "fileSize": len(pdf),
                "convertToPDF": False,
            },
        )
        answer = await send(
            self._session,
            "PUT",
            str(place["fileUploadUrl"]),
            body=pdf,
            headers={"Content-MD5": checksum, "Content-Type": _PDF},
            timeouts=Timeouts(),
        )
        if isinstance(answer, Unknown) or answer.status != HTTPStatus.OK:
            raise ProviderSilent("The document was not taken.")
        return str(place["fileId"])

    async def create(self, order: FlowOrder) -> str:
        """
        Return the id of a started flow: the merchant seals by itself, the customer signs.

        An unanswered call may leave a flow that nobody has the address of; it expires.
        """
        document = {"fileId": order.file_id, "fileName": f"{order.flow_no}.pdf"}
        config = {
            "signFlowTitle": order.title,
            "signFlowExpireTime": int(order.expires_at.timestamp() * 1000),
            "autoStart": True,
            "autoFinish": True,
            "notifyUrl": self._notify_url,
            "noticeConfig": {"noticeTypes": ""},
        }
        body = {
            "docs": [document],
            "signFlowConfig": config,
            "signers": [self._seal(order), self._customer(order)],
        }
        created = await self._call("POST", "/v3/sign-flow/create-by-file", body)
        return str(created["signFlowId"])

    async def sign_url(self, flow_id: str, *, phone: str) -> str:
        """Return where the customer signs."""
        body = {"operator": {"psnAccount": phone}, "urlType": 2}
        data = await self._call("POST", f"/v3/sign-flow/{flow_id}/sign-url", body)
        return str(data.get("shortUrl") or data["url"])

    async def detail(self, flow_id: str) -> FlowDetail:
        """Return how a flow stands."""
        data = await self._call("GET", f"/v3/sign-flow/{flow_id}/detail", None)
        signers = [
            {
                "signer_id": (one.get("psnSigner") or {}).get("psnId"),
                "status": one.get("signStatus"),
                "signed_at_ms": one.get("signTime"),
            }
            for one in data.get("signers", [])
        ]
        facts = {
            "provider_flow_id": flow_id,
            "finished_at_ms": data.get("signFlowFinishTime"),
            "signers": signers,
        }
        return FlowDetail(_STATES.get(int(data["signFlowStatus"]), "open"), facts)

    async def download(self, flow_id: str) -> bytes:
        """Return the signed document."""
        body = {"urlAvailableDate": 600}
        data = await self._call("POST", f"/v3/sign-flow/{flow_id}/file-download-url", body)
        url = str(data["files"][0]["downloadUrl"])
        answer = await send(self._session, "GET", url, body=b"", headers={}, timeouts=Timeouts())
        if isinstance(answer, Unknown) or answer.status != HTTPStatus.OK:
            raise ProviderSilent("The signed document did not come.")
        return answer.body

    async def revoke(self, flow_id: str) -> None:
        """End a flow that nobody needs any more; a flow that is over stays as it is."""
        try:
            await self._call(
                "POST", f"/v3/sign-flow/{flow_id}/revoke", {"revokeReason": "申请已结束"}
            )
        except ProviderRefused:
            return

    def open(self, headers: Mapping[str, str], query: Mapping[str, str], body: bytes) -> str:
        """
        Return the flow id that a callback is about, empty if it is about none.

        The time stamp stays the first one over all sixteen tries, so its age says nothing.

        Raises:
            CallbackUnsigned: The signature does not hold.
        """
        stamp = headers.get("X-Tsign-Open-TIMESTAMP", "")
        text = (stamp + "".join(query[name] for name in sorted(query))).encode() + body
        expected = hmac.new(self._secret.encode(), text, hashlib.sha256).hexdigest()
        given = headers.get("X-Tsign-Open-SIGNATURE", "")
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise CallbackUnsigned("The signature does not hold.")
        try:
            event = orjson.loads(body)
        except orjson.JSONDecodeError:
            return ""
        return str(event.get("signFlowId", "")) if isinstance(event, dict) else ""

    def _seal(self, order: FlowOrder) -> dict[str, Any]:
        return {
            "signerType": 1,
            "signConfig": {"signOrder": 1},
            "orgSignerInfo": {"orgName": order.merchant_name},
            "signFields": [
                {
                    "fileId": order.file_id,
                    "customBizNum": order.flow_no,
                    "normalSignFieldConfig": _SEAL,
                }
            ],
        }

    def _customer(self, order: FlowOrder) -> dict[str, Any]:
        person = order.applicant
        return {
            "signerType": 0,
            "signConfig": {"signOrder": 2},
            "psnSignerInfo": {
                "psnAccount": person.phone,
                "psnInfo": {
                    "psnName": person.name,
                    "psnIDCardNum": person.id_number,
                    "psnIDCardType": "CRED_PSN_CH_IDCARD",
                },
            },
            "signFields": [
                {
                    "fileId": order.file_id,
                    "customBizNum": order.flow_no,
                    "normalSignFieldConfig": _SIGN,
                }
            ],
        }

    async def _call(
        self, method: str, path: str, content: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        body = b"" if content is None else orjson.dumps(content)
        checksum = _md5(body) if body else ""
        text = f"{method}\n*/*\n{checksum}\n{_JSON}\n\n{path}"
        signature = hmac.digest(self._secret.encode(), text.encode(), "sha256")
        headers = {
            "X-Tsign-Open-App-Id": self._app_id,
            "X-Tsign-Open-Auth-Mode": "Signature",
            "X-Tsign-Open-Ca-Timestamp": str(int(self._clock.now().timestamp() * 1000)),
            "X-Tsign-Open-Ca-Signature": base64.b64encode(signature).decode(),
            "Accept": "*/*",
            "Content-Type": _JSON,
            "Content-MD5": checksum,
        }
        answer = await send(
            self._session,
            method,
            self._url + path,
            body=body,
            headers=headers,
            timeouts=Timeouts(),
        )
        if isinstance(answer, Unknown):
            raise ProviderSilent("The e-contract provider did not answer.")
        return _data(answer)


def _data(answer: Answer) -> dict[str, Any]:
    try:
        content = orjson.loads(answer.body)
        code = content["code"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ProviderSilent("The e-contract provider's answer is odd.") from error
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in _RETRY:
        raise ProviderSilent("The e-contract provider is busy.", provider_code=code)
    if code != 0:
        raise ProviderRefused("The e-contract provider refused.", provider_code=code)
    data: dict[str, Any] = content.get("data") or {}
    return data


def _md5(raw: bytes) -> str:
    # The provider's own choice of checksum; the signature is HMAC-SHA-256.
    return base64.b64encode(hashlib.md5(raw, usedforsecurity=False).digest()).decode()
