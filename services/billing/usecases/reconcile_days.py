"""Take a bill's day as far as it goes today: fetch, match, explain, close."""

import asyncio
from typing import Final

import structlog

from services.billing.contract import DayReconciled
from services.billing.deps import Deps
from services.billing.domain.bill_day import LEASE, BillDay, DayState, next_fetch_at
from services.billing.store import bill_days, bill_tickets, reconciliations
from services.billing.store.reconciliations import Reconciliation
from services.billing.usecases.fetch_bill import TakenOver, fetch_bill, held
from services.billing.usecases.match_bill import match_bill
from services.billing.usecases.open_bill_days import tell_open
from services.billing.usecases.settle_differences import compare_ours, settle_differences
from services.signing.contract import Rail
from shared import outbox
from shared.ids import derived_id

log = structlog.get_logger()

AT_ONCE: Final = 3
"""Days worked on side by side: each holds one page of its bill in memory."""


async def reconcile_days(deps: Deps) -> int:
    """
    Work on the days that are due, a few at once; return how many.

    Each step commits for itself and can be begun again: a process that dies leaves a day
    where the last step left it, and the lease lets another one go on.
    """
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        days = await bill_days.claim(conn, now=now, until=now + LEASE, limit=AT_ONCE)
    ended = await asyncio.gather(*(_reconcile(deps, day) for day in days), return_exceptions=True)
    for error in filter(None, ended):
        raise error  # once all have gone as far as they can
    if days:
        async with deps.db.connection() as conn:
            await tell_open(conn, now=now)
    return len(days)


async def _reconcile(deps: Deps, day: BillDay) -> None:
    try:
        await advance(deps, day)
    except TakenOver:
        log.info("bill.taken_over", rail=day.rail, day=day.day.isoformat())


async def advance(deps: Deps, day: BillDay) -> None:
    """
    Move a claimed day through its states until it is closed or must wait.

    Raises:
        TakenOver: Somebody else has this day now.
    """
    if day.state is DayState.EXPECTED:
        if not await fetch_bill(deps, day):
            return
        day = await _again(deps, day)
    if day.state is DayState.FETCHED:
        await match_bill(deps, day)
    compared = await compare_ours(deps, day)
    await settle_differences(deps, day)
    if not compared or not await _close(deps, day):
        await _wait(deps, day, compared=compared)


async def _again(deps: Deps, day: BillDay) -> BillDay:
    async with deps.db.connection() as conn:
        return await held(conn, day)


async def _close(deps: Deps, day: BillDay) -> bool:
    """Close the day if every difference has a resolution, and say so to each merchant's."""
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        await held(conn, day)
        if await bill_tickets.any_open(conn, day.day_id):
            return False
        sums = await reconciliations.add_of(conn, day, now=now)
        await bill_days.move(conn, day.day_id, DayState.CLOSED, now=now)
        await bill_days.rest(conn, day, until=None)
        await outbox.add(conn, *(_reconciled(one) for one in sums))
    if sums:
        deps.db.committed.ring()
    log.info("bill.closed", rail=day.rail, day=day.day.isoformat(), merchants=len(sums))
    return True


async def _wait(deps: Deps, day: BillDay, *, compared: bool) -> None:
    """Money that we did not know of is asked about again today, the rest tomorrow."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        unsettled = await bill_tickets.any_unsettled(conn, day.day_id)
        await bill_days.rest(conn, day, until=next_fetch_at(now) if unsettled else None)
        if not compared and await bill_days.next_is_matched(conn, day):
            await bill_days.rest(conn, day, until=now)  # it was, while we compared


def _reconciled(sums: Reconciliation) -> DayReconciled:
    return DayReconciled(
        event_id=derived_id("day_reconciled", sums.day_id, sums.merchant_id),
        occurred_at=sums.closed_at,
        reconciliation_id=sums.reconciliation_id,
        merchant_id=sums.merchant_id,
        rail=Rail(sums.rail),
        day=sums.day,
        charges=sums.charges,
        refunds=sums.refunds,
        captured_fen=sums.captured_fen,
        refunded_fen=sums.refunded_fen,
        fee_fen=sums.fee_fen,
        surplus_captured_fen=sums.surplus_captured_fen,
        surplus_refunded_fen=sums.surplus_refunded_fen,
    )
