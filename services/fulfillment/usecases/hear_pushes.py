"""The warehouse and the carriers call us: keep every call, apply what can be placed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import structlog

from services.fulfillment.deps import Deps
from services.fulfillment.domain.parcel import Parcel, Track
from services.fulfillment.domain.shipment import (
    MOVES,
    OrderState,
    Report,
    Shipment,
    ShipmentState,
    hear,
    is_told,
    shipment_id_of,
)
from services.fulfillment.store import parcels, shipments
from services.fulfillment.usecases.record_reports import record
from services.fulfillment.usecases.record_track import record_track
from shared.db import Connection
from shared.errors import Malformed, Problem, Unauthentic
from shared.webhooks import Verdict, body_key, keep

log = structlog.get_logger()

WAREHOUSE: Final = "jushuitan"
CARRIER: Final = "kuaidi100"

_LEFT: Final = frozenset(
    {
        ShipmentState.DISPATCHED,
        ShipmentState.DELIVERED,
        ShipmentState.RETURNED,
        ShipmentState.LOST,
        ShipmentState.CLOSED,
    }
)


async def hear_warehouse(deps: Deps, raw: bytes, headers: Mapping[str, str]) -> Problem | None:
    """
    Keep and apply one push of the warehouse; return why it is refused, or None.

    A departure is applied at once.  Any other news that differ from what we know make
    us ask the warehouse soon, because pushes may be late and out of order.  What cannot
    be placed is kept for a person and counts as taken.
    """
    now = deps.clock.now()
    try:
        push = deps.warehouse.read_push(raw, now=now)
    except Unauthentic as problem:
        await _keep(deps, WAREHOUSE, "", headers, raw, Verdict.REJECTED, problem.code)
        return problem
    except Malformed as problem:
        key = body_key(raw)
        await _keep(deps, WAREHOUSE, key, headers, raw, Verdict.UNPLACED, problem.detail)
        return None
    async with deps.db.transaction() as conn:
        shipment = await _named(conn, push.report) if push.report else None
        why = _unplaceable(push.report, shipment)
        fresh = await keep(
            conn,
            provider=WAREHOUSE,
            delivery_key=push.delivery_key,
            headers=headers,
            body=raw,
            now=now,
            verdict=Verdict.UNPLACED if why else Verdict.ACCEPTED,
            reason=why,
        )
        if fresh and not why and shipment and push.report:
            await _apply(conn, shipment, push.report, now=now)
    if why:
        log.warning("push.unplaced", provider=WAREHOUSE, reason=why)
    return None


async def hear_carrier(
    deps: Deps, token: str, raw: bytes, headers: Mapping[str, str]
) -> Problem | None:
    """
    Keep and apply one push of a carrier; return why it is refused, or None.

    *token* is what we put into the address when we subscribed.  A push about another
    waybill than that address is for is kept for a person.
    """
    now = deps.clock.now()
    key = body_key(raw)
    try:
        track = deps.carrier.read_push(raw, now=now)
    except Unauthentic as problem:
        await _keep(deps, CARRIER, key, headers, raw, Verdict.REJECTED, problem.code)
        return problem
    except Malformed as problem:
        await _keep(deps, CARRIER, key, headers, raw, Verdict.UNPLACED, problem.detail)
        return None
    async with deps.db.transaction() as conn:
        found = await _addressed(conn, token)
        why = _misdirected(track, found)
        fresh = await keep(
            conn,
            provider=CARRIER,
            delivery_key=key,
            headers=headers,
            body=raw,
            now=now,
            verdict=Verdict.UNPLACED if why else Verdict.ACCEPTED,
            reason=why,
        )
        if fresh and found and not why:
            await record_track(conn, *found, track, actor=CARRIER, now=now)
    if why:
        log.warning("push.unplaced", provider=CARRIER, reason=why)
    return None


async def _apply(conn: Connection, shipment: Shipment, report: Report, *, now: datetime) -> None:
    if report.state is OrderState.DISPATCHED:
        after = hear(shipment, report, now=now)
        await record(conn, [(shipment, after, report)], actor=WAREHOUSE, now=now)
    elif not is_told(shipment, report):
        await shipments.hasten(conn, shipment, to=now)


async def _named(conn: Connection, report: Report) -> Shipment | None:
    """Return the shipment that a report is about, locked."""
    shipment_id = shipment_id_of(report.shipment_no)
    merchant_id = await shipments.merchant_of(conn, shipment_id) if shipment_id else None
    if shipment_id is None or merchant_id is None:
        return None
    return (await shipments.lock(conn, [(merchant_id, shipment_id)]))[shipment_id]


async def _addressed(conn: Connection, token: str) -> tuple[Shipment, Parcel] | None:
    """Return the parcel for which we gave out this address, and its shipment, locked."""
    found = await parcels.shipment_of(conn, token)
    if found is None:
        return None
    merchant_id, shipment_id, parcel_id = found
    shipment = (await shipments.lock(conn, [(merchant_id, shipment_id)]))[shipment_id]
    boxes = await parcels.of_shipment(conn, merchant_id, shipment_id)
    return shipment, next(box for box in boxes if box.parcel_id == parcel_id)


def _unplaceable(report: Report | None, shipment: Shipment | None) -> str | None:
    if report is None:
        return None
    if shipment is None:
        return "unknown order"
    if report.state is not OrderState.DISPATCHED or shipment.state in _LEFT:
        return None
    if ShipmentState.DISPATCHED not in MOVES[shipment.state]:
        # A cancel that lost its race: goods are on their way that nobody pays for.
        return f"dispatched although {shipment.state}"
    return None


def _misdirected(track: Track, found: tuple[Shipment, Parcel] | None) -> str | None:
    if found is None:
        return "unknown address"
    aborted_early = track.aborted and not track.tracking_no
    if track.tracking_no != found[1].tracking_no and not aborted_early:
        return "another waybill"
    return None


async def _keep(
    deps: Deps,
    provider: str,
    key: str,
    headers: Mapping[str, str],
    raw: bytes,
    verdict: Verdict,
    reason: str,
) -> None:
    async with deps.db.transaction() as conn:
        await keep(
            conn,
            provider=provider,
            delivery_key=key,
            headers=headers,
            body=raw,
            now=deps.clock.now(),
            verdict=verdict,
            reason=reason,
        )
    log.warning("push.kept", provider=provider, verdict=verdict, reason=reason)
