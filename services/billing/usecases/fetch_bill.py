"""Download a day's bill and copy it into staging, whole or not at all."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, assert_never

import structlog

from services.billing.deps import Deps
from services.billing.domain.bill import (
    BillFault,
    BillLine,
    BillRow,
    BillUnusable,
    BrokenRow,
    Tally,
)
from services.billing.domain.bill_day import LEASE, BillDay, DayState, next_fetch_at
from services.billing.gateways.bill_source import BillSource, Fetched, NoBill, NotFetched
from services.billing.store import bill_days, bill_lines, bill_tickets
from services.billing.usecases.resolve_ticket import tell_resolved
from shared.db import Connection

log = structlog.get_logger()

CHUNK: Final = 5000
"""Rows in memory at once."""


class TakenOver(Exception):
    """The lease ran out and another process works on this day: leave it."""


async def fetch_bill(deps: Deps, day: BillDay) -> bool:
    """
    Fetch the bill of a claimed day; False says that there is none to use, and the day rests.

    Killed anywhere, it begins again: what was copied is copied in one transaction with the
    day's move to ``fetched``.

    Raises:
        TakenOver: Somebody else has this day now.
    """
    source = deps.bills[day.rail]
    with TemporaryDirectory(prefix="bill-") as directory:
        try:
            got = await source.fetch(day.day, Path(directory))
            match got:
                case Fetched():
                    await _load(deps, day, source, got.file)
                    return True
                case NoBill():
                    return await _without_bill(deps, day, got.code)
                case NotFetched():
                    await _refuse(deps, day, BillFault.NOT_FETCHED, got.code)
                    return False
                case _:
                    assert_never(got)
        except BillUnusable as error:
            await _refuse(deps, day, error.fault, error.detail)
            return False


async def held(conn: Connection, day: BillDay, *, until: datetime | None = None) -> BillDay:
    """
    Return the day as it stands, locked; *until* renews the lease.

    Raises:
        TakenOver: Somebody else has it now.
    """
    found = await bill_days.hold(conn, day, until=until)
    if found is None:
        raise TakenOver
    return found


async def _load(deps: Deps, day: BillDay, source: BillSource, file: Path) -> None:
    now = deps.clock.now()
    tally, broken = Tally(), list[BrokenRow]()
    async with deps.db.transaction() as conn:
        await held(conn, day, until=now + LEASE)
        await bill_lines.clear_staging(conn, day.day_id)
        rows = source.read(file)
        while chunk := await asyncio.to_thread(_take, rows):
            for row in chunk:
                tally.take(row)
            broken += [row for row in chunk if isinstance(row, BrokenRow)]
            lines = [row for row in chunk if isinstance(row, BillLine)]
            await bill_lines.stage(conn, day.day_id, lines)
        tally.check()
        await bill_tickets.open_broken(
            conn, day.day_id, broken, missing_fen=tally.missing_fen, now=now
        )
        await tell_resolved(
            conn, await bill_tickets.close_no_bill(conn, day.day_id, now=now), now=now
        )
        await bill_days.fetched(conn, day.day_id, tally, now=now)
    log.info(
        "bill.fetched",
        rail=day.rail,
        day=day.day.isoformat(),
        lines=tally.lines,
        broken=tally.broken,
    )


def _take(rows: Iterator[BillRow]) -> list[BillRow]:
    return list(islice(rows, CHUNK))


async def _without_bill(deps: Deps, day: BillDay, code: str) -> bool:
    """The rail says the same of a day without trades and of a bill that is not ready."""
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        await held(conn, day)
        ours = await bill_lines.anything_unlisted(conn, day)
        unclear = await bill_lines.anything_unclear(conn, day)
        if not ours and not unclear:
            await tell_resolved(
                conn, await bill_tickets.close_no_bill(conn, day.day_id, now=now), now=now
            )
            await bill_days.move(conn, day.day_id, DayState.MATCHED, now=now)
            await bill_days.wake_before(conn, day, now=now)
            return True
    await _refuse(deps, day, BillFault.NO_BILL, code)
    return False


async def _refuse(deps: Deps, day: BillDay, fault: BillFault, detail: str) -> None:
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        await held(conn, day)
        await bill_days.refuse(conn, day.day_id, f"{fault.value}: {detail}"[:200])
        await bill_tickets.open_no_bill(
            conn,
            day.day_id,
            cause=fault.value,
            number=f"{day.rail} {day.day}",
            now=now,
        )
        await bill_days.rest(conn, day, until=next_fetch_at(now))
    log.warning("bill.refused", rail=day.rail, day=day.day.isoformat(), fault=fault.value)
