"""What fulfillment does by the clock."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from services.fulfillment.domain.shipment import ShipmentState
from services.fulfillment.store import agreements, parcels, shipments
from services.fulfillment.usecases import (
    cancel_at_warehouse,
    check_warehouse,
    close_delivered,
    follow_stages,
    look_after,
    push_shipments,
    remind_tomorrows,
    resolve_shortages,
    watch_parcels,
)
from shared.db import Connection
from shared.jobs import Daily, Due


def _in(states: Collection[ShipmentState]) -> Callable[[Connection], Awaitable[datetime | None]]:
    async def next_due_at(conn: Connection) -> datetime | None:
        return await shipments.next_due_at(conn, states)

    return next_due_at


JOBS = (
    Due("follow_stages", follow_stages.follow_stages, agreements.next_stage_due_at),
    Due("remind_tomorrows", remind_tomorrows.remind_tomorrows, _in([ShipmentState.PLANNED])),
    Due("push_shipments", push_shipments.push_shipments, _in(push_shipments.STATES)),
    Due("check_warehouse", check_warehouse.check_warehouse, _in(check_warehouse.STATES)),
    Due("resolve_shortages", resolve_shortages.resolve_shortages, _in(resolve_shortages.STATES)),
    Due(
        "cancel_at_warehouse",
        cancel_at_warehouse.cancel_at_warehouse,
        _in(cancel_at_warehouse.STATES),
    ),
    Due("watch_parcels", watch_parcels.watch_parcels, parcels.next_due_at),
    Due("close_delivered", close_delivered.close_delivered, _in(close_delivered.STATES)),
    Daily("look_after", 4, 0, look_after.look_after),
)
