"""Follow parcels: subscribe to their news, and look after those that fell silent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

import structlog

from services.fulfillment.contract import ShipmentLost
from services.fulfillment.deps import Deps
from services.fulfillment.domain.agreement import Recipient
from services.fulfillment.domain.parcel import (
    SUBSCRIPTIONS,
    Parcel,
    Track,
    silent,
    subscribed,
    watched,
)
from services.fulfillment.domain.shipment import MOVES, Shipment, ShipmentState, move
from services.fulfillment.gateways.carrier import TrackingRefused, TrackingUnclear
from services.fulfillment.store import parcels, people, shipments
from services.fulfillment.usecases import tell
from services.fulfillment.usecases.record_reports import record
from services.fulfillment.usecases.record_track import record_track
from shared import outbox
from shared.db import Connection

log = structlog.get_logger()

BATCH: Final = 50
LEASE: Final = timedelta(minutes=10)
SUBSCRIBE_AGAIN: Final = timedelta(minutes=5)
QUERY_AGAIN: Final = timedelta(hours=1)
"""The same number may be asked for at most every half hour (kuaidi100, query rules)."""


class _Said(StrEnum):
    SUBSCRIBED = "subscribed"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class _Asked:
    parcel: Parcel
    said: _Said | Track


async def watch_parcels(deps: Deps) -> int:
    """
    Look after one batch of parcels; return how many there were.

    A new parcel is subscribed; a repeated subscription is harmless, but only four a
    month are allowed.  One without news for five days is asked for and counts as stuck,
    after ten days as lost.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await parcels.claim_due(conn, now=now, limit=BATCH, lease=LEASE)
    if not due:
        return 0
    async with deps.db.connection() as conn:
        keys = [(one.merchant_id, one.shipment_id) for one in due]
        owners = await shipments.seen(conn, keys)
        customers = [(one.merchant_id, one.customer_id) for one in owners.values()]
        known = await people.recipients(conn, customers, deps.cipher)
    phones = _phones(owners, known)
    asked = await asyncio.gather(*(_ask(deps, one, phones.get(one.shipment_id, "")) for one in due))
    for one in asked:
        async with deps.db.transaction() as conn:
            await _settle(conn, one, now=deps.clock.now())
    return len(due)


def _phones(
    owners: Mapping[UUID, Shipment], known: Mapping[tuple[UUID, UUID], Recipient]
) -> dict[UUID, str]:
    return {
        shipment_id: recipient.phone
        for shipment_id, one in owners.items()
        if (recipient := known.get((one.merchant_id, one.customer_id)))
    }


async def _ask(deps: Deps, parcel: Parcel, phone: str) -> _Asked:
    """Subscribe or query, whichever is due."""
    try:
        if _to_subscribe(parcel):
            url = f"{deps.public_url}/webhooks/kuaidi100/{parcel.token}"
            await deps.carrier.subscribe(
                parcel.carrier, parcel.tracking_no, phone=phone, callback_url=url
            )
            return _Asked(parcel, _Said.SUBSCRIBED)
        track = await deps.carrier.query(parcel.carrier, parcel.tracking_no, phone=phone)
    except TrackingRefused as error:
        log.warning("tracking.refused", parcel_id=str(parcel.parcel_id), error=str(error))
        return _Asked(parcel, _Said.REFUSED)
    except TrackingUnclear as error:
        log.warning("tracking.unclear", parcel_id=str(parcel.parcel_id), error=str(error))
        return _Asked(parcel, _Said.UNCLEAR)
    return _Asked(parcel, track or _Said.NOTHING)


async def _settle(conn: Connection, asked: _Asked, *, now: datetime) -> None:
    """Write down one answer, unless somebody else has taken the parcel since."""
    key = (asked.parcel.merchant_id, asked.parcel.shipment_id)
    shipment = (await shipments.lock(conn, [key]))[asked.parcel.shipment_id]
    boxes = await parcels.of_shipment(conn, *key)
    parcel = next(one for one in boxes if one.parcel_id == asked.parcel.parcel_id)
    if parcel.fence != asked.parcel.fence:
        return
    if isinstance(asked.said, Track):
        heard = await record_track(conn, shipment, parcel, asked.said, actor="watch", now=now)
        if heard.head_at == parcel.head_at:
            await _fell_silent(conn, shipment, heard, now=now)
        return
    match asked.said:
        case _Said.SUBSCRIBED:
            await parcels.save(conn, subscribed(parcel, now=now))
        case _Said.UNCLEAR if _to_subscribe(parcel):
            again = replace(parcel, tries=parcel.tries + 1, due_at=now + SUBSCRIBE_AGAIN)
            await parcels.save(conn, again)
        case _Said.REFUSED if _to_subscribe(parcel):
            await parcels.save(conn, watched(replace(parcel, tries=SUBSCRIPTIONS)))
        case _Said.UNCLEAR:
            await parcels.save(conn, replace(parcel, due_at=now + QUERY_AGAIN))
        case _Said.NOTHING | _Said.REFUSED:
            await _fell_silent(conn, shipment, parcel, now=now)
        case _:
            assert_never(asked.said)


async def _fell_silent(
    conn: Connection, shipment: Shipment, parcel: Parcel, *, now: datetime
) -> None:
    quiet, lost = silent(parcel, now=now)
    await parcels.save(conn, quiet)
    log.warning("parcel.stuck", parcel_id=str(parcel.parcel_id), lost=lost)
    if not lost or ShipmentState.LOST not in MOVES[shipment.state]:
        return
    after = move(shipment, ShipmentState.LOST, now=now, due_at=None, reason="silent")
    await record(conn, [(shipment, after, None)], actor="watch", now=now)
    lost_event = ShipmentLost(
        **tell.about(after, ShipmentLost.subject, now=now),
        carrier=parcel.carrier,
        tracking_no=parcel.tracking_no,
    )
    await outbox.add(conn, lost_event)


def _to_subscribe(parcel: Parcel) -> bool:
    return parcel.subscribed_at is None and parcel.tries < SUBSCRIPTIONS
