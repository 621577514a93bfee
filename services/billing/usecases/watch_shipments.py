"""Keep what fulfillment promises and does: no fulfilment, no next debit (rule WH-13)."""

from collections.abc import Sequence

from services.billing.deps import Deps
from services.billing.store import shipments
from services.billing.store.shipments import Seen
from services.fulfillment.contract import ShipmentCancelled, ShipmentDelivered, ShipmentPlanned
from shared.db import Connection


async def note_planned(conn: Connection, planned: Sequence[ShipmentPlanned], deps: Deps) -> None:  # noqa: ARG001
    """Keep the promised days."""
    await shipments.planned(
        conn,
        [
            Seen(one.instalment_id, one.agreement_id, one.seq, deliver_by=one.deliver_by)
            for one in planned
        ],
    )


async def note_delivered(
    conn: Connection,
    delivered: Sequence[ShipmentDelivered],
    deps: Deps,  # noqa: ARG001
) -> None:
    """Keep that they came, also when that is heard before the promise."""
    await shipments.ended(
        conn,
        [
            Seen(one.instalment_id, one.agreement_id, one.seq, delivered_at=one.occurred_at)
            for one in delivered
        ],
    )


async def note_cancelled(
    conn: Connection,
    cancelled: Sequence[ShipmentCancelled],
    deps: Deps,  # noqa: ARG001
) -> None:
    """Keep that nothing will come, so that nothing is late."""
    await shipments.ended(
        conn, [Seen(one.instalment_id, one.agreement_id, one.seq) for one in cancelled]
    )
