"""Nine in the morning: hand the warehouse what is to leave today."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.fulfillment.deps import Deps
from services.fulfillment.domain.agreement import Recipient
from services.fulfillment.domain.contents import Item
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
from services.fulfillment.gateways.warehouse import (
    Answer,
    Order,
    Refused,
    Taken,
    Warehouse,
    WarehouseUnclear,
)
from services.fulfillment.store import items, people, shipments
from services.fulfillment.usecases.record_reports import Heard, record

log = structlog.get_logger()

BATCH: Final = 50
LEASE: Final = timedelta(minutes=10)
"""Far longer than the calls of one batch may take."""

STATES: Final = (ShipmentState.REMINDED, ShipmentState.PUSHED)

_FINAL: Final = frozenset({OrderState.DISPATCHED, OrderState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch that is being pushed; *doubtful* ones may have arrived before."""

    shipments: tuple[Shipment, ...]
    orders: Mapping[str, Order]
    doubtful: frozenset[str]


@dataclass(slots=True)
class Outcome:
    """What the warehouse said, by shipment number; what it did not say is unclear."""

    answers: dict[str, Answer] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)


async def push_shipments(deps: Deps) -> int:
    """
    Push one batch; return how many shipments it held.

    Three steps, no transaction around a call: intend and commit, ask, settle and
    commit.  A crash between them leaves shipments pushed, with a lease; the next run
    first asks whether the warehouse has them.
    """
    claimed = await claim(deps)
    if claimed.shipments:
        outcome = await ask(deps.warehouse, claimed)
        await settle(deps, claimed, outcome)
    return len(claimed.shipments)


async def claim(deps: Deps) -> Claimed:
    """Write down that a batch is being pushed; what lacks an address waits a day."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await shipments.claim_due(conn, STATES, now=now, limit=BATCH, lease=LEASE)
        keys = [(one.merchant_id, one.customer_id) for one in due]
        addresses = await people.recipients(conn, keys, deps.cipher)
        packed = await items.current(conn, [(one.merchant_id, one.shipment_id) for one in due])
        after = [
            _intend(one, now=now)
            if (one.merchant_id, one.customer_id) in addresses
            else wait_a_day(one, now=now, reason="address_unknown")
            for one in due
        ]
        pairs = zip(due, after, strict=True)
        await record(conn, [(old, new, None) for old, new in pairs], actor="push", now=now)
    sent = [one for one in after if (one.merchant_id, one.customer_id) in addresses]
    orders = [
        _order(one, packed[one.shipment_id], addresses[one.merchant_id, one.customer_id])
        for one in sent
    ]
    return Claimed(
        tuple(after),
        {order.shipment_no: order for order in orders},
        _doubtful(due),
    )


async def ask(warehouse: Warehouse, claimed: Claimed) -> Outcome:
    """Ask about what is doubtful, place what is not there, and see what became of it."""
    outcome = Outcome()
    try:
        doubtful = [number for number in claimed.orders if number in claimed.doubtful]
        if doubtful:
            outcome.reports |= await warehouse.find(doubtful)
        to_place = [
            order
            for number, order in claimed.orders.items()
            if not _stands(order, outcome.reports.get(number))
        ]
        for order in to_place:
            outcome.reports.pop(order.shipment_no, None)
        if to_place:
            outcome.answers |= await warehouse.upload(to_place)
        taken = [no for no, answer in outcome.answers.items() if isinstance(answer, Taken)]
        if taken:
            outcome.reports |= await warehouse.find(taken)
    except WarehouseUnclear as error:
        log.warning("warehouse.unclear", error=str(error), orders=len(claimed.orders))
    return outcome


async def settle(deps: Deps, claimed: Claimed, outcome: Outcome) -> None:
    """Write down what the warehouse said; who claimed a shipment since then decides instead."""
    now = deps.clock.now()
    fences = {one.shipment_id: one.fence for one in claimed.shipments}
    keys = [
        (one.merchant_id, one.shipment_id)
        for one in claimed.shipments
        if shipment_no(one.shipment_id) in claimed.orders
    ]
    async with deps.db.transaction() as conn:
        locked = await shipments.lock(conn, keys)
        heard = [_settled(one, outcome, fences, now=now) for one in locked.values()]
        await record(conn, heard, actor="push", now=now)


def _settled(
    shipment: Shipment, outcome: Outcome, fences: Mapping[UUID, int], *, now: datetime
) -> Heard:
    number = shipment_no(shipment.shipment_id)
    report, answer = outcome.reports.get(number), outcome.answers.get(number)
    if shipment.fence != fences[shipment.shipment_id]:
        return shipment, shipment, None
    if report is not None:
        return shipment, hear(shipment, report, now=now), report
    if isinstance(answer, Taken):
        report = Report(number, answer.order_no, OrderState.ACCEPTED)
        accepted = hear(shipment, report, now=now)
        return shipment, _check_soon(accepted, now=now), report
    if shipment.state is not ShipmentState.PUSHED:
        return shipment, shipment, None
    if isinstance(answer, Refused):
        log.error("shipment.refused", shipment_id=str(shipment.shipment_id), why=answer.reason)
        return shipment, wait_a_day(shipment, now=now, reason="warehouse_refused"), None
    return shipment, unclear(shipment, now=now), None


def _check_soon(shipment: Shipment, *, now: datetime) -> Shipment:
    if shipment.state is not ShipmentState.ACCEPTED:
        return shipment
    return unclear(shipment, now=now)


def _intend(shipment: Shipment, *, now: datetime) -> Shipment:
    if shipment.state is ShipmentState.PUSHED:
        return shipment
    return move(shipment, ShipmentState.PUSHED, now=now, due_at=shipment.due_at)


def _doubtful(due: Sequence[Shipment]) -> frozenset[str]:
    asked = [one for one in due if one.state is ShipmentState.PUSHED]
    return frozenset(shipment_no(one.shipment_id) for one in asked)


def _stands(order: Order, report: Report | None) -> bool:
    """Return whether the warehouse has the order as it is to be, or it is over."""
    if report is None:
        return False
    wanted = sorted((item.sku, item.quantity) for item in order.items)
    return report.state in _FINAL or sorted(report.items) == wanted


def _order(shipment: Shipment, packed: tuple[Item, ...], recipient: Recipient) -> Order:
    return Order(
        shipment_no=shipment_no(shipment.shipment_id),
        buyer_id=shipment.customer_id,
        recipient=recipient,
        items=packed,
        paid_fen=shipment.hold_fen,
        paid_at=shipment.planned_at,
        payment_no=shipment.hold_id.hex,
        deliver_by=shipment.deliver_by,
    )
