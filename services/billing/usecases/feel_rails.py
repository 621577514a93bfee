"""Remember whether the rails answer, so that every replica leaves one alone that does not."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

import structlog

from services.billing.deps import Deps
from services.billing.domain.breaker import Beat, Breaker, BreakerState, feel
from services.billing.domain.history import Actor, Move
from services.billing.store import breakers, history
from shared import metrics
from shared.ids import derived_id

log = structlog.get_logger()


async def feel_rails(
    deps: Deps, beats: Iterable[tuple[str, Beat]], *, now: datetime
) -> list[Breaker]:
    """
    Take what calls to rails showed, in their order; return the breakers that moved.

    A transaction of its own, after the calls were recorded: the breaker is no proof of
    anything, and must not hold up what is.
    """
    by_rail: dict[str, list[Beat]] = defaultdict(list)
    for rail, beat in beats:
        by_rail[rail].append(beat)
    if not by_rail:
        return []
    moved = []
    async with deps.db.transaction() as conn:
        known = {one.rail: one for one in await breakers.every(conn)}
        wanted = [
            rail
            for rail, felt in by_rail.items()
            if feel(known.get(rail, Breaker(rail)), felt, now=now) != known.get(rail, Breaker(rail))
        ]
        for before in await breakers.lock(conn, wanted) if wanted else []:
            after = feel(before, by_rail[before.rail], now=now)
            await breakers.save(conn, after)
            if after.state is not before.state:
                moved.append(after)
                await history.add(conn, [_move(before, after, now=now)])
    for one in moved:
        log.warning("rail.breaker", rail=one.rail, state=one.state, reason=one.reason)
    show(known | {one.rail: one for one in moved})
    return moved


def show(known: dict[str, Breaker]) -> None:
    """Tell the metrics how the breakers stand."""
    for rail, breaker in known.items():
        metrics.rail_breaker(rail, _LEVELS[breaker.state])


_LEVELS = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


def _move(before: Breaker, after: Breaker, *, now: datetime) -> Move:
    return Move(
        "rail",
        derived_id("rail", after.rail),
        None,
        before.state,
        after.state,
        Actor.JOB,
        f"{after.rail} {before.reason or after.reason}".strip(),
        now,
    )
