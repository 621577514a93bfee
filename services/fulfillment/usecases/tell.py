"""What is said to other services about shipments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.fulfillment.contract import (
    ShipmentCancelled,
    ShipmentDispatched,
    ShipmentItem,
    ShipmentPushed,
)
from services.fulfillment.domain.contents import Contents, Item
from services.fulfillment.domain.shipment import Report, Shipment
from shared.ids import derived_id


def about(shipment: Shipment, subject: str, *, now: datetime, once: object = "") -> dict[str, Any]:
    """
    Return what every event about *shipment* carries.

    Its id follows from shipment, *subject* and *once*: the same news is the same event.
    """
    return {
        "event_id": derived_id(subject, shipment.shipment_id, once),
        "occurred_at": now,
        "shipment_id": shipment.shipment_id,
        "instalment_id": shipment.instalment_id,
        "agreement_id": shipment.agreement_id,
        "merchant_id": shipment.merchant_id,
        "customer_id": shipment.customer_id,
        "seq": shipment.seq,
    }


def items_told(items: Sequence[Item]) -> tuple[ShipmentItem, ...]:
    """Return contents as events carry them."""
    return tuple(
        ShipmentItem(sku=item.sku, name=item.name, quantity=item.quantity) for item in items
    )


def pushed(shipment: Shipment, *, now: datetime) -> ShipmentPushed:
    """Return the event that the warehouse has the order."""
    return ShipmentPushed(
        **about(shipment, ShipmentPushed.subject, now=now),
        warehouse_order_no=shipment.order_no or "",
    )


def cancelled(shipment: Shipment, *, now: datetime) -> ShipmentCancelled:
    """Return the event that nothing will be sent."""
    return ShipmentCancelled(
        **about(shipment, ShipmentCancelled.subject, now=now),
        reason=shipment.reason or "unknown",
    )


def dispatched(
    shipment: Shipment, report: Report, items: Sequence[Item], *, now: datetime
) -> ShipmentDispatched:
    """Return the event that the parcel has left, with what its goods cost us."""
    return ShipmentDispatched(
        **about(shipment, ShipmentDispatched.subject, now=now),
        carrier=report.carrier,
        tracking_no=report.tracking_no,
        supply_cost_fen=Contents(tuple(items)).supply_cost_fen,
        items=items_told(items),
    )
