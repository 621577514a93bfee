"""The promises signing makes about its own tables, checked while it runs."""

import structlog

from services.signing.deps import Deps
from services.signing.store import agreements

log = structlog.get_logger()


async def check_invariants(deps: Deps) -> int:
    """Return how many rows break a promise; each kind is logged as an error."""
    async with deps.db.connection() as conn:
        broken = await agreements.invariants(conn, now=deps.clock.now())
    for rule, rows in broken.items():
        if rows:
            log.error("invariant.broken", rule=rule, rows=rows)
    return sum(broken.values())
