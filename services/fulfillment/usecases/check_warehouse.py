"""Pushes can be lost: ask the warehouse about orders that should have left."""

from datetime import timedelta
from typing import Final

import structlog

from services.fulfillment.deps import Deps
from services.fulfillment.domain.shipment import (
    Report,
    ShipmentState,
    hear,
    shipment_no,
    unclear,
)
from services.fulfillment.gateways.warehouse import WarehouseUnclear
from services.fulfillment.store import shipments
from services.fulfillment.usecases.record_reports import Heard, record

log = structlog.get_logger()

BATCH: Final = 50
LEASE: Final = timedelta(minutes=10)

STATES: Final = (ShipmentState.ACCEPTED,)


async def check_warehouse(deps: Deps) -> int:
    """Ask about one batch of accepted shipments; return how many there were."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await shipments.claim_due(conn, STATES, now=now, limit=BATCH, lease=LEASE)
    if not due:
        return 0
    reports: dict[str, Report] = {}
    try:
        reports |= await deps.warehouse.find([shipment_no(one.shipment_id) for one in due])
    except WarehouseUnclear as error:
        log.warning("warehouse.unclear", error=str(error), orders=len(due))
    now = deps.clock.now()
    fences = {one.shipment_id: one.fence for one in due}
    async with deps.db.transaction() as conn:
        locked = await shipments.lock(conn, [(one.merchant_id, one.shipment_id) for one in due])
        heard: list[Heard] = []
        for one in locked.values():
            if one.fence != fences[one.shipment_id] or one.state not in STATES:
                continue
            report = reports.get(shipment_no(one.shipment_id))
            after = hear(one, report, now=now) if report else unclear(one, now=now)
            heard.append((one, after, report))
        await record(conn, heard, actor="check", now=now)
    return len(due)
