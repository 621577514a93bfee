"""Instants as Chinese providers write them: without a zone, on China's clocks."""

from datetime import UTC, datetime

from shared.calendar import CHINA


def china_text(moment: datetime) -> str:
    """Return ``yyyy-MM-dd HH:mm:ss`` as China's clocks show *moment*."""
    return moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def from_china(text: str) -> datetime:
    """
    Return the instant, in UTC, of a ``yyyy-MM-dd HH:mm:ss`` on China's clocks.

    Raises:
        ValueError: It is not written so.
    """
    local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    return local.astimezone(UTC)


def milliseconds(moment: datetime) -> int:
    """Return Unix milliseconds."""
    return round(moment.timestamp() * 1000)


def within(moment: datetime, *, of: datetime, seconds: float) -> bool:
    """Tell whether two instants are at most *seconds* apart."""
    return abs((moment - of).total_seconds()) <= seconds
