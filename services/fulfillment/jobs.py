"""What fulfillment does by the clock."""

from services.fulfillment.domain.shipment import ShipmentState
from services.fulfillment.store import agreements, parcels
from services.fulfillment.store.shipments import next_due
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
from shared.jobs import Daily, Due

JOBS = (
    Due("follow_stages", follow_stages.follow_stages, agreements.NEXT_STAGE_DUE),
    Due("remind_tomorrows", remind_tomorrows.remind_tomorrows, next_due([ShipmentState.PLANNED])),
    Due("push_shipments", push_shipments.push_shipments, next_due(push_shipments.STATES)),
    Due("check_warehouse", check_warehouse.check_warehouse, next_due(check_warehouse.STATES)),
    Due(
        "resolve_shortages", resolve_shortages.resolve_shortages, next_due(resolve_shortages.STATES)
    ),
    Due(
        "cancel_at_warehouse",
        cancel_at_warehouse.cancel_at_warehouse,
        next_due(cancel_at_warehouse.STATES),
    ),
    Due("watch_parcels", watch_parcels.watch_parcels, parcels.NEXT_DUE),
    Due("close_delivered", close_delivered.close_delivered, next_due(close_delivered.STATES)),
    Daily("look_after", 4, 0, look_after.look_after),
)
