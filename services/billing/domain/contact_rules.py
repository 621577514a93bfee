"""
Who may be spoken to about a missed period, when, and how often.

Written for lenders, kept for everybody (GB/T 45251-2025; rules DN-01, DN-02, DN-03).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.calendar import CHINA, at_in_china, day_in_china

OPENS: Final = time(9, 0)
CLOSES: Final = time(20, 0)
"""Law: not 22:00-08:00.  Ours is narrower, and the same as for messages (rule DN-01)."""

A_DAY: Final = 1
A_WEEK: Final = 3
"""Calls, and messages, a day and in any seven days; all staff and channels together (DN-02)."""

WEEK: Final = timedelta(days=7)
AGAIN_HOUR: Final = 10


class ContactKind(StrEnum):
    """How somebody was spoken to."""

    MESSAGE = "message"
    CALL = "call"


class Direction(StrEnum):
    """Who began; what the customer begins is never counted or refused."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


class Person(StrEnum):
    """Who is spoken to; only the first of them may be."""

    CUSTOMER = "customer"
    FAMILY = "family"
    EMPLOYER = "employer"
    EMERGENCY_CONTACT = "emergency_contact"
    OTHER = "other"


class ContactRefusal(StrEnum):
    """Why a contact must not be made."""

    THIRD_PARTY = "third_party"
    QUIET_HOURS = "quiet_hours"
    CAP_DAY = "cap_day"
    CAP_WEEK = "cap_week"
    ON_HOLD = "on_hold"


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact; ``about`` is a rung or a task's kind, ``made_by`` a staff reference or a job."""

    contact_id: UUID
    merchant_id: UUID
    customer_id: UUID
    agreement_id: UUID
    instalment_id: UUID | None
    task_id: UUID | None
    kind: ContactKind
    direction: Direction
    channels: tuple[str, ...]
    about: str
    outcome: str | None
    made_by: str
    made_at: datetime


def refusals(
    kind: ContactKind,
    person: Person,
    past: Iterable[Contact],
    *,
    holds: Iterable[str] = (),
    now: datetime,
) -> tuple[ContactRefusal, ...]:
    """Return every reason why this contact must not be made now; none means that it may."""
    found = []
    if person is not Person.CUSTOMER:
        found.append(ContactRefusal.THIRD_PARTY)
    if not inside_hours(now):
        found.append(ContactRefusal.QUIET_HOURS)
    days = _days(kind, past)
    today = day_in_china(now)
    if days.count(today) >= A_DAY:
        found.append(ContactRefusal.CAP_DAY)
    if sum(today - WEEK < day <= today for day in days) >= A_WEEK:
        found.append(ContactRefusal.CAP_WEEK)
    if tuple(holds):
        found.append(ContactRefusal.ON_HOLD)
    return tuple(found)


def inside_hours(now: datetime) -> bool:
    """Return whether anybody may be dunned at this time of day."""
    return OPENS <= now.astimezone(CHINA).time() < CLOSES


def next_allowed(kind: ContactKind, past: Iterable[Contact], *, now: datetime) -> datetime:
    """Return *now* if hours and caps allow a contact, else the first morning on which they do."""
    days = _days(kind, past)
    today = day_in_china(now)
    if inside_hours(now) and _fits(today, days):
        return now
    before_opening = now.astimezone(CHINA).time() < OPENS
    day = today if before_opening else today + timedelta(days=1)
    while not _fits(day, days):
        day += timedelta(days=1)
    return at_in_china(day, AGAIN_HOUR)


def _days(kind: ContactKind, past: Iterable[Contact]) -> list[date]:
    return [
        day_in_china(one.made_at)
        for one in past
        if one.kind is kind and one.direction is Direction.OUTGOING
    ]


def _fits(day: date, days: list[date]) -> bool:
    week = sum(day - WEEK < one <= day for one in days)
    return days.count(day) < A_DAY and week < A_WEEK
