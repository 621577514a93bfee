"""What another institution says to an order of ours, and when to ask again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

GAPS: Final = (
    timedelta(minutes=15),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=6),
)
"""Waits between looks at an order that is not decided; the last one repeats."""

LEASE: Final = timedelta(minutes=15)
"""How long who took an order up has it for itself."""


class Verdict(StrEnum):
    """What became of an order; only a query leaves ``unknown``."""

    DONE = "done"
    REFUSED = "refused"
    PENDING = "pending"
    UNSEEN = "unseen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict; *reference* is the other's number, *reason* its code or what was odd."""

    verdict: Verdict
    reference: str | None = None
    reason: str | None = None


def next_look(tries: int, *, now: datetime) -> datetime:
    """Return when to look again after *tries* looks."""
    return now + GAPS[min(max(tries - 1, 0), len(GAPS) - 1)]
