"""Judge the lines of a fetched bill against attempts and refunds, set by set."""

from typing import Final

from services.billing.deps import Deps
from services.billing.domain.bill_day import LEASE, BillDay, DayState
from services.billing.store import bill_days, bill_lines
from services.billing.usecases.fetch_bill import held

SET: Final = 20_000
"""Lines that one transaction judges."""


async def match_bill(deps: Deps, day: BillDay) -> None:
    """
    Judge what is not judged yet; killed between two sets, it goes on after the last one.

    Raises:
        TakenOver: Somebody else has this day now.
    """
    while await _next_set(deps, day):
        pass


async def _next_set(deps: Deps, day: BillDay) -> bool:
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        stands = await held(conn, day, until=now + LEASE)
        if stands.matched_to < stands.lines:
            to = min(stands.lines, stands.matched_to + SET)
            await bill_lines.match(conn, stands, to=to, now=now)
            await bill_days.matched_to(conn, day.day_id, to)
            return True
        await bill_lines.clear_staging(conn, day.day_id)
        await bill_days.move(conn, day.day_id, DayState.MATCHED, now=now)
        await bill_days.wake_before(conn, day, now=now)
        return False
