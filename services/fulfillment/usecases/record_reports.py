"""Write down what the warehouse says of shipments, and tell what follows from it."""

from collections.abc import Sequence
from datetime import datetime
from secrets import token_urlsafe

import structlog

from services.fulfillment.domain.contents import Item
from services.fulfillment.domain.parcel import Parcel, ParcelState
from services.fulfillment.domain.shipment import (
    OrderState,
    Report,
    Shipment,
    ShipmentState,
)
from services.fulfillment.store import items, parcels, shipments
from services.fulfillment.usecases import tell
from shared import outbox
from shared.db import Connection
from shared.events import Event
from shared.ids import derived_id

log = structlog.get_logger()

Heard = tuple[Shipment, Shipment, Report | None]
"""A locked shipment before, after, and the report between them."""


async def record(conn: Connection, heard: Sequence[Heard], *, actor: str, now: datetime) -> None:
    """
    Save what became of locked shipments; parcels and events follow from the moves.

    The same report once more changes nothing and is told to nobody.
    """
    before = [one for one, _, _ in heard]
    after = [one for _, one, _ in heard]
    await shipments.save(conn, before, after, actor=actor, now=now)
    sent = [
        (old, new, report)
        for old, new, report in heard
        if report is not None and report.state is OrderState.DISPATCHED and _has_left(new)
    ]
    packed = await items.current(conn, [(new.merchant_id, new.shipment_id) for _, new, _ in sent])
    for old, new, word in sent:
        await _add_parcel(conn, new, word, now=now)
        _compare(old, word, packed.get(new.shipment_id, ()))
    events: list[Event] = []
    for old, new, report in heard:
        events += _news(old, new, report, packed.get(new.shipment_id, ()), now=now)
    await outbox.add(conn, *events)


def _news(
    old: Shipment, new: Shipment, report: Report | None, packed: Sequence[Item], *, now: datetime
) -> list[Event]:
    events: list[Event] = []
    if old.order_no is None and new.order_no:
        events.append(tell.pushed(new, now=now))
    if old.state is new.state:
        return events
    if new.state is ShipmentState.DISPATCHED and report is not None:
        events.append(tell.dispatched(new, report, packed, now=now))
    if new.state is ShipmentState.CANCELLED:
        events.append(tell.cancelled(new, now=now))
    return events


def _has_left(shipment: Shipment) -> bool:
    return shipment.state in {
        ShipmentState.DISPATCHED,
        ShipmentState.DELIVERED,
        ShipmentState.LOST,
        ShipmentState.RETURNED,
        ShipmentState.CLOSED,
    }


async def _add_parcel(
    conn: Connection, shipment: Shipment, report: Report, *, now: datetime
) -> None:
    parcel = Parcel(
        merchant_id=shipment.merchant_id,
        parcel_id=derived_id("parcel", shipment.shipment_id, report.tracking_no),
        shipment_id=shipment.shipment_id,
        carrier=report.carrier,
        tracking_no=report.tracking_no,
        token=token_urlsafe(24),
        state=ParcelState.CREATED,
        sent_at=report.sent_at or now,
        news_at=now,
        due_at=now,
    )
    if await parcels.add(conn, parcel):
        log.info("parcel.dispatched", shipment_id=str(shipment.shipment_id))


def _compare(shipment: Shipment, report: Report, packed: Sequence[Item]) -> None:
    """Say so when the warehouse sent something else than it was told last."""
    wanted = sorted((item.sku, item.quantity) for item in packed)
    if report.items and sorted(report.items) != wanted:
        log.error("shipment.contents_differ", shipment_id=str(shipment.shipment_id))
