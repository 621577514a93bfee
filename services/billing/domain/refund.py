"""Money back to where it came from: how much of which charge, and the states of one refund."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.billing.domain.errors import (
    RefundAboveRest,
    RefundDone,
    RefundPartsExhausted,
    RefundWindowOver,
)
from services.billing.domain.findings import (
    Refunded,
    RefundFinding,
    RefundPending,
    RefundRefused,
)
from shared.rails.permissions import RefundLimits


class RefundState(StrEnum):
    """Where a refund stands; one of a charge at most is ``sent``."""

    WAITING = "waiting"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


FIRST_QUERY: Final = timedelta(minutes=1)
"""WeChat Pay: query a refund not sooner than a minute after it was asked for."""

AGAIN_AFTER: Final = timedelta(minutes=15)
"""An unclear refund is repeated under its own number every 5 to 30 minutes."""

ASK_PERSON_AFTER: Final = timedelta(days=3)
"""Rule CT-17: our own target; whoever waits longer is looked after by a person."""

HARD_AFTER_DAYS: Final = {"seven_days": 5, "cancelled": 5}
"""Rule CT-17 (Beijing regulations 16): the seven-day right is paid back within five days."""

HARD_AFTER_DAYS_ELSE: Final = 15
"""Rule CT-17: every other refund; beyond it counts as wilful refusal."""


def hard_deadline(asked_at: datetime, reason: str) -> datetime:
    """Return when money asked back at *asked_at* for *reason* must be there at the latest."""
    return asked_at + timedelta(days=HARD_AFTER_DAYS.get(reason, HARD_AFTER_DAYS_ELSE))


def failure_of(refund_id: UUID, times: int) -> str:
    """Return what the task about a refund that failed *times* times is about."""
    return str(refund_id) if times <= 1 else f"{refund_id} {times}"


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund of one charge; ``settlement_id`` None is money that arrived twice."""

    refund_id: UUID
    refund_no: str
    attempt_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    settlement_id: UUID | None
    rail: str
    amount_fen: int
    reason: str
    state: RefundState
    created_at: datetime
    next_at: datetime | None
    tries: int = 0
    settled_at: datetime | None = None
    failure_code: str | None = None


@dataclass(frozen=True, slots=True)
class Refundable:
    """
    A charge and how much of it has neither gone back nor is on its way.

    ``parts`` counts what went back of it or is on its way; ``limits`` are its product's.
    """

    attempt_id: UUID
    instalment_id: UUID
    rail: str
    free_fen: int
    product: str = ""
    paid_at: datetime | None = None
    parts: int = 0
    limits: RefundLimits = field(default=RefundLimits(None, None))


def forbidden(charge: Refundable, *, now: datetime) -> str:
    """Return the code why the rail takes no refund of *charge* any more, empty if it does."""
    limits = charge.limits
    paid_at, days = charge.paid_at, limits.days
    if days is not None and paid_at is not None and now > paid_at + timedelta(days=days):
        return RefundWindowOver.code
    if limits.per_charge is not None and charge.parts >= limits.per_charge:
        return RefundPartsExhausted.code
    return ""


def allocate(
    amount_fen: int, charges: Sequence[Refundable], *, now: datetime
) -> list[tuple[Refundable, int]]:
    """
    Share *amount_fen* out over *charges* in their order, never more than each has free.

    Those whose rail takes no refund any more come last: their share fails, and a person
    finds another way.  The shares add up to *amount_fen* or to all that is free,
    whichever is less.
    """
    shares = []
    for charge in sorted(charges, key=lambda one: bool(forbidden(one, now=now))):
        share = min(amount_fen, charge.free_fen)
        if share > 0:
            shares.append((charge, share))
            amount_fen -= share
    return shares


def retry(refund: Refund, charge: Refundable, *, now: datetime) -> Refund:
    """
    Return *refund* to be asked for at once, under its own number; a failed one waits again.

    Raises:
        RefundDone: The money is back.
        RefundAboveRest: Others have taken what was free of the charge meanwhile.
        RefundWindowOver, RefundPartsExhausted: The rail takes it no more; another way is needed.
    """
    about = {"refund_id": str(refund.refund_id)}
    match refund.state:
        case RefundState.SUCCEEDED:
            raise RefundDone("The money is back already.", **about)
        case RefundState.WAITING | RefundState.SENT:
            return replace(refund, next_at=now)
        case RefundState.FAILED:
            pass
        case _:
            assert_never(refund.state)
    if refund.amount_fen > charge.free_fen:
        raise RefundAboveRest("Less is left of the charge.", rest_fen=charge.free_fen, **about)
    match forbidden(charge, now=now):
        case RefundWindowOver.code:
            raise RefundWindowOver("Paid too long ago.", days=charge.limits.days, **about)
        case RefundPartsExhausted.code:
            raise RefundPartsExhausted("Too many parts.", parts=charge.parts, **about)
    return replace(
        refund, state=RefundState.WAITING, next_at=now, settled_at=None, failure_code=None
    )


def settle(refund: Refund, finding: RefundFinding, *, now: datetime) -> Refund:
    """
    Return *refund* after the rail said something of it, at first or again.

    Only proof of success counts while it waits: any other word is about an earlier try.
    """
    if refund.state is RefundState.SUCCEEDED:
        return refund
    match finding:
        case Refunded():
            return replace(
                refund,
                state=RefundState.SUCCEEDED,
                settled_at=finding.at or now,
                next_at=None,
                failure_code=None,
            )
        case RefundRefused(final=True):
            if refund.state is not RefundState.SENT:
                return refund
            return replace(
                refund,
                state=RefundState.FAILED,
                settled_at=now,
                next_at=None,
                failure_code=finding.code,
            )
        case RefundRefused() | RefundPending():
            if refund.state is not RefundState.SENT:
                return refund
            wait = FIRST_QUERY if refund.tries <= 1 else AGAIN_AFTER
            return replace(refund, state=RefundState.SENT, next_at=now + wait)
        case _:
            assert_never(finding)
