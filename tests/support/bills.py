"""Mornings of reconciliation in billing's world, and what stands on record after them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from services.billing.domain.bill_day import BillDay, Ticket
from services.billing.store import bill_days, bill_tickets
from services.billing.usecases.open_bill_days import open_bill_days
from shared.calendar import at_in_china, day_in_china
from tests.support.billing_world import BillingWorld


async def morning(world: BillingWorld, *, hour: int = 10) -> None:
    """Live until ten (or *hour*) of the next day in China, and do what is done then."""
    now = world.clock.now()
    today = at_in_china(day_in_china(now), hour)
    target = today if today > now else at_in_china(day_in_china(now) + timedelta(days=1), hour)
    await world.live_until(target)
    await open_bill_days(world.deps)
    await world.work()


async def days(world: BillingWorld, rail: str = "alipay") -> list[BillDay]:
    async with world.db.connection() as conn:
        return await bill_days.page(conn, rail=rail, open_only=False, after=None, limit=500)


async def the_day(world: BillingWorld, moment: datetime | date, rail: str = "alipay") -> BillDay:
    day = day_in_china(moment) if isinstance(moment, datetime) else moment
    (found,) = [one for one in await days(world, rail) if one.day == day]
    return found


async def tickets(world: BillingWorld, *, open_only: bool = False) -> list[Ticket]:
    async with world.db.connection() as conn:
        return await bill_tickets.page(
            conn, merchant_id=None, day_id=None, open_only=open_only, after=None, limit=500
        )


async def kinds(world: BillingWorld, *, open_only: bool = False) -> Sequence[tuple[str, str, Any]]:
    """Return kind, cause and resolution of each ticket."""
    found = await tickets(world, open_only=open_only)
    return sorted((one.kind.value, one.cause, one.resolution) for one in found)


async def lines(world: BillingWorld, day_id: UUID) -> list[dict[str, Any]]:
    async with world.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT * FROM bill_lines WHERE day_id = $1 ORDER BY line_no", day_id
        )
    return [dict(row) for row in rows]


async def snapshot(world: BillingWorld) -> dict[str, Any]:
    """Return everything on record that a restart must not change, ids and fences aside."""
    found = await days(world)
    async with world.db.connection() as conn:
        sums = await conn.fetch("SELECT * FROM reconciliations ORDER BY reconciliation_id")
        staged = await conn.fetchval("SELECT count(*) FROM bill_staging")
    return {
        "days": [asdict(day) | {"fence": 0} for day in found],
        "lines": [await lines(world, day.day_id) for day in found],
        "tickets": [asdict(one) | {"ticket_id": None} for one in await tickets(world)],
        "sums": [dict(row) for row in sums],
        "staged": staged,
        "told": [body for name, body in world.told if name == "billing.day.reconciled.v1"],
    }
