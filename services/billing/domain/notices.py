"""What a customer must be told before a charge, and when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.calendar import CHINA, at_in_china, day_in_china


class NoticeKind(StrEnum):
    """Who is told what: two by us, one through the rail itself."""

    ADVANCE = "advance"
    REMINDER = "reminder"
    RAIL = "rail"


ADVANCE_BEFORE: Final = timedelta(hours=120)
"""Five days before each debit (rule WH-02)."""

REMINDER_BEFORE: Final = timedelta(hours=48)
"""48 hours of the clock before each debit, on two channels (rule WH-03)."""

CHANNELS: Final = ("sms", "mini_program")
"""Both notices are asked for on both; law wants two for the reminder only."""

RAIL_CHANNEL: Final = "rail"

PLANNED_DAYS_BEFORE: Final = {
    NoticeKind.ADVANCE: 7,
    NoticeKind.REMINDER: 3,
    NoticeKind.RAIL: 2,
}
"""Days before the charge at which each goes out at 10:00: a generous margin over the law."""

PLANNED_HOUR: Final = 10

QUIET_FROM: Final = time(21, 0)
QUIET_UNTIL: Final = time(8, 0)
"""Hours in which nobody is told anything (rule WH-05)."""

NOTICE_COVERS_DAYS: Final = 1
"""A notice for one day also covers retries on the next: it states the retry rule (rule WH-04)."""


@dataclass(frozen=True, slots=True)
class PlannedNotice:
    """One notice owed: asked for at ``send_at``, worthless after ``send_by``."""

    kind: NoticeKind
    send_at: datetime
    send_by: datetime


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that was asked for, about one charge date and amount under one set of terms."""

    notice_id: UUID
    instalment_id: UUID
    merchant_id: UUID
    kind: NoticeKind
    channels: tuple[str, ...]
    charge_on: date
    amount_fen: int
    requested_at: datetime
    send_by: datetime
    terms_no: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """What is on record for one notice on one channel."""

    kind: NoticeKind
    channel: str
    accepted_at: datetime | None
    delivered_at: datetime | None


def plan(charge_at: datetime, *, rail_notice_days: int | None) -> tuple[PlannedNotice, ...]:
    """
    Return the notices owed before a charge at *charge_at*, in order of time.

    *rail_notice_days* is how many days before the charge the rail itself must have told
    the customer, None where it does not.
    """
    day = day_in_china(charge_at)
    owed = [
        _planned(NoticeKind.ADVANCE, day, charge_at - ADVANCE_BEFORE),
        _planned(NoticeKind.REMINDER, day, charge_at - REMINDER_BEFORE),
    ]
    if rail_notice_days is not None:
        last = at_in_china(day - timedelta(days=rail_notice_days), 20)
        owed.append(_planned(NoticeKind.RAIL, day, last))
    return tuple(sorted(owed, key=lambda notice: notice.send_at))


def outside_quiet_hours(moment: datetime) -> datetime:
    """Return *moment*, or the end of the quiet hours that it falls in."""
    local = moment.astimezone(CHINA)
    if local.time() >= QUIET_FROM:
        return at_in_china(local.date() + timedelta(days=1), QUIET_UNTIL.hour)
    if local.time() < QUIET_UNTIL:
        return at_in_china(local.date(), QUIET_UNTIL.hour)
    return moment


def advance_proven(proofs: Iterable[Proof], *, charge_at: datetime) -> bool:
    """Return whether some channel took the advance notice 120 h before *charge_at*."""
    return any(
        proof.kind is NoticeKind.ADVANCE
        and proof.accepted_at is not None
        and proof.accepted_at <= charge_at - ADVANCE_BEFORE
        for proof in proofs
    )


def reminder_proven(proofs: Iterable[Proof], *, charge_at: datetime) -> bool:
    """Return whether both channels took the reminder 48 h before *charge_at*."""
    taken = {
        proof.channel
        for proof in proofs
        if proof.kind is NoticeKind.REMINDER
        and proof.accepted_at is not None
        and proof.accepted_at <= charge_at - REMINDER_BEFORE
    }
    return taken.issuperset(CHANNELS)


def reminder_delivered(proofs: Iterable[Proof]) -> bool:
    """Return whether the reminder reached the customer on at least one channel."""
    return any(
        proof.kind is NoticeKind.REMINDER and proof.delivered_at is not None for proof in proofs
    )


def rail_told_on(proofs: Iterable[Proof]) -> date | None:
    """Return the day in China on which the rail told the customer, None if it did not."""
    days = [
        day_in_china(proof.accepted_at)
        for proof in proofs
        if proof.kind is NoticeKind.RAIL and proof.accepted_at is not None
    ]
    return max(days, default=None)


def _planned(kind: NoticeKind, day: date, send_by: datetime) -> PlannedNotice:
    send_at = at_in_china(day - timedelta(days=PLANNED_DAYS_BEFORE[kind]), PLANNED_HOUR)
    return PlannedNotice(kind, send_at, send_by)
