"""Every morning: expect the bill of each day that has passed, at each rail."""

from datetime import date, datetime, timedelta

from services.billing.deps import Deps
from services.billing.domain.bill_day import BillDay, DayState, day_id_of
from services.billing.store import bill_days, bill_tickets
from shared import metrics
from shared.calendar import day_in_china
from shared.db import Connection


async def open_bill_days(deps: Deps) -> int:
    """
    Open the days up to yesterday that are not open yet, also after an outage of many days.

    Days that wait for a person, or for the next day's bill, are looked at again.
    """
    now = deps.clock.now()
    yesterday = day_in_china(now) - timedelta(days=1)
    done = 0
    async with deps.db.transaction() as conn:
        for rail, source in deps.bills.items():
            first = await _first_missing(conn, rail, source.account_no, yesterday)
            days = [
                _expected(rail, source.account_no, first + timedelta(days=n), now=now)
                for n in range((yesterday - first).days + 1)
            ]
            done += await bill_days.add(conn, days)
        done += await bill_days.wake_open(conn, now=now)
        await tell_open(conn, now=now)
    return done


async def tell_open(conn: Connection, *, now: datetime) -> None:
    """Tell the metrics which days and differences are open, and for how long."""
    days = await bill_days.oldest_open(conn)
    tickets = await bill_tickets.open_counts(conn)
    metrics.state_oldest(
        "bill_day", [(state, (now - since).total_seconds()) for state, since in days]
    )
    metrics.state_oldest(
        "bill_ticket", [(kind, (now - since).total_seconds()) for kind, _, since in tickets]
    )
    metrics.state_count("bill_ticket", [(kind, count) for kind, count, _ in tickets])


async def _first_missing(conn: Connection, rail: str, account_no: str, yesterday: date) -> date:
    last = await bill_days.last_day(conn, rail, account_no)
    if last is not None:
        return last + timedelta(days=1)
    paid_at = await bill_days.first_payment_at(conn, rail)
    return yesterday if paid_at is None else min(yesterday, day_in_china(paid_at))


def _expected(rail: str, account_no: str, day: date, *, now: datetime) -> BillDay:
    return BillDay(
        day_id=day_id_of(rail, account_no, day),
        rail=rail,
        account_no=account_no,
        day=day,
        state=DayState.EXPECTED,
        next_at=now,
        fence=0,
        tries=0,
        refused=None,
        lines=0,
        matched_to=0,
        compared=False,
        charges=0,
        refunds=0,
        captured_fen=0,
        refunded_fen=0,
        fee_fen=0,
        opened_at=now,
        fetched_at=None,
        matched_at=None,
        closed_at=None,
    )
