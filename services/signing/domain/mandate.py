"""A mandate: signed and unsigned on the rail, in whatever order we hear of it."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.signing.contract import Rail

CLOSE_WITHIN: Final = timedelta(hours=24)
"""A mandate of an ended agreement must be gone on the rail within a day."""

CLOSE_AGAIN_AFTER: Final = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
)
"""Waits between tries of closing; the last one repeats."""

ASK_AGAIN_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
"""Waits between questions to a provider that has not told us by itself; the last repeats."""


class MandateState(StrEnum):
    """Whether the rail would charge."""

    PENDING = "pending"
    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Mandate:
    """A customer's permission to charge, at one rail, for one agreement."""

    mandate_id: UUID
    merchant_id: UUID
    application_id: UUID
    agreement_id: UUID
    rail: Rail
    product: str
    external_no: str
    payer_no: str
    payee_no: str
    ceiling_fen: int
    first_due_on: date
    total_fen: int
    periods: int
    state: MandateState
    serial: int = 0
    rail_agreement_no: str = ""
    valid_until: date | None = None
    granted_at: datetime | None = None
    ended_at: datetime | None = None
    due_at: datetime | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Granted:
    """The rail says that the customer signed at this moment."""

    at: datetime
    rail_agreement_no: str
    payer_no: str
    valid_until: date | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The rail says that the mandate ended at this moment, or is not there."""

    at: datetime
    expired: bool = False


Told = Granted | Ended


def hear(mandate: Mandate, told: Told, *, now: datetime) -> Mandate:
    """
    Return *mandate* after the rail told something, by notification or query.

    The newest sign or unsign time decides, never the order of arrival; hearing the same
    again changes nothing.
    """
    match told:
        case Granted():
            return _granted(mandate, told, now=now)
        case Ended():
            return _ended(mandate, told, now=now)
        case _:
            assert_never(told)


def close(mandate: Mandate, *, now: datetime) -> Mandate:
    """Return *mandate* on its way out: no longer usable, and to be ended on the rail."""
    match mandate.state:
        case MandateState.PENDING | MandateState.ACTIVE:
            return replace(mandate, state=MandateState.CLOSING, due_at=now, tries=0)
        case (
            MandateState.REVOKED | MandateState.EXPIRED | MandateState.CLOSING | MandateState.CLOSED
        ):
            return mandate
        case _:
            assert_never(mandate.state)


def tried(mandate: Mandate, *, now: datetime) -> Mandate:
    """Return *mandate* after a question or a try of closing that settled nothing."""
    waits = CLOSE_AGAIN_AFTER if mandate.state is MandateState.CLOSING else ASK_AGAIN_AFTER
    return replace(mandate, tries=mandate.tries + 1, due_at=now + wait(waits, mandate.tries))


def wait(waits: tuple[timedelta, ...], tries: int) -> timedelta:
    """Return how long to wait after so many *tries*; the last wait repeats."""
    return waits[min(tries, len(waits) - 1)]


def _granted(mandate: Mandate, told: Granted, *, now: datetime) -> Mandate:
    if mandate.ended_at is not None and mandate.ended_at >= told.at:
        return mandate
    known = replace(
        mandate,
        rail_agreement_no=told.rail_agreement_no,
        valid_until=told.valid_until or mandate.valid_until,
        granted_at=told.at,
    )
    match mandate.state:
        case MandateState.PENDING:
            return replace(known, state=MandateState.ACTIVE, due_at=None, tries=0)
        case MandateState.ACTIVE | MandateState.CLOSING:
            return known
        case MandateState.REVOKED | MandateState.EXPIRED | MandateState.CLOSED:
            # An old invitation was used after all, and nobody waits for it any more.
            return replace(known, state=MandateState.CLOSING, due_at=now, tries=0)
        case _:
            assert_never(mandate.state)


def _ended(mandate: Mandate, told: Ended, *, now: datetime) -> Mandate:
    if mandate.granted_at is not None and told.at < mandate.granted_at:
        return mandate
    match mandate.state:
        case MandateState.PENDING:
            # The customer signed and unsigned before we heard of either.
            state = MandateState.REVOKED
        case MandateState.ACTIVE:
            state = MandateState.EXPIRED if told.expired else MandateState.REVOKED
        case MandateState.CLOSING:
            state = MandateState.CLOSED
        case MandateState.REVOKED | MandateState.EXPIRED | MandateState.CLOSED:
            return mandate
        case _:
            assert_never(mandate.state)
    return replace(mandate, state=state, ended_at=min(told.at, now), due_at=None, tries=0)
