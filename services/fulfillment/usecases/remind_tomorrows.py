"""The day before: fix what goes into the parcel, and have the customer told."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from services.fulfillment.contract import ShipmentReminderDue
from services.fulfillment.deps import Deps
from services.fulfillment.domain.contents import Contents, Item, bundle_of, contents, unknown_skus
from services.fulfillment.domain.shipment import (
    Shipment,
    ShipmentState,
    give_up,
    remind,
    wait_a_day,
)
from services.fulfillment.store import items, shipments
from services.fulfillment.usecases import tell
from services.fulfillment.usecases.choose import Grounds, grounds
from services.fulfillment.usecases.follow_stages import stage_on
from shared import outbox
from shared.calendar import day_in_china

log = structlog.get_logger()

BATCH: Final = 500
LEASE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Fixed:
    shipment: Shipment
    contents: Contents | None = None


async def remind_tomorrows(deps: Deps) -> int:
    """
    Fix the contents of one batch of shipments; return how many there were.

    A shipment about which something is not known yet (pet, plan, SKU) leaves a day
    later; one without anything that suits the pet is cancelled.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await shipments.claim_due(
            conn, [ShipmentState.PLANNED], now=now, limit=BATCH, lease=LEASE
        )
        known = await grounds(conn, due)
        wishes = await items.wishes(conn, [(one.merchant_id, one.shipment_id) for one in due])
        fixed = [
            _fix(one, known.get(one.shipment_id), wishes.get(one.shipment_id, {}), now=now)
            for one in due
        ]
        after = [one.shipment for one in fixed]
        await shipments.save(conn, due, after, actor="remind", now=now)
        told = [one for one in fixed if one.shipment.state is ShipmentState.REMINDED]
        await items.add(conn, [(one.shipment, _items(one)) for one in told])
        gone = [one for one in after if one.state is ShipmentState.CANCELLED]
        await outbox.add(
            conn,
            *(_reminder(one, now) for one in told),
            *(tell.cancelled(one, now=now) for one in gone),
        )
    log.info("shipments.reminded", count=len(told), waiting=len(due) - len(told) - len(gone))
    return len(due)


def _fix(
    shipment: Shipment, known: Grounds | None, wishes: dict[str, str], *, now: datetime
) -> _Fixed:
    stage = stage_on(known.stages, _leaves_on(shipment, now)) if known else None
    if known is None or stage is None:
        return _Fixed(wait_a_day(shipment, now=now, reason="contents_unknown"))
    bundle = bundle_of(known.bundles, stage)
    missing = unknown_skus(bundle, wishes, known.choice.catalogue)
    if missing:
        log.warning("shipment.sku_unknown", shipment_id=str(shipment.shipment_id), skus=missing)
        return _Fixed(wait_a_day(shipment, now=now, reason="sku_unknown"))
    chosen = contents(bundle, wishes, known.choice)
    if not chosen.items:
        return _Fixed(give_up(shipment, now=now, reason="nothing_suitable"))
    if chosen.omitted:
        shipment_id = str(shipment.shipment_id)
        log.info("shipment.items_omitted", shipment_id=shipment_id, skus=list(chosen.omitted))
    return _Fixed(remind(shipment, stage, now=now), chosen)


def _items(fixed: _Fixed) -> tuple[Item, ...]:
    return fixed.contents.items if fixed.contents else ()


def _leaves_on(shipment: Shipment, now: datetime) -> date:
    return max(shipment.ship_on, day_in_china(now) + timedelta(days=1))


def _reminder(fixed: _Fixed, now: datetime) -> ShipmentReminderDue:
    shipment = fixed.shipment
    assert shipment.stage is not None
    return ShipmentReminderDue(
        **tell.about(shipment, ShipmentReminderDue.subject, now=now),
        ship_on=shipment.ship_on,
        stage=shipment.stage,
        items=tell.items_told(_items(fixed)),
    )
