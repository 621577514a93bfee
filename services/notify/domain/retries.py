"""When to try again, by what went wrong."""

from datetime import datetime, timedelta
from typing import Final, assert_never

from services.notify.domain.hours import round_up
from services.notify.domain.provider import Tracking, Trouble

RETRY_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
)
"""Waits after a provider's own passing errors; then as if it were down."""

DOWN_AFTER_MINUTES: Final = (5, 15, 30, 60)
"""Waits while a provider is away, rounded up to such a mark so that many wait for one moment."""

RATE_AFTER_MINUTES: Final = 60
CONFIG_AFTER_MINUTES: Final = 60
"""A person must look; until then the message is parked and tried once an hour."""

UNSURE_AFTER: Final = timedelta(minutes=15)
"""How long a receipt may settle an unclear answer where nobody can be asked."""

RECEIPT_CHECKS: Final = (timedelta(minutes=30), timedelta(hours=24), timedelta(hours=72))
"""After acceptance: when a missing receipt is asked for; after the last nobody knows."""


def next_try_at(trouble: Trouble, *, tries: int, now: datetime) -> datetime | None:
    """Return when try number *tries* (from 1) that met *trouble* is repeated; None: never."""
    match trouble:
        case Trouble.RETRY if tries <= len(RETRY_AFTER):
            return now + RETRY_AFTER[tries - 1]
        case Trouble.RETRY | Trouble.DOWN:
            return after_outage(tries=tries, now=now)
        case Trouble.RATE:
            return round_up(now + timedelta(minutes=RATE_AFTER_MINUTES), minutes=15)
        case Trouble.CONFIG:
            return round_up(now + timedelta(minutes=CONFIG_AFTER_MINUTES), minutes=60)
        case Trouble.RECIPIENT:
            return None
        case _:
            assert_never(trouble)


def after_outage(*, tries: int, now: datetime) -> datetime:
    """Return a round moment, later after each try: 5, 15, 30 minutes, then hours."""
    minutes = DOWN_AFTER_MINUTES[min(max(tries, 1), len(DOWN_AFTER_MINUTES)) - 1]
    return round_up(now + timedelta(minutes=minutes), minutes=minutes)


def look_up_at(tracking: Tracking, *, tries: int, now: datetime) -> datetime:
    """Return when to find out about an unclear answer."""
    if tracking is Tracking.QUERY:
        return after_outage(tries=tries, now=now)
    return round_up(now + UNSURE_AFTER, minutes=5)


def receipt_check_at(
    tracking: Tracking, *, accepted_at: datetime, now: datetime
) -> datetime | None:
    """Return when a receipt that is still missing is next asked for, None if it never is."""
    match tracking:
        case Tracking.NONE:
            return None
        case Tracking.RECEIPT:
            return round_up(accepted_at + RECEIPT_CHECKS[-1], minutes=60)
        case Tracking.QUERY:
            moments = (round_up(accepted_at + wait, minutes=15) for wait in RECEIPT_CHECKS)
            return next((moment for moment in moments if moment > now), None)
        case _:
            assert_never(tracking)


def given_up(accepted_at: datetime, now: datetime) -> bool:
    """Return whether a receipt is so late that nobody knows any more (72 hours)."""
    return now >= accepted_at + RECEIPT_CHECKS[-1]
