"""Money is held for a parcel: plan to send it the day after tomorrow."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from services.fulfillment.contract import ShipmentPlanned
from services.fulfillment.deps import Deps
from services.fulfillment.domain.errors import AgreementUnknown
from services.fulfillment.domain.shipment import (
    Shipment,
    ShipmentState,
    planned_for,
    ship_on,
    shipment_id_for,
)
from services.fulfillment.store import agreements, shipments
from services.fulfillment.usecases import tell
from services.wallet.contract import InstalmentFunded
from shared import outbox
from shared.db import Connection

log = structlog.get_logger()


async def plan_shipments(conn: Connection, funded: Sequence[InstalmentFunded], deps: Deps) -> None:
    """
    Plan one shipment for each funded instalment that has none; wallet-only ones get none.

    Late money of an ended agreement is told as cancelled at once, so that it is freed.

    Raises:
        AgreementUnknown: An agreement has not been heard of yet.
    """
    to_ship = [one for one in funded if one.hold_id is not None]
    keys = [(one.merchant_id, one.agreement_id) for one in to_ship]
    known = await agreements.share(conn, keys)
    missing = next((key for key in keys if key not in known), None)
    if missing:
        raise AgreementUnknown("Not heard of this agreement yet.", agreement_id=missing[1])
    now = deps.clock.now()
    wanted = [
        _shipment(one, now=now, ended=known[one.merchant_id, one.agreement_id].end_reason)
        for one in to_ship
    ]
    added = await shipments.add(conn, wanted, actor="wallet.instalment.funded")
    fresh = [one for one in wanted if one.shipment_id in added]
    await outbox.add(conn, *(_planned(one, now=now) for one in fresh))
    ended = [one for one in fresh if one.state is ShipmentState.CANCELLED]
    await outbox.add(conn, *(tell.cancelled(one, now=now) for one in ended))
    if fresh:
        log.info("shipments.planned", count=len(fresh), cancelled=len(ended))


def _shipment(funded: InstalmentFunded, *, now: datetime, ended: str | None) -> Shipment:
    assert funded.hold_id is not None
    day = ship_on(now)
    shipment = Shipment(
        merchant_id=funded.merchant_id,
        shipment_id=shipment_id_for(funded.instalment_id),
        instalment_id=funded.instalment_id,
        agreement_id=funded.agreement_id,
        customer_id=funded.customer_id,
        pet_id=funded.pet_id,
        hold_id=funded.hold_id,
        seq=funded.seq,
        hold_fen=funded.hold_fen,
        state=ShipmentState.PLANNED,
        ship_on=day,
        deliver_by=day,
        planned_at=now,
        since=now,
        due_at=now,
    )
    planned = planned_for(shipment, day)
    if ended is None:
        return planned
    return replace(planned, state=ShipmentState.CANCELLED, due_at=None, reason=ended)


def _planned(shipment: Shipment, *, now: datetime) -> ShipmentPlanned:
    return ShipmentPlanned(
        **tell.about(shipment, ShipmentPlanned.subject, now=now),
        ship_on=shipment.ship_on,
        deliver_by=shipment.deliver_by,
    )
