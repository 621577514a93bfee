"""WeChat Pay: entrusted-deduction contracts and what the rail tells of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, assert_never

from services.signing.domain.application import Applicant
from services.signing.domain.errors import CallbackUnsigned
from services.signing.domain.mandate import Ended, Granted, Mandate, MandateState, Told
from services.signing.gateways.mandate_rail import Invitation, understood
from shared.calendar import CHINA
from shared.rails import wechatpay_calls
from shared.rails.outcome import BadSignature, Ok, Outcome, Refused, Unknown
from shared.rails.wechatpay import WechatPayClient
from shared.rails.wechatpay_calls import SIGN_APP_ID, SIGN_PATH, Contract

_SIGNED: Final = "0"
_EXPIRED: Final = "1"
_GONE: Final = frozenset({"CONTRACT_NOT_EXIST", "CONTRACTERROR"})
"""Only these say that there is no contract; a refusal for another reason says nothing of it."""
_REMARK: Final = "协议已结束"


@dataclass(frozen=True, slots=True)
class ContractNotice:
    """A verified notification about a contract; ``told`` is None if it says neither."""

    delivery_key: str
    external_no: str
    told: Told | None


class WechatMandates:
    """The mandate rail, and the notifications about it."""

    def __init__(self, client: WechatPayClient, *, plan_id: str, notify_url: str) -> None:
        self._client = client
        self._plan_id = plan_id
        self._notify_url = notify_url

    async def invite(self, mandate: Mandate, applicant: Applicant) -> Invitation:
        """Return ``extraData`` for WeChat Pay's own mini-program."""
        contract = Contract(
            contract_code=mandate.external_no,
            plan_id=self._plan_id,
            request_serial=mandate.serial,
            display_account=f"{applicant.name[:1]}**",
        )
        extra = wechatpay_calls.sign_extra_data(self._client, contract, notify_url=self._notify_url)
        return Invitation(extra_data=extra, app_id=SIGN_APP_ID, path=SIGN_PATH)

    async def look(self, mandate: Mandate, *, now: datetime) -> Told | None:
        """Ask by the contract's id, or by template and our code while it is not known."""
        return _told(await self._query(mandate), mandate, now=now)

    async def end(self, mandate: Mandate, *, now: datetime) -> Ended | None:
        """Delete the contract, then ask until the rail says that it is not signed."""
        number = mandate.rail_agreement_no
        if not number:
            outcome = await self._query(mandate)
            if isinstance(outcome, Refused) and outcome.code in _GONE:
                return Ended(at=now)
            number = str(outcome.data.get("contract_id", "")) if isinstance(outcome, Ok) else ""
        if not number:
            return None
        await wechatpay_calls.delete_contract(self._client, contract_id=number, remark=_REMARK)
        outcome = await wechatpay_calls.query_contract(self._client, contract_id=number)
        if isinstance(outcome, Ok) and outcome.data.get("contract_state") != _SIGNED:
            return Ended(at=now)
        return None

    def open(self, body: bytes) -> ContractNotice:
        """
        Return what a notification says.

        Raises:
            CallbackUnsigned: It is not WeChat Pay's.
        """
        try:
            fields = self._client.open_v2_notification(body)
        except BadSignature as error:
            raise CallbackUnsigned("The signature does not hold.") from error
        names = ("contract_id", "change_type", "operate_time")
        return ContractNotice(
            delivery_key=":".join(fields.get(name, "") for name in names),
            external_no=fields.get("contract_code", ""),
            told=understood(_notified, fields),
        )

    async def _query(self, mandate: Mandate) -> Outcome:
        if mandate.rail_agreement_no:
            return await wechatpay_calls.query_contract(
                self._client, contract_id=mandate.rail_agreement_no
            )
        return await wechatpay_calls.query_contract(
            self._client, plan_id=self._plan_id, contract_code=mandate.external_no
        )


def _told(outcome: Outcome, mandate: Mandate, *, now: datetime) -> Told | None:
    match outcome:
        case Ok(data) if data.get("contract_state") == _SIGNED:
            return _granted(data, at=str(data["contract_signed_time"]))
        case Ok(data) if data.get("contract_id"):
            ended_at = str(data.get("contract_terminated_time", ""))
            return Ended(
                at=_time(ended_at) if ended_at else now,
                expired=data.get("contract_termination_mode") == _EXPIRED,
            )
        case Refused(code) if code in _GONE and mandate.state is MandateState.CLOSING:
            return Ended(at=now)
        case Ok() | Refused() | Unknown():
            return None
        case _:
            assert_never(outcome)


def _notified(fields: Mapping[str, str]) -> Told | None:
    match fields.get("change_type"):
        case "ADD":
            return _granted(fields, at=fields["operate_time"])
        case "DELETE":
            return Ended(
                at=_time(fields["operate_time"]),
                expired=fields.get("contract_termination_mode") == _EXPIRED,
            )
        case _:
            return None


def _granted(fields: Mapping[str, Any], *, at: str) -> Granted:
    expires = str(fields.get("contract_expired_time", ""))
    return Granted(
        at=_time(at),
        rail_agreement_no=str(fields["contract_id"]),
        payer_no=str(fields.get("openid", "")),
        valid_until=date.fromisoformat(expires[:10]) if expires else None,
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)
