"""The customer wants something else from what was agreed."""

from datetime import datetime
from uuid import UUID

import structlog

from services.fulfillment.domain.contents import swap_fault
from services.fulfillment.domain.errors import ContentsFixed, ShipmentUnknown, SwapForbidden
from services.fulfillment.domain.shipment import Shipment, ShipmentState
from services.fulfillment.store import items, shipments
from services.fulfillment.usecases.choose import grounds
from shared.db import Connection

log = structlog.get_logger()


async def swap_item(
    conn: Connection, merchant_id: UUID, shipment_id: UUID, *, sku: str, by: str, now: datetime
) -> Shipment:
    """
    Note that the next parcel holds *by* instead of *sku*; the last wish for a SKU counts.

    Raises:
        ShipmentUnknown: The merchant has no such shipment.
        ContentsFixed: The customer has been told already what comes.
        SwapForbidden: *by* was not agreed to, costs more, harms the pet, or is not sold.
    """
    locked = await shipments.lock(conn, [(merchant_id, shipment_id)])
    shipment = locked.get(shipment_id)
    if shipment is None:
        raise ShipmentUnknown("No such shipment.", shipment_id=shipment_id)
    if shipment.state is not ShipmentState.PLANNED:
        raise ContentsFixed("The contents are fixed.", state=shipment.state)
    known = (await grounds(conn, [shipment])).get(shipment_id)
    if known is None:
        raise SwapForbidden("The plan is not known yet.", why="not-in-plan")
    why = swap_fault(sku, by, bundles=known.bundles, choice=known.choice)
    if why:
        raise SwapForbidden("This cannot replace that.", why=why, sku=sku, by_sku=by)
    await items.wish(conn, (merchant_id, shipment_id), sku=sku, by_sku=by, now=now)
    log.info("shipment.swapped", shipment_id=str(shipment_id), sku=sku, by_sku=by)
    return shipment
