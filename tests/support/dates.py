"""Dates as people in China say them."""

from datetime import UTC, datetime

from shared.calendar import CHINA


def at(text: str) -> datetime:
    """Return the instant of ``2027-03-15 09:00`` on China's clocks; midnight without a time."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA).astimezone(UTC)


def said(moment: datetime) -> str:
    """Return the day and minute that China's clocks show."""
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
