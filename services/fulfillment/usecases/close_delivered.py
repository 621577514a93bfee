"""The time for returns is over: the shipment is closed."""

from datetime import timedelta
from typing import Final

from services.fulfillment.deps import Deps
from services.fulfillment.domain.shipment import ShipmentState, move
from services.fulfillment.store import shipments

BATCH: Final = 500

STATES: Final = (ShipmentState.DELIVERED,)


async def close_delivered(deps: Deps) -> int:
    """Close one batch; return how many shipments there were."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await shipments.claim_due(
            conn, STATES, now=now, limit=BATCH, lease=timedelta(minutes=1)
        )
        after = [move(one, ShipmentState.CLOSED, now=now, due_at=None) for one in due]
        await shipments.save(conn, due, after, actor="close", now=now)
    return len(due)
