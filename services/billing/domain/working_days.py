"""
Working days in China: Monday to Friday.

Public holidays, and the Saturdays and Sundays that are worked for them, are decreed each
autumn for the next year and are not known here: around them a term ends earlier than it
would have to, never later than promised except where a weekend is worked.
"""

from datetime import date, datetime, timedelta
from typing import Final

from shared.calendar import at_in_china, day_in_china

SATURDAY: Final = 5
CLOSING_HOUR: Final = 18
"""A term that ends on a working day ends at 18:00 of it."""


def is_working_day(day: date) -> bool:
    """Return whether offices work on *day*."""
    return day.weekday() < SATURDAY


def after_working_days(moment: datetime, days: int) -> datetime:
    """Return the end of the working day that is *days* working days after *moment*'s day."""
    day, left = day_in_china(moment), days
    while left > 0:
        day += timedelta(days=1)
        left -= is_working_day(day)
    return at_in_china(day, CLOSING_HOUR)
