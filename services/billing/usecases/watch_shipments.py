"""Keep what fulfillment promises and does: no fulfilment, no next debit (rule WH-13)."""

from services.billing.deps import Deps
from services.billing.store import shipments
from services.fulfillment.contract import ShipmentCancelled, ShipmentDelivered, ShipmentPlanned
from shared.db import Connection


async def note_planned(conn: Connection, planned: ShipmentPlanned, deps: Deps) -> None:  # noqa: ARG001
    """Keep the promised day."""
    await shipments.planned(
        conn,
        planned.instalment_id,
        planned.agreement_id,
        planned.seq,
        deliver_by=planned.deliver_by,
    )


async def note_delivered(conn: Connection, delivered: ShipmentDelivered, deps: Deps) -> None:  # noqa: ARG001
    """Keep that it came, also when that is heard before the promise."""
    await shipments.ended(
        conn,
        delivered.instalment_id,
        delivered.agreement_id,
        delivered.seq,
        delivered_at=delivered.occurred_at,
    )


async def note_cancelled(conn: Connection, cancelled: ShipmentCancelled, deps: Deps) -> None:  # noqa: ARG001
    """Keep that nothing will come, so that nothing is late."""
    await shipments.ended(
        conn,
        cancelled.instalment_id,
        cancelled.agreement_id,
        cancelled.seq,
        delivered_at=None,
    )
