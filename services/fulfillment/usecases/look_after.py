"""Every night: show what is old, forget what is very old."""

import structlog

from services.fulfillment.deps import Deps
from services.fulfillment.store import invariants, parcels, shipments
from shared import metrics, webhooks

log = structlog.get_logger()


async def look_after(deps: Deps) -> int:
    """
    Tell the oldest age per state, check what must always hold, forget old deliveries.

    Returns how many things were found wrong; each is logged as an error.
    """
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        ages = await shipments.oldest_per_state(conn)
        stuck_at = await parcels.oldest_stuck(conn)
        wrong = await invariants.violations(conn)
        await webhooks.forget_old(conn, now=now)
    metrics.state_oldest(
        "shipment", [(state, (now - since).total_seconds()) for state, since in ages]
    )
    stuck_s = (now - stuck_at).total_seconds() if stuck_at else 0.0
    metrics.state_oldest("parcel", [("stuck", stuck_s)])
    for check, shipment_id in wrong:
        log.error("invariant.broken", check=check, shipment_id=str(shipment_id))
    return len(wrong)
