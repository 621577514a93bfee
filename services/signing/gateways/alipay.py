"""Alipay: cycle-pay mandates, the brief score, and what the gateway tells us by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final, assert_never

from services.signing.domain.application import Applicant
from services.signing.domain.credit_tiers import Answer
from services.signing.domain.errors import CallbackUnsigned, ProviderRefused, ProviderSilent
from services.signing.domain.mandate import Ended, Granted, Mandate, MandateState, Told
from services.signing.gateways.mandate_rail import Invitation, understood
from shared.rails import alipay_calls
from shared.rails.alipay import AlipayClient, read_time
from shared.rails.alipay_calls import PeriodRule, SignPage
from shared.rails.outcome import BadSignature, Ok, Outcome, Refused, Unknown

GONE: Final = frozenset({"USER_AGREEMENT_NOT_EXIST", "AGREEMENT_HAS_UNSIGNED"})
"""The two ways in which the gateway says that an agreement is not, or no longer, there."""

PRODUCT_CODE: Final = "CYCLE_PAY_AUTH"
PERSONAL_PRODUCT_CODE: Final = "CYCLE_PAY_AUTH_P"
SIGN_SCENE: Final = "INDUSTRY|SUPERMARKET"
"""Nearest to pet goods; the merchant's own contract decides."""

_SIGNED: Final = "dut_user_sign"
_UNSIGNED: Final = "dut_user_unsign"


@dataclass(frozen=True, slots=True)
class Notice:
    """A verified notification; ``told`` is None if it is about something else than mandates."""

    delivery_key: str
    external_no: str
    told: Told | None


class AlipayMandates:
    """The mandate rail, and the notifications about it."""

    def __init__(self, client: AlipayClient, *, notify_url: str) -> None:
        self._client = client
        self._notify_url = notify_url

    async def invite(self, mandate: Mandate, applicant: Applicant) -> Invitation:
        """Return ``signStr`` for ``my.paySignCenter``, bound to this person's real name."""
        page = SignPage(
            external_agreement_no=mandate.external_no,
            sign_scene=SIGN_SCENE,
            product_code=PRODUCT_CODE,
            personal_product_code=PERSONAL_PRODUCT_CODE,
            period_rule=PeriodRule(
                execute_day=mandate.first_due_on,
                single_amount_fen=mandate.ceiling_fen,
                total_amount_fen=mandate.total_fen,
                total_payments=mandate.periods,
            ),
            identity={
                "user_name": applicant.name,
                "cert_no": applicant.id_number,
                "sign_user_id": mandate.payer_no,
            },
        )
        sign_str = await alipay_calls.sign_page_string(
            self._client, page, notify_url=self._notify_url
        )
        return Invitation(sign_str=sign_str)

    async def look(self, mandate: Mandate, *, now: datetime) -> Told | None:
        """Ask by Alipay's number, or by ours while it is not known."""
        return _told(await self._query(mandate), mandate, now=now)

    async def end(self, mandate: Mandate, *, now: datetime) -> Ended | None:
        """Unsign, then ask: only the query's "not there" counts."""
        if mandate.rail_agreement_no:
            await alipay_calls.unsign(
                self._client,
                agreement_no=mandate.rail_agreement_no,
                notify_url=self._notify_url,
            )
        outcome = await self._query(mandate)
        if isinstance(outcome, Refused) and outcome.code in GONE:
            return Ended(at=now)
        if isinstance(outcome, Ok) and not mandate.rail_agreement_no:
            # It was signed under our number without our knowing: end that.
            number = str(outcome.data.get("agreement_no", ""))
            await alipay_calls.unsign(
                self._client, agreement_no=number, notify_url=self._notify_url
            )
        return None

    def open(self, body: bytes) -> Notice:
        """
        Return what a notification says.

        Raises:
            CallbackUnsigned: It is not Alipay's.
        """
        try:
            notification = self._client.open_notification(body)
        except BadSignature as error:
            raise CallbackUnsigned("The signature does not hold.") from error
        fields = notification.fields
        return Notice(
            delivery_key=":".join(notification.inbox_key),
            external_no=fields.get("external_agreement_no", ""),
            told=understood(partial(_notified, notification.kind), fields),
        )

    async def _query(self, mandate: Mandate) -> Outcome:
        if mandate.rail_agreement_no:
            return await alipay_calls.query_agreement(
                self._client, agreement_no=mandate.rail_agreement_no
            )
        return await alipay_calls.query_agreement(
            self._client,
            external_agreement_no=mandate.external_no,
            sign_scene=SIGN_SCENE,
            personal_product_code=PERSONAL_PRODUCT_CODE,
        )


async def brief_score(
    client: AlipayClient, *, transaction_no: str, applicant: Applicant, threshold: int
) -> tuple[Answer, str]:
    """
    Return whether a person's score reaches *threshold*, and the provider's own number.

    The same *transaction_no* within a day gives the same answer and costs nothing.

    Raises:
        ProviderSilent: Nobody knows; ask again with the same number.
        ProviderRefused: The question itself was refused.
    """
    outcome = await alipay_calls.brief_score(
        client,
        transaction_id=transaction_no,
        cert_no=applicant.id_number,
        name=applicant.name,
        threshold=threshold,
    )
    match outcome:
        case Ok(data):
            answers = {"Y": Answer.PASSED, "N": Answer.BELOW}
            given = answers.get(str(data.get("is_admittance")), Answer.NO_SCORE)
            return given, str(data.get("biz_no", ""))
        case Refused(code):
            raise ProviderRefused("The score was refused.", provider_code=code)
        case Unknown(reason):
            raise ProviderSilent("The score provider did not answer.", reason=reason)
        case _:
            assert_never(outcome)


def _told(outcome: Outcome, mandate: Mandate, *, now: datetime) -> Told | None:
    match outcome:
        case Ok(data):
            return _granted(data) if data.get("status") == "NORMAL" else None
        case Refused(code) if code in GONE and mandate.state is not MandateState.PENDING:
            return Ended(at=now)
        case Refused() | Unknown():
            return None
        case _:
            assert_never(outcome)


def _notified(kind: str, fields: Mapping[str, str]) -> Told | None:
    if kind == _SIGNED and fields.get("status") == "NORMAL":
        return _granted(fields)
    if kind == _UNSIGNED:
        return Ended(at=read_time(fields.get("unsign_time") or fields["notify_time"]))
    return None


def _granted(fields: Mapping[str, Any]) -> Granted:
    invalid = str(fields.get("invalid_time", ""))
    payer = fields.get("alipay_user_id") or fields.get("alipay_open_id")
    return Granted(
        at=read_time(str(fields["sign_time"])),
        rail_agreement_no=str(fields["agreement_no"]),
        payer_no=str(payer or fields.get("principal_id") or fields.get("principal_open_id") or ""),
        valid_until=date.fromisoformat(invalid[:10]) if invalid else None,
    )
