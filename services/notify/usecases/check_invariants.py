"""Nothing is stuck, nothing was forgotten."""

import structlog
from prometheus_client import Gauge

from services.notify.deps import Deps
from services.notify.store import proofs
from shared import metrics

log = structlog.get_logger()

BREACHES = Gauge(
    "yuefu_notify_breaches",
    "Messages of which something did not hold when they were last checked.",
    registry=metrics.REGISTRY,
)


async def check_invariants(deps: Deps) -> int:
    """Tell of each message of which something does not hold; return how many there are."""
    async with deps.db.connection() as conn:
        found = await proofs.breaches(conn, now=deps.clock.now())
    BREACHES.set(len(found))
    for breach in found:
        log.error(
            "invariant.broken",
            check=breach.check,
            merchant_id=str(breach.merchant_id),
            message_id=str(breach.message_id),
        )
    log.info("invariants.checked", breaches=len(found))
    return len(found)
