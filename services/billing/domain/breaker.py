"""When a rail rests because it does not answer, and how one order finds out that it is back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from services.billing.domain.findings import (
    Failed,
    Finding,
    RefundFinding,
    RefundPending,
    RefundRefused,
    Unclear,
)
from shared.rails.classes import RATE_LIMITED


class BreakerState(StrEnum):
    """Whether charges start: ``half_open`` lets one through and waits for what comes of it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


OPEN_AFTER: Final = 5
"""So many calls in a row without an answer open the breaker."""

RESTS: Final = (
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=15),
    timedelta(minutes=30),
)
"""How long a rail rests the first, second, ... time in a row; the last one repeats."""

PROBE_WAIT: Final = timedelta(minutes=1)
"""How long the one order may take to show something; then another is let through."""

_DOWN: Final = frozenset({"not_reached", "http_status", "timeout", "disconnected"})


@dataclass(frozen=True, slots=True)
class Breaker:
    """One rail's breaker; ``until_at`` is when the next order may be let through."""

    rail: str
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    opens: int = 0
    opened_at: datetime | None = None
    until_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Beat:
    """What one call to a rail showed; ``down`` is None if it was answered."""

    charge: bool
    down: str | None


def beat_of(finding: Finding | RefundFinding, *, charge: bool) -> Beat:
    """Return what *finding* shows of the rail: no answer, a 5xx, and "too fast" count as down."""
    match finding:
        case Unclear(reason) | RefundPending(reason) if reason in _DOWN | RATE_LIMITED:
            return Beat(charge, reason)
        case Failed(code=code) | RefundRefused(code=code) if code in RATE_LIMITED:
            return Beat(charge, code)
        case _:
            return Beat(charge, None)


def feel(breaker: Breaker, beats: Sequence[Beat], *, now: datetime) -> Breaker:
    """
    Return *breaker* after *beats*, in their order.

    Queries and refunds may open it; only a charge closes it again, since a rail may answer
    questions and take no orders.
    """
    for beat in beats:
        breaker = _felt(breaker, beat, now=now)
    return breaker


def _felt(breaker: Breaker, beat: Beat, *, now: datetime) -> Breaker:
    match breaker.state:
        case BreakerState.CLOSED if beat.down is None:
            return replace(breaker, failures=0) if breaker.failures else breaker
        case BreakerState.CLOSED:
            counted = replace(breaker, failures=breaker.failures + 1, reason=beat.down or "")
            return counted if counted.failures < OPEN_AFTER else _opened(counted, now=now)
        case BreakerState.OPEN:
            return breaker  # a straggler of before
        case BreakerState.HALF_OPEN if not beat.charge:
            return breaker
        case BreakerState.HALF_OPEN if beat.down is None:
            return Breaker(breaker.rail)
        case BreakerState.HALF_OPEN:
            return _opened(replace(breaker, reason=beat.down or ""), now=now)
        case _:
            assert_never(breaker.state)


def _opened(breaker: Breaker, *, now: datetime) -> Breaker:
    rest = RESTS[min(breaker.opens, len(RESTS) - 1)]
    return replace(
        breaker,
        state=BreakerState.OPEN,
        opens=breaker.opens + 1,
        opened_at=breaker.opened_at or now,
        until_at=now + rest,
    )
