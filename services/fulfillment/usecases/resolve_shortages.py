"""The warehouse lacks something: send what was agreed instead, or wait some days."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.fulfillment.contract import ShipmentOutOfStock
from services.fulfillment.deps import Deps
from services.fulfillment.domain.contents import Item, without_short
from services.fulfillment.domain.shipment import (
    OrderState,
    Report,
    Shipment,
    ShipmentState,
    hear,
    move,
    shipment_no,
    unclear,
    wait_a_day,
)
from services.fulfillment.gateways.warehouse import WarehouseUnclear
from services.fulfillment.store import items, shipments
from services.fulfillment.usecases import tell
from services.fulfillment.usecases.choose import Grounds, grounds
from services.fulfillment.usecases.record_reports import record
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection

log = structlog.get_logger()

BATCH: Final = 50
LEASE: Final = timedelta(minutes=10)

STATES: Final = (ShipmentState.OUT_OF_STOCK,)


async def resolve_shortages(deps: Deps) -> int:
    """
    Resolve one batch of shortages; return how many shipments there were.

    A shipment whose lacking SKUs have substitutes that were agreed to, suit the pet,
    cost no more and are in stock goes out with those; any other waits for the next
    morning, seven days at most, and is then cancelled.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await shipments.claim_due(conn, STATES, now=now, limit=BATCH, lease=LEASE)
        keys = [(one.merchant_id, one.shipment_id) for one in due]
        packed = await items.current(conn, keys)
        known = await grounds(conn, due)
    if not due:
        return 0
    reports: Mapping[str, Report] = {}
    stock: Mapping[str, int] | None = None
    try:
        reports = await deps.warehouse.find([shipment_no(one.shipment_id) for one in due])
        stock = await deps.warehouse.stock(_asked_for(packed, known))
    except WarehouseUnclear as error:
        log.warning("warehouse.unclear", error=str(error), orders=len(due))
    now = deps.clock.now()
    fences = {one.shipment_id: one.fence for one in due}
    async with deps.db.transaction() as conn:
        for one in (await shipments.lock(conn, keys)).values():
            if one.fence != fences[one.shipment_id] or one.state not in STATES:
                continue
            report = reports.get(shipment_no(one.shipment_id))
            if stock is None:
                await record(conn, [(one, unclear(one, now=now), None)], actor="stock", now=now)
            elif report is not None and report.state is not OrderState.SHORT:
                heard = (one, hear(one, report, now=now), report)
                await record(conn, [heard], actor="stock", now=now)
            else:
                ground = known.get(one.shipment_id)
                await _resolve(conn, one, packed[one.shipment_id], stock, ground, now=now)
    return len(due)


async def _resolve(
    conn: Connection,
    shipment: Shipment,
    packed: tuple[Item, ...],
    stock: Mapping[str, int],
    ground: Grounds | None,
    *,
    now: datetime,
) -> None:
    """Decide on one locked shipment, write it down, and tell it."""
    if ground is None:
        waiting = wait_a_day(shipment, now=now, reason="out_of_stock")
        await record(conn, [(shipment, waiting, None)], actor="stock", now=now)
        return
    changed, short = without_short(packed, stock, ground.choice)
    if changed is not None and short:
        ready = move(shipment, ShipmentState.REMINDED, now=now, due_at=now, reason="substituted")
        after = replace(ready, revision=shipment.revision + 1)
        await items.add(conn, [(after, changed)])
    elif changed is not None and day_in_china(shipment.since) < day_in_china(now):
        after = move(shipment, ShipmentState.REMINDED, now=now, due_at=now, reason="restocked")
    else:
        # Also where stock and order disagree: asking again at once would go on for ever.
        after = wait_a_day(shipment, now=now, reason="out_of_stock")
    await record(conn, [(shipment, after, None)], actor="stock", now=now)
    substituted = after.revision != shipment.revision
    if substituted or shipment.wait_until is None:
        told = [(sku, by if substituted else None) for sku, by in short]
        await outbox.add(conn, *(_told(after, sku, by, now=now) for sku, by in told))
    log.info("shortage.resolved", shipment_id=str(shipment.shipment_id), state=after.state)


def _asked_for(packed: Mapping[UUID, tuple[Item, ...]], known: Mapping[UUID, Grounds]) -> list[str]:
    skus = {item.sku for held in packed.values() for item in held}
    for shipment_id, held in packed.items():
        if ground := known.get(shipment_id):
            for item in held:
                allowed = ground.choice.ours_instead(item.instead_of or item.sku)
                skus |= {sku.sku for sku in allowed}
    return sorted(skus)


def _told(shipment: Shipment, sku: str, by: str | None, *, now: datetime) -> ShipmentOutOfStock:
    once = f"{shipment.revision}:{sku}"
    return ShipmentOutOfStock(
        **tell.about(shipment, ShipmentOutOfStock.subject, now=now, once=once),
        sku=sku,
        substitute_sku=by,
        wait_until=None if by else shipment.wait_until,
    )
