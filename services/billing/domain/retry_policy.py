"""When a declined automatic charge is tried again, and when we stop."""

from datetime import date, datetime, timedelta
from typing import Final, assert_never

from services.billing.domain.charge_calendar import next_slot, within_hours
from shared.calendar import at_in_china, day_in_china
from shared.rails.classes import FailureClass
from shared.rails.permissions import Permission

RETRIES: Final = 2
"""Automatic retries of one period (rule WH-10); a third is forbidden."""

RETRIES_WITHIN: Final = timedelta(hours=24)
"""All of them within a day of the first try (rule WH-10)."""

LAST_SLOT: Final = (17, 45)
"""The last moment of a day at which a retry starts."""

_APART: Final = timedelta(minutes=30)
_BALANCE_AFTER: Final = timedelta(hours=3)
"""Time in which a customer told of an empty account may fill it."""
_PLAN_AFTER: Final = timedelta(minutes=15)


def retry_at(
    failure: FailureClass,
    *,
    auto_tries: int,
    first_tried_at: datetime,
    now: datetime,
    last_day: date | None,
    permission: Permission,
) -> datetime | None:
    """
    Return when to try again after automatic try number *auto_tries* failed, None for never.

    *last_day* is the last day on which the rail takes a charge of this period, None if
    the rail does not say.  Tries are spread by why the last one failed.
    """
    allowed = min(RETRIES + 1, permission.attempts_per_window or RETRIES + 1)
    wait = _wait(failure, now=now)
    if auto_tries >= allowed or wait is None:
        return None
    moment = next_slot(wait)
    latest = first_tried_at + RETRIES_WITHIN
    too_late = moment > latest or (last_day is not None and day_in_china(moment) > last_day)
    if not too_late:
        return moment
    return _last_chance(now) if failure is not FailureClass.LIMIT else None


def _wait(failure: FailureClass, *, now: datetime) -> datetime | None:
    match failure:
        case FailureClass.RETRY_LATER | FailureClass.MERCHANT_ALARM | FailureClass.OUR_MISTAKE:
            return now + _BALANCE_AFTER
        case FailureClass.UNKNOWN | FailureClass.PLAN_ACTION | FailureClass.NUMBER_USED:
            return now + _PLAN_AFTER
        case FailureClass.LIMIT:
            return at_in_china(day_in_china(now) + timedelta(days=1), 9)
        case FailureClass.NEEDS_CUSTOMER | FailureClass.MANDATE_GONE:
            return None
        case _:
            assert_never(failure)


def _last_chance(now: datetime) -> datetime | None:
    """Return the last slot of today if it is far enough from *now*."""
    last = at_in_china(day_in_china(now), *LAST_SLOT)
    return last if last - now >= _APART and within_hours(last) else None
