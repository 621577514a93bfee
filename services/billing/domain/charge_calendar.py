"""When to charge: slots in the day's window, and days that do not collide."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from shared.calendar import CHINA, at_in_china, day_in_china
from shared.rails.permissions import Permission

OPENS: Final = time(9, 0)
CLOSES: Final = time(18, 0)
"""Automatic charges start in these hours only (rule WH-11), so that no bad news comes at night."""

SLOT_MINUTES: Final = 15
FIRST_TRY_SLOTS: Final = 32
"""First tries are spread over 09:00 to 16:45; the last hour is left for retries."""

LOOK_AGAIN: Final = timedelta(minutes=15)
"""How soon something that cannot go on now is looked at again."""

FIRST_CHARGE_AFTER: Final = timedelta(hours=168)
"""Cooling-off of 48 h and the notice of 120 h must both have passed (rule WH-18)."""

POSTPONED_BY_DAYS: Final = 8
"""So that the notice of 120 h, sent the next morning, is generously in time."""


def slot_of(instalment_id: UUID) -> int:
    """Return the quarter-hour slot, 0 to 31, in which this instalment is first tried."""
    # The low bits of a UUID are random in every version that we use.
    return (instalment_id.int & 0xFFFFFFFF) % FIRST_TRY_SLOTS


def charge_moment(instalment_id: UUID, day: date) -> datetime:
    """Return the instant at which this instalment is first tried on *day*."""
    minutes = slot_of(instalment_id) * SLOT_MINUTES
    return at_in_china(day, OPENS.hour + minutes // 60, minutes % 60)


def first_charge(instalment_id: UUID, due_on: date, *, signed_at: datetime) -> datetime:
    """Return the first try of a signed instalment: its own slot, not before 168 h have passed."""
    earliest = signed_at + FIRST_CHARGE_AFTER
    moment = charge_moment(instalment_id, due_on)
    if moment >= earliest:
        return moment
    on_that_day = next_slot(earliest)
    return on_that_day if day_in_china(on_that_day) >= due_on else moment


def next_slot(moment: datetime) -> datetime:
    """Return the first quarter hour at or after *moment* that is within charge hours."""
    local = moment.astimezone(CHINA)
    past = timedelta(
        minutes=local.minute % SLOT_MINUTES, seconds=local.second, microseconds=local.microsecond
    )
    if past:
        local += timedelta(minutes=SLOT_MINUTES) - past
    if local.time() < OPENS:
        return at_in_china(local.date(), OPENS.hour, OPENS.minute)
    if local.time() >= CLOSES:
        return at_in_china(local.date() + timedelta(days=1), OPENS.hour, OPENS.minute)
    return at_in_china(local.date(), local.hour, local.minute)


def within_hours(moment: datetime) -> bool:
    """Return whether an automatic charge may start at *moment*."""
    return OPENS <= moment.astimezone(CHINA).time() < CLOSES


def postponed_day(today: date, *, taken: Collection[date], permission: Permission | None) -> date:
    """
    Return the new charge day after a postponement today: none of *taken*.

    Where the rail announces charges itself, its next announcement is refused as long as
    the last one stands, so the new day lies beyond that.
    """
    window = None if permission is None else permission.notice_window
    days = POSTPONED_BY_DAYS if window is None else window.last_day + window.first_day + 1
    day = today + timedelta(days=days)
    while day in taken:
        day += timedelta(days=1)
    return day


def plan_day(day: date, last_day: int) -> date:
    """Return the first date from *day* on that a rail's plan can hold (day of month <= last)."""
    if day.day <= last_day:
        return day
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
