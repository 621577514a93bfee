"""Take back what the warehouse may already have; what has left stays sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.fulfillment.deps import Deps
from services.fulfillment.domain.shipment import (
    OrderState,
    Report,
    Shipment,
    ShipmentState,
    hear,
    shipment_no,
    unclear,
)
from services.fulfillment.gateways.warehouse import Taken, Warehouse, WarehouseUnclear
from services.fulfillment.store import shipments
from services.fulfillment.usecases.record_reports import record

log = structlog.get_logger()

BATCH: Final = 50
LEASE: Final = timedelta(minutes=10)

STATES: Final = (ShipmentState.CANCELLING,)


@dataclass(slots=True)
class _Said:
    """What the warehouse said; *absent* are numbers that it does not know."""

    reports: dict[str, Report] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)


async def cancel_at_warehouse(deps: Deps) -> int:
    """
    Cancel one batch at the warehouse; return how many shipments there were.

    Cancelling again what is cancelled changes nothing, so an unclear answer is asked
    again.  A refusal is looked into: the parcel may have left.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await shipments.claim_due(conn, STATES, now=now, limit=BATCH, lease=LEASE)
    if not due:
        return 0
    said = _Said()
    try:
        await _ask(deps.warehouse, due, said)
    except WarehouseUnclear as error:
        log.warning("warehouse.unclear", error=str(error), orders=len(due))
    await _settle(deps, due, said)
    return len(due)


async def _ask(warehouse: Warehouse, due: Sequence[Shipment], said: _Said) -> None:
    numbers = {shipment_no(one.shipment_id): one.order_no for one in due}
    unnumbered = [number for number, order_no in numbers.items() if order_no is None]
    if unnumbered:
        said.reports |= await warehouse.find(unnumbered)
        said.absent |= set(unnumbered) - set(said.reports)
        numbers |= {number: report.order_no for number, report in said.reports.items()}
    by_order_no = {order_no: number for number, order_no in numbers.items() if order_no}
    if not by_order_no:
        return
    answers = await warehouse.cancel(list(by_order_no))
    refused: list[str] = []
    for order_no, number in by_order_no.items():
        if isinstance(answers.get(order_no), Taken):
            said.reports[number] = Report(number, order_no, OrderState.CANCELLED)
        else:
            refused.append(number)
    if refused:
        said.reports |= await warehouse.find(refused)


async def _settle(deps: Deps, due: Sequence[Shipment], said: _Said) -> None:
    now = deps.clock.now()
    fences: dict[UUID, int] = {one.shipment_id: one.fence for one in due}
    async with deps.db.transaction() as conn:
        locked = await shipments.lock(conn, [(one.merchant_id, one.shipment_id) for one in due])
        current = [
            one
            for one in locked.values()
            if one.fence == fences[one.shipment_id] and one.state in STATES
        ]
        heard = [(one, *_after(one, said, now=now)) for one in current]
        await record(conn, heard, actor="cancel", now=now)


def _after(shipment: Shipment, said: _Said, *, now: datetime) -> tuple[Shipment, Report | None]:
    number = shipment_no(shipment.shipment_id)
    report = said.reports.get(number)
    if number in said.absent and shipment.order_no is None:
        report = Report(number, "", OrderState.CANCELLED)
    if report is None:
        return unclear(shipment, now=now), None
    after = hear(shipment, report, now=now)
    if after.state in STATES:
        return unclear(after, now=now), report
    return after, report
