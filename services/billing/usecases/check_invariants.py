"""Prove every day that what must always hold does hold; what does not is logged and reported."""

from datetime import timedelta
from typing import Final

import structlog

from services.billing.deps import Deps
from services.billing.store import invariants
from shared.webhooks import forget_old

log = structlog.get_logger()

STUCK_AFTER: Final = timedelta(days=2)


async def check_invariants(deps: Deps) -> int:
    """Look for broken promises; return how many there are.  Changes nothing but old webhooks."""
    now = deps.clock.now()
    async with deps.db.connection() as conn:
        broken = await invariants.broken(conn, stuck_before=now - STUCK_AFTER)
        await forget_old(conn, now=now)
    for name, thing_id in broken:
        log.error("invariant.broken", invariant=name, thing_id=str(thing_id))
    return len(broken)
