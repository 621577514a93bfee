"""Write down what a carrier says of a parcel, and tell when the shipment has arrived."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from services.fulfillment.contract import ShipmentDelivered, ShipmentReturned
from services.fulfillment.domain.parcel import Parcel, ParcelState, Track, all_in, follow
from services.fulfillment.domain.shipment import (
    MOVES,
    Shipment,
    ShipmentState,
    closes_at,
    move,
)
from services.fulfillment.store import parcels
from services.fulfillment.usecases import tell
from services.fulfillment.usecases.record_reports import record
from shared import outbox
from shared.db import Connection

log = structlog.get_logger()


async def record_track(
    conn: Connection, shipment: Shipment, parcel: Parcel, track: Track, *, actor: str, now: datetime
) -> Parcel:
    """
    Save *track* of a parcel whose shipment is locked; return the parcel as it is now.

    A track may come again, late or with its lines in another order: every line is kept
    once, and only the newest one moves the parcel.
    """
    key = (parcel.merchant_id, parcel.parcel_id)
    await parcels.add_nodes(conn, key, track.nodes, now=now)
    after = follow(parcel, track.nodes, now=now)
    if track.carrier:
        after = replace(after, carrier=track.carrier)
    if track.aborted and after.stuck_at is None:
        log.warning("parcel.aborted", parcel_id=str(parcel.parcel_id))
        after = replace(after, stuck_at=now)
    if after.state is ParcelState.DELIVERED and after.delivered_seen_at is None:
        after = replace(after, delivered_seen_at=now)
    await parcels.save(conn, after)
    if after.state is not parcel.state:
        log.info("parcel.moved", parcel_id=str(parcel.parcel_id), state=after.state)
        boxes = await parcels.of_shipment(conn, shipment.merchant_id, shipment.shipment_id)
        await _move_shipment(conn, shipment, after, boxes, actor=actor, now=now)
    return after


async def _move_shipment(
    conn: Connection,
    shipment: Shipment,
    parcel: Parcel,
    boxes: Sequence[Parcel],
    *,
    actor: str,
    now: datetime,
) -> None:
    state = _state_of(boxes)
    if state is None or state not in MOVES[shipment.state]:
        return
    due_at = closes_at(now) if state is ShipmentState.DELIVERED else None
    after = move(shipment, state, now=now, due_at=due_at)
    await record(conn, [(shipment, after, None)], actor=actor, now=now)
    event = ShipmentDelivered if state is ShipmentState.DELIVERED else ShipmentReturned
    await outbox.add(
        conn,
        event(
            **tell.about(after, event.subject, now=now),
            carrier=parcel.carrier,
            tracking_no=parcel.tracking_no,
        ),
    )


def _state_of(boxes: Sequence[Parcel]) -> ShipmentState | None:
    if all_in(boxes, ParcelState.DELIVERED):
        return ShipmentState.DELIVERED
    if any(box.state is ParcelState.RETURNED for box in boxes):
        return ShipmentState.RETURNED
    return None
