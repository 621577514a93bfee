"""The one place where time is read; everywhere else `now` is an argument."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time of the business."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC."""
        return datetime.now(UTC)


class TestClock:
    """A clock that an operator moves; for the sandbox and for tests only."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    def __init__(self, now: datetime) -> None:
        """Start at *now*, which must be aware."""
        self._now = _aware(now)

    def now(self) -> datetime:
        """Return the instant last set."""
        return self._now

    def set(self, now: datetime) -> None:
        """
        Move to *now*; moving to the present moment changes nothing.

        Raises:
            ValueError: *now* is naive, or earlier than the present moment.
        """
        if _aware(now) < self._now:
            raise ValueError(f"Time does not run backwards: {now} < {self._now}")
        self._now = now.astimezone(UTC)

    def advance(self, **delta: float) -> None:
        """Move forward by a timedelta given as keywords, e.g. ``days=1``."""
        self.set(self._now + timedelta(**delta))


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"Naive instant: {moment}")
    return moment.astimezone(UTC)
