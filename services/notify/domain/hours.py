"""When a message may go out: quiet hours in China, and round moments."""

from datetime import UTC, datetime, time, timedelta
from typing import Final, assert_never

from services.notify.contract.states import Channel, Kind
from shared.calendar import CHINA, at_in_china

AWAKE: Final = (time(8, 0), time(21, 0))
"""Nobody is told what can wait from 21:00 to 08:00 (rule WH-05)."""
DUNNING: Final = (time(9, 0), time(20, 0))
"""No contact 22:00-08:00; our own window is narrower (rule DN-01, GB/T 45251-2025)."""
MARKETING: Final = (time(8, 0), time(21, 59))
"""Aliyun and the carriers take commercial messages 08:00-21:59."""


def earliest(kind: Kind, channel: Channel, now: datetime) -> datetime:
    """
    Return when a message of *kind* wanted *now* may go out, at the earliest.

    What is owed before a charge, and news of the contract, go at once: their planners
    choose the hour.  A failed charge is told at once inside the mini-program and by SMS
    outside quiet hours (rule WH-11).
    """
    match kind:
        case Kind.NOTICE | Kind.CONTRACT:
            return now
        case Kind.PAYMENT_FAILED:
            return now if channel is Channel.MINI_PROGRAM else _inside(AWAKE, now)
        case Kind.SERVICE:
            return _inside(AWAKE, now)
        case Kind.DUNNING:
            return _inside(DUNNING, now)
        case Kind.MARKETING:
            return _inside(MARKETING, now)
        case _:
            assert_never(kind)


def next_morning(kind: Kind, now: datetime) -> datetime:
    """Return tomorrow's first moment of the window of *kind*."""
    opens, _ = DUNNING if kind is Kind.DUNNING else AWAKE
    day = now.astimezone(CHINA).date() + timedelta(days=1)
    return at_in_china(day, opens.hour, opens.minute)


def round_up(moment: datetime, *, minutes: int) -> datetime:
    """Return the first multiple of *minutes* of the hour that is not before *moment*."""
    step_s = minutes * 60
    seconds = -(-int(moment.timestamp() * 1_000_000) // (step_s * 1_000_000)) * step_s
    return datetime.fromtimestamp(seconds, UTC)


def _inside(window: tuple[time, time], now: datetime) -> datetime:
    opens, closes = window
    local = now.astimezone(CHINA)
    if opens <= local.time() < closes:
        return now
    day = local.date() if local.time() < opens else local.date() + timedelta(days=1)
    return at_in_china(day, opens.hour, opens.minute)
