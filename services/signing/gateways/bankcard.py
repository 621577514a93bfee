"""Bank cards through a licensed aggregator: contracts signed by SMS code on its own page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final, assert_never

from services.signing.domain.application import Applicant
from services.signing.domain.errors import CallbackUnsigned, ProviderRefused, ProviderSilent
from services.signing.domain.mandate import Ended, Granted, Mandate, MandateState, Told
from services.signing.gateways.mandate_rail import Invitation, understood
from shared.rails.card import CardClient, read_time
from shared.rails.outcome import BadSignature, Ok, Outcome, Refused, Unknown

_GONE: Final = frozenset({"CONTRACT_NOT_FOUND", "CONTRACT_ENDED"})


@dataclass(frozen=True, slots=True)
class CardNotice:
    """A verified notification; ``told`` is None if it is about something else than contracts."""

    delivery_key: str
    external_no: str
    told: Told | None


class CardMandates:
    """The mandate rail, and the notifications about it; no card number ever comes here."""

    def __init__(self, client: CardClient, *, notify_url: str) -> None:
        self._client = client
        self._notify_url = notify_url

    async def invite(self, mandate: Mandate, applicant: Applicant) -> Invitation:
        """
        Return the page on which the customer names the card and enters the bank's code.

        Raises:
            ProviderSilent, ProviderRefused: There is no page; asking again is safe.
        """
        outcome = await self._client.call(
            "sign",
            {
                "external_no": mandate.external_no,
                "user_no": mandate.payer_no,
                "ceiling_fen": mandate.ceiling_fen,
                "periods": mandate.periods,
                "name": applicant.name,
                "cert_no": applicant.id_number,
                "phone": applicant.phone,
                "notify_url": self._notify_url,
            },
        )
        match outcome:
            case Ok(data):
                return Invitation(
                    sign_str=str(data.get("sign_token", "")), path=str(data.get("page_url", ""))
                )
            case Refused(code):
                raise ProviderRefused("The aggregator invites nobody.", provider_code=code)
            case Unknown(reason):
                raise ProviderSilent("The aggregator did not answer.", reason=reason)
            case _:
                assert_never(outcome)

    async def look(self, mandate: Mandate, *, now: datetime) -> Told | None:
        """Ask by our own number, which the aggregator knows from the first moment."""
        return _told(await self._query(mandate), mandate, now=now)

    async def end(self, mandate: Mandate, *, now: datetime) -> Ended | None:
        """End the contract, then ask: only "gone" counts."""
        await self._client.call("end_contract", {"external_no": mandate.external_no})
        outcome = await self._query(mandate)
        gone = isinstance(outcome, Refused) and outcome.code in _GONE
        ended = isinstance(outcome, Ok) and outcome.data.get("state") == "ENDED"
        return Ended(at=now) if gone or ended else None

    def open(self, headers: Mapping[str, str], body: bytes) -> CardNotice:
        """
        Return what a notification says.

        Raises:
            CallbackUnsigned: It is not the aggregator's.
        """
        try:
            note = self._client.open_notification(headers, body)
        except BadSignature as error:
            raise CallbackUnsigned("The signature does not hold.") from error
        fields = {name: str(value) for name, value in note.data.items()}
        ours = note.merchant_no == self._client.config.merchant_no
        return CardNotice(
            delivery_key=note.notify_id,
            external_no=fields.get("external_no", "") if ours else "",
            told=understood(partial(_notified, note.kind), fields),
        )

    async def _query(self, mandate: Mandate) -> Outcome:
        return await self._client.call("query_contract", {"external_no": mandate.external_no})


def _told(outcome: Outcome, mandate: Mandate, *, now: datetime) -> Told | None:
    match outcome:
        case Ok(data) if data.get("state") == "ACTIVE":
            return _granted(data)
        case Ok(data) if data.get("state") == "ENDED":
            return _ended(data, now=now)
        case Refused(code) if code in _GONE and mandate.state is not MandateState.PENDING:
            return Ended(at=now)
        case Ok() | Refused() | Unknown():
            return None
        case _:
            assert_never(outcome)


def _notified(kind: str, fields: Mapping[str, str]) -> Told | None:
    match kind:
        case "CONTRACT_SIGNED":
            return _granted(fields)
        case "CONTRACT_ENDED":
            return _ended(fields, now=None)
        case _:
            return None


def _granted(fields: Mapping[str, Any]) -> Granted:
    at = read_time(fields["signed_at"])
    if at is None:
        raise ValueError("no time of signing")
    until = str(fields.get("valid_until") or "")
    return Granted(
        at=at,
        rail_agreement_no=str(fields["contract_no"]),
        payer_no=str(fields.get("user_no", "")),
        valid_until=date.fromisoformat(until) if until else None,
    )


def _ended(fields: Mapping[str, Any], *, now: datetime | None) -> Ended:
    at = read_time(fields.get("ended_at")) or now
    if at is None:
        raise ValueError("no time of its end")
    return Ended(at=at, expired=fields.get("ended_by") == "expiry")
