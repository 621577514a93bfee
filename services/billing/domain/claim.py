"""A customer in hardship, or one who says that a debit was wrong: from report to result."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.billing.domain.errors import (
    ClaimStateForbids,
    DisputeEvidenceMissing,
    OfferUnfit,
)
from shared.calendar import day_in_china


class ClaimKind(StrEnum):
    """What the customer says; also the name of the hold that it places."""

    HARDSHIP = "hardship"
    DISPUTE = "dispute"


class ClaimState(StrEnum):
    """Where a claim stands; every state but the last holds debits and dunning."""

    OPEN = "open"
    ANSWERED = "answered"  # the customer decides about the offer, or is owed a refund
    ACCEPTED = "accepted"  # a pause was accepted and is being entered
    CLOSED = "closed"


class Answer(StrEnum):
    """What the merchant answers to hardship, or what the inquiry into a debit found."""

    POSTPONE = "postpone"
    PAUSE = "pause"
    REFUSE = "refuse"
    AUTHORISED = "authorised"
    NOT_PROVEN = "not_proven"


ANSWER_WORKING_DAYS: Final = {ClaimKind.HARDSHIP: 7, ClaimKind.DISPUTE: 3}
"""Working days until an answer is owed: rule CT-14 (hardship), WH-20 (debits)."""

OFFER_DAYS: Final = 7
"""How long an offer stands; after that the claim closes and everything goes on as signed."""

POSTPONE_DAYS_MAX: Final = 62
PAUSE_PERIODS_MAX: Final = 2
"""A pause is one or two periods (rule S9)."""


@dataclass(frozen=True, slots=True)
class Claim:
    """
    One claim; ``reason`` is a code, ``opened_by``/``answered_by`` references of staff.

    ``evidence`` are references to what proves the finding: mandate, notices, receipts.
    """

    claim_id: UUID
    kind: ClaimKind
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    instalment_id: UUID | None
    reason: str
    state: ClaimState
    opened_at: datetime
    opened_by: str
    answer_due_at: datetime
    answer: Answer | None = None
    offer_to_day: date | None = None
    offer_periods: int | None = None
    offer_until: date | None = None
    evidence: tuple[str, ...] = ()
    answered_at: datetime | None = None
    answered_by: str | None = None
    closed_at: datetime | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered to a customer in hardship."""

    answer: Answer
    to_day: date | None = None
    periods: int | None = None


def answer_hardship(claim: Claim, offer: Offer, *, by: str, now: datetime) -> Claim:
    """
    Return *claim* with an offer that stands for a week, or closed by a refusal.

    Raises:
        ClaimStateForbids: It is no hardship, or was answered before.
        OfferUnfit: The offer lacks its day or its periods, or they are out of bounds.
    """
    _require(claim, ClaimKind.HARDSHIP, ClaimState.OPEN)
    _check(offer, day_in_china(now))
    answered = replace(claim, answer=offer.answer, answered_at=now, answered_by=by)
    if offer.answer is Answer.REFUSE:
        return _closed(answered, "refused", now)
    return replace(
        answered,
        state=ClaimState.ANSWERED,
        offer_to_day=offer.to_day,
        offer_periods=offer.periods,
        offer_until=day_in_china(now) + timedelta(days=OFFER_DAYS),
    )


def decide_offer(claim: Claim, *, accepted: bool, now: datetime) -> Claim:
    """
    Return *claim* after the customer's word about the offer.

    An accepted pause stays held until it has been entered.  Raises ClaimStateForbids.
    """
    _require(claim, ClaimKind.HARDSHIP, ClaimState.ANSWERED)
    if not accepted:
        return _closed(claim, "declined", now)
    if claim.answer is Answer.PAUSE:
        return replace(claim, state=ClaimState.ACCEPTED)
    return _closed(claim, "accepted", now)


def lapse(claim: Claim, *, now: datetime) -> Claim:
    """Return *claim* closed because nobody took the offer in time."""
    _require(claim, ClaimKind.HARDSHIP, ClaimState.ANSWERED)
    return _closed(claim, "lapsed", now)


def find(
    claim: Claim,
    answer: Answer,
    evidence: tuple[str, ...],
    *,
    owed_fen: int,
    by: str,
    now: datetime,
) -> Claim:
    """
    Return a dispute after its inquiry; *owed_fen* is what has not gone back yet.

    Not proven means that the whole charge goes back; the claim stays open until it has.

    Raises:
        ClaimStateForbids: It is no dispute, or was answered before.
        DisputeEvidenceMissing: A debit counts as authorised only with evidence (WH-20).
        OfferUnfit: This is no finding.
    """
    _require(claim, ClaimKind.DISPUTE, ClaimState.OPEN)
    if answer not in {Answer.AUTHORISED, Answer.NOT_PROVEN}:
        raise OfferUnfit("An inquiry finds a debit authorised or not proven.")
    if answer is Answer.AUTHORISED and not evidence:
        raise DisputeEvidenceMissing("Name what proves the authorisation.")
    found = replace(claim, answer=answer, evidence=evidence, answered_at=now, answered_by=by)
    if answer is Answer.AUTHORISED:
        return _closed(found, "authorised", now)
    if owed_fen == 0:
        return _closed(found, "nothing_to_refund", now)
    return replace(found, state=ClaimState.ANSWERED)


def settle(claim: Claim, result: str, *, now: datetime) -> Claim:
    """Return *claim* closed after what was promised has been done; repeats safely."""
    return claim if claim.state is ClaimState.CLOSED else _closed(claim, result, now)


def _closed(claim: Claim, result: str, now: datetime) -> Claim:
    return replace(claim, state=ClaimState.CLOSED, closed_at=now, result=result)


def _require(claim: Claim, kind: ClaimKind, state: ClaimState) -> None:
    if claim.kind is not kind or claim.state is not state:
        raise ClaimStateForbids(
            "The claim does not stand so.", kind=claim.kind.value, state=claim.state.value
        )


def _check(offer: Offer, today: date) -> None:
    match offer.answer:
        case Answer.POSTPONE:
            last = today + timedelta(days=POSTPONE_DAYS_MAX)
            fits = offer.to_day is not None and today < offer.to_day <= last
            fits = fits and offer.periods is None
        case Answer.PAUSE:
            fits = offer.periods is not None and 1 <= offer.periods <= PAUSE_PERIODS_MAX
            fits = fits and offer.to_day is None
        case Answer.REFUSE:
            fits = offer.to_day is None and offer.periods is None
        case Answer.AUTHORISED | Answer.NOT_PROVEN:
            fits = False
    if not fits:
        raise OfferUnfit("The offer lacks its day or periods, or they are out of bounds.")
