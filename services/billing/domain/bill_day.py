"""A bill's day from expected to closed, its tickets, and when to look again."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.billing.domain.errors import ResolutionForbidden, TicketResolved
from shared.calendar import at_in_china, day_in_china
from shared.ids import derived_id


class DayState(StrEnum):
    """Where a day stands; it moves forward only."""

    EXPECTED = "expected"
    FETCHED = "fetched"
    MATCHED = "matched"
    CLOSED = "closed"


class TicketKind(StrEnum):
    """What differs."""

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT_DIFFERS = "amount_differs"
    BROKEN_ROW = "broken_row"
    NO_BILL = "no_bill"


class Cause(StrEnum):
    """Why a line is missing here; other tickets name a fault of the bill or row."""

    UNKNOWN_NUMBER = "unknown_number"
    NOT_SETTLED = "not_settled"
    LISTED_TWICE = "listed_twice"


class Resolution(StrEnum):
    """How a difference ended; the first five are found out, the others a person says."""

    SETTLED_HERE = "settled_here"
    SURPLUS_REFUNDED = "surplus_refunded"
    NOT_MOVED = "not_moved"
    OTHER_DAY = "other_day"
    BILL_CAME = "bill_came"
    ACCEPTED = "accepted"
    CORRECTED_AT_RAIL = "corrected_at_rail"
    REFUNDED_OTHERWISE = "refunded_otherwise"


BY_PEOPLE: Final = frozenset(
    {Resolution.ACCEPTED, Resolution.CORRECTED_AT_RAIL, Resolution.REFUNDED_OTHERWISE}
)

FETCH_HOUR: Final = 10
"""Bills are ready from 09:00 of the next day on.  Source: both rails' pages, "after 10:00"."""

RETRY_HOURS: Final = (11, 12, 14, 16, 18, 21)
"""Hours in China at which a bill that was not there, or not usable, is asked for again."""

LEASE: Final = timedelta(minutes=10)
"""How long a day rests when whoever worked on it is gone; renewed with every batch of lines."""

LATE_DAYS: Final = 3
"""How many days back a charge that we learned of late is still looked for in bills."""


@dataclass(frozen=True, slots=True)
class BillDay:
    """The bill of one day of our account at one rail."""

    day_id: UUID
    rail: str
    account_no: str
    day: date
    state: DayState
    next_at: datetime | None
    fence: int
    tries: int
    refused: str | None
    lines: int
    matched_to: int
    compared: bool
    charges: int
    refunds: int
    captured_fen: int
    refunded_fen: int
    fee_fen: int
    opened_at: datetime
    fetched_at: datetime | None
    matched_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """One difference, with the amounts of both sides in fen; None where a side has none."""

    ticket_id: UUID
    day_id: UUID
    rail: str
    day: date
    kind: TicketKind
    what: str
    cause: str
    number: str
    line_no: int
    merchant_id: UUID | None
    agreement_id: UUID | None
    attempt_id: UUID | None
    refund_id: UUID | None
    rail_fen: int | None
    our_fen: int | None
    opened_at: datetime
    resolution: Resolution | None
    reason: str | None
    resolved_by: str | None
    resolved_at: datetime | None


def day_id_of(rail: str, account_no: str, day: date) -> UUID:
    """Return the one id of a bill's day."""
    return derived_id("bill_day", rail, account_no, day)


def bounds(day: date) -> tuple[datetime, datetime]:
    """Return the instants at which *day* begins and ends in China."""
    return at_in_china(day, 0), at_in_china(day + timedelta(days=1), 0)


def next_fetch_at(now: datetime) -> datetime:
    """Return when to ask for a bill again: a round hour of today, or tomorrow at ten."""
    today = day_in_china(now)
    later = [at_in_china(today, hour) for hour in RETRY_HOURS]
    tomorrow = at_in_china(today + timedelta(days=1), FETCH_HOUR)
    return next((moment for moment in later if moment > now), tomorrow)


def may_resolve(ticket: Ticket, resolution: Resolution) -> None:
    """
    Refuse what a person cannot say of *ticket*.

    A day without a usable bill is not explained by anybody's word: a bill must come.

    Raises:
        TicketResolved: It has been resolved before, in another way.
        ResolutionForbidden: This resolution is not a person's to give, or not here.
    """
    if ticket.resolution is not None:
        raise TicketResolved("It is resolved already.", resolution=ticket.resolution.value)
    if resolution not in BY_PEOPLE or ticket.kind is TicketKind.NO_BILL:
        raise ResolutionForbidden(
            "This cannot be said of this difference.",
            kind=ticket.kind.value,
            resolution=resolution.value,
        )
