"""Twenty thousand lines with planted differences, undisturbed and under many deaths."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, product
from pathlib import Path

from deploy.bench.bill_scene import (
    DAY,
    EVERY,
    Found,
    Planted,
    expected,
    found,
    lay_charges,
    two_mornings,
    with_bill,
    write_bill,
)
from services.billing.deps import Deps
from services.billing.domain.bill_day import LEASE, BillDay, DayState
from services.billing.store import bill_days, bill_lines
from services.billing.usecases.match_bill import SET
from services.billing.usecases.open_bill_days import open_bill_days
from services.billing.usecases.reconcile_days import reconcile_days
from shared.calendar import at_in_china
from shared.clock import TestClock
from shared.db import Connection, Database
from tests.support.billing_world import BillingWorld

LINES = SET + 400
FEW = 5 * EVERY


class Death(BaseException):
    """What no use case can catch."""


class Mortal(Database):
    """A database whose process dies at its next *left*-th transaction, before or after commit."""

    left: int | None = None
    before_commit = False

    @classmethod
    def of(cls, db: Database) -> "Mortal":
        return cls(db._pool, schema=db.schema, name=db.name)

    @asynccontextmanager
    async def transaction(self, *, quiet: bool = False) -> AsyncIterator[Connection]:
        dies = False
        if self.left is not None:
            self.left -= 1
            dies = self.left == 0
        async with super().transaction(quiet=quiet) as conn:
            yield conn
            if dies and self.before_commit:
                raise Death
        if dies:
            raise Death


async def the_scene(world: BillingWorld, tmp_path: Path, count: int) -> tuple[Deps, Planted]:
    file = tmp_path / "bill.zip"
    await lay_charges(world.db, count)
    return with_bill(world.deps, file), write_bill(file, count)


def is_complete(seen: Found, planted: Planted, count: int) -> None:
    assert seen.tickets == expected(planted)
    assert seen.wrong_matches == 0
    wrong = sum(len(planted.numbers[kind]) for kind in ("missing_there", "amount_differs"))
    assert seen.matched == count - wrong


def the_day(seen: Found) -> BillDay:
    (day,) = [one for one in seen.days if one.day == DAY]
    return day


async def test_every_planted_difference_is_found_and_nothing_else(world, tmp_path):
    deps, planted = await the_scene(world, tmp_path, LINES)

    await two_mornings(deps)

    seen = await found(world.db)
    assert planted.count == LINES // EVERY
    is_complete(seen, planted, LINES)
    day = the_day(seen)
    assert (day.state, day.matched_to, day.compared) == (DayState.MATCHED, day.lines, True)


async def test_a_death_at_any_step_changes_nothing_of_the_result(world, tmp_path):
    """Each transaction is killed before its commit, done again and killed after it."""
    deps, planted = await the_scene(world, tmp_path, FEW)
    mortal = Mortal.of(world.db)
    deps = replace(deps, db=mortal)
    clock = deps.clock
    assert isinstance(clock, TestClock)
    deaths, turns = 0, cycle(product(range(2, 12), (True, False)))
    for days in (1, 2):
        clock.set(at_in_china(DAY + timedelta(days=days), 10))
        await open_bill_days(deps)
        done = False
        while not done:
            mortal.left, mortal.before_commit = next(turns)
            try:
                done = not await reconcile_days(deps)
            except Death:
                deaths += 1
                clock.set(clock.now() + LEASE)
        mortal.left = None

    seen = await found(world.db)
    is_complete(seen, planted, FEW)
    assert deaths >= 10
    async with world.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM bill_staging") == 0
        assert (
            await conn.fetchval(
                "SELECT max(times) FROM (SELECT count(*) AS times "
                "FROM history WHERE thing = 'bill_ticket' "
                "GROUP BY thing_id) AS each"
            )
            == 1
        )


async def test_who_lost_the_lease_writes_nothing_any_more(world, tmp_path):
    deps, _ = await the_scene(world, tmp_path, 10)
    clock = deps.clock
    assert isinstance(clock, TestClock)
    clock.set(at_in_china(DAY + timedelta(days=1), 10))
    await open_bill_days(deps)
    now = clock.now()
    async with world.db.transaction() as conn:
        [paused] = await bill_days.claim(conn, now=now, until=now + LEASE, limit=1)
    clock.set(clock.now() + LEASE)
    assert await reconcile_days(deps) == 1
    before = await found(world.db)

    async with world.db.transaction() as conn:
        assert await bill_days.hold(conn, paused) is None
        await bill_days.rest(conn, paused, until=now)

    assert await found(world.db) == before
    async with world.db.connection() as conn:
        assert not await bill_lines.anything_unclear(conn, paused)
