"""Calendar dates in China: months that clamp, days that begin at midnight there."""

from calendar import monthrange
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

CHINA: Final = ZoneInfo("Asia/Shanghai")


def day_in_china(moment: datetime) -> date:
    """Return the date it is in China at *moment* (aware)."""
    return moment.astimezone(CHINA).date()


def at_in_china(day: date, hour: int, minute: int = 0) -> datetime:
    """Return the instant, in UTC, at which China's clocks show this day and time."""
    return datetime.combine(day, time(hour, minute), CHINA).astimezone(UTC)


def month_day(anchor: date, months: int, *, day: int) -> date:
    """
    Return the *day* of the month that lies *months* after *anchor*'s month.

    A month without that day gives its last one (Civil Code, article 202), and
    because *day* is given each time the result never drifts: 31 January,
    28 February, 31 March.
    """
    count = anchor.year * 12 + anchor.month - 1 + months
    year, month = divmod(count, 12)
    return date(year, month + 1, min(day, monthrange(year, month + 1)[1]))
