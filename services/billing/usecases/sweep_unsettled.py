"""Every night: nothing that must end is left to itself, and how old it is can be seen."""

from datetime import timedelta
from typing import Final

import structlog

from services.billing.deps import Deps
from services.billing.domain.charge_calendar import next_slot
from services.billing.store import unsettled
from shared import metrics
from shared.calendar import day_in_china

log = structlog.get_logger()

OLD: Final = timedelta(hours=26)
"""Open for longer than any rail keeps an order by its own rule, with two hours to spare."""

_THINGS: Final = ("attempt", "refund", "instalment", "mandate")


async def sweep_unsettled(deps: Deps) -> int:
    """
    Wake old attempts and refunds and what no job would see again; return how many.

    Repeats safely: it moves moments only, and what then happens is decided as ever.
    """
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        woken = {
            "attempt": await unsettled.wake_attempts(conn, now=now, older_than=OLD),
            "refund": await unsettled.wake_refunds(conn, now=now, older_than=OLD),
            "instalment": await unsettled.wake_instalments(
                conn, at=next_slot(now), before=day_in_china(now)
            ),
        }
        ages = await unsettled.ages(conn, now=now)
    if any(woken.values()):
        deps.db.committed.ring()
    for thing in _THINGS:
        found = [
            (state, (now - since).total_seconds()) for kind, state, since in ages if kind == thing
        ]
        metrics.state_oldest(thing, found)
    for thing, state, since in ages:
        log.info("unsettled.oldest", thing=thing, state=state, since=since.isoformat())
    return sum(woken.values())
