"""How much a process and a caller may ask for, and what is going on right now."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

REMEMBERED_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator tunes; the body limit stands at each endpoint."""

    timeout_s: float = 30.0
    """Time for one request, reading its body included."""
    concurrent: int = 256
    """Requests in work at once; more are told to come again."""
    per_key_per_s: float = 1000.0
    """Lasting rate of one key in one process."""
    per_key_burst: int = 2000
    """How many requests of one key may come at once."""
    lookups_per_s: float = 200.0
    """How often keys we do not remember are looked for in the database."""


@dataclass(slots=True)
class Activity:
    """What a supervisor asks to see whether a process is idle; endpoints only, no probes."""

    in_flight: int = 0
    served: int = 0


ACTIVITY: Final = web.AppKey("activity", Activity)


@dataclass(slots=True)
class Bucket:
    """A token bucket; the caller tells the time in seconds of a monotonic clock."""

    rate_per_s: float
    size: float
    tokens: float = field(init=False)
    filled_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.tokens = self.size

    def take(self, at: float) -> float:
        """Take one token and return 0, or return how many seconds there is none."""
        gained = max(0.0, at - self.filled_at) * self.rate_per_s
        self.tokens = min(self.size, self.tokens + gained)
        self.filled_at = at
        if self.tokens < 1.0:
            return (1.0 - self.tokens) / self.rate_per_s
        self.tokens -= 1.0
        return 0.0


class Buckets:
    """One bucket per key; those not used for longest are forgotten first."""

    def __init__(self, *, rate_per_s: float, size: float) -> None:
        self.rate_per_s = rate_per_s
        self.size = size
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, key: str) -> Bucket:
        """Return the bucket of *key*."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = Bucket(self.rate_per_s, self.size)
            self._buckets[key] = bucket
            if len(self._buckets) > REMEMBERED_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket


def monotonic_s() -> float:
    """Return seconds of a clock that only measures, e.g. for rates and latencies."""
    return time.monotonic()
