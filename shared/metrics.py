"""The figures of a process, as Prometheus reads them from ``/metrics``."""

from collections.abc import Iterable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

REGISTRY: Final = CollectorRegistry()

HTTP_REQUESTS: Final = Counter(
    "yuefu_http_requests_total",
    "Requests answered.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS: Final = Histogram(
    "yuefu_http_request_seconds",
    "Time from the request line to the answer.",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
HTTP_IN_FLIGHT: Final = Gauge("yuefu_http_in_flight", "Requests in work.", registry=REGISTRY)
WEBHOOKS: Final = Counter(
    "yuefu_webhooks_total", "Provider calls kept.", ["provider", "verdict"], registry=REGISTRY
)

EVENTS: Final = Counter(
    "yuefu_events_total",
    "Events by what became of them: applied, repeated, failed (will be tried again), dead.",
    ["consumer", "outcome"],
    registry=REGISTRY,
)
PUBLISHED: Final = Counter(
    "yuefu_events_published_total", "Events the bus has acknowledged.", registry=REGISTRY
)
OUTBOX_PENDING: Final = Gauge(
    "yuefu_outbox_pending", "Events not yet published.", registry=REGISTRY
)
OUTBOX_OLDEST_SECONDS: Final = Gauge(
    "yuefu_outbox_oldest_seconds", "Age of the oldest event not yet published.", registry=REGISTRY
)
DEAD_LETTERS: Final = Gauge(
    "yuefu_dead_letters", "Events that wait for a person.", ["consumer"], registry=REGISTRY
)

JOB_RUNS: Final = Counter(
    "yuefu_job_runs_total", "Runs of a job.", ["job", "ok"], registry=REGISTRY
)

STATE_OLDEST_SECONDS: Final = Gauge(
    "yuefu_state_oldest_seconds",
    "How long the oldest thing in a state that must end has been in it.",
    ["thing", "state"],
    registry=REGISTRY,
)
STATE_COUNT: Final = Gauge(
    "yuefu_state_count",
    "How many things are in a state that must end.",
    ["thing", "state"],
    registry=REGISTRY,
)


RAIL_BREAKER: Final = Gauge(
    "yuefu_rail_breaker",
    "Whether a rail is left alone because it does not answer: 0 no, 1 one order tries, 2 yes.",
    ["rail"],
    registry=REGISTRY,
)


def rail_breaker(rail: str, level: int) -> None:
    """Tell how the breaker of *rail* stands: 0 closed, 1 half open, 2 open."""
    RAIL_BREAKER.labels(rail).set(level)


def request_answered(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request; *route* is the pattern, never the path itself."""
    HTTP_REQUESTS.labels(method, route, status).inc()
    HTTP_SECONDS.labels(method, route).observe(seconds)


def events_handled(consumer: str, *, applied: int, repeated: int = 0) -> None:
    """Count events of one batch: those that did something, those heard before."""
    EVENTS.labels(consumer, "applied").inc(applied)
    EVENTS.labels(consumer, "repeated").inc(repeated)


def event_failed(consumer: str) -> None:
    """Count an event that failed and will come again."""
    EVENTS.labels(consumer, "failed").inc()


def event_buried(consumer: str) -> None:
    """Count an event that ended among the dead letters."""
    EVENTS.labels(consumer, "dead").inc()


def events_published(count: int) -> None:
    """Count events the bus has acknowledged."""
    PUBLISHED.inc(count)


def outbox_waits(pending: int, oldest_s: float) -> None:
    """Tell how much the outbox holds, and for how long already."""
    OUTBOX_PENDING.set(pending)
    OUTBOX_OLDEST_SECONDS.set(oldest_s)


def dead_letters_wait(consumer: str, count: int) -> None:
    """Tell how many dead letters of *consumer* wait for a person."""
    DEAD_LETTERS.labels(consumer).set(count)


def job_ran(job: str, *, ok: bool) -> None:
    """Count one run of *job*."""
    JOB_RUNS.labels(job, "true" if ok else "false").inc()


def state_oldest(thing: str, ages_s: Iterable[tuple[str, float]]) -> None:
    """
    Tell the oldest age in seconds per state of *thing*; states not named become 0.

    Give every non-terminal state that has somebody in it, each time.
    """
    named = dict(ages_s)
    for labels in [key for key in _states_told if key[0] == thing]:
        named.setdefault(labels[1], 0.0)
    for state, age_s in named.items():
        _states_told.add((thing, state))
        STATE_OLDEST_SECONDS.labels(thing, state).set(age_s)


def state_count(thing: str, counts: Iterable[tuple[str, int]]) -> None:
    """Tell how many of *thing* are in each state; states not named become 0."""
    named = dict(counts)
    for labels in [key for key in _counts_told if key[0] == thing]:
        named.setdefault(labels[1], 0)
    for state, count in named.items():
        _counts_told.add((thing, state))
        STATE_COUNT.labels(thing, state).set(count)


_counts_told: Final[set[tuple[str, str]]] = set()
_states_told: Final[set[tuple[str, str]]] = set()


async def show(_: web.Request) -> web.Response:
    """Answer ``/metrics`` in Prometheus' text format."""
    return web.Response(
        body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )
