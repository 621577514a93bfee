"""Work by the clock: nothing missed, nothing twice, and a word about what comes next."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from shared.clock import SystemClock, TestClock
from shared.db import Database
from shared.jobs import Daily, Due, Runner
from tests.support.waiting import until

NINE = datetime(2027, 3, 1, 1, 0, tzinfo=UTC)  # 09:00 in China


@dataclass
class Shop:
    """Deps of these tests: what was done when; what is due stands in the database."""

    db: Database
    clock: TestClock
    done: list[datetime] = field(default_factory=list)
    fails: int = 0

    def has_done(self, count: int) -> bool:
        return len(self.done) == count


async def sell(shop: Shop) -> int:
    if shop.fails:
        shop.fails -= 1
        raise ValueError("out of order")
    async with shop.db.transaction() as conn:
        sold = await conn.fetch(
            "DELETE FROM job_runs WHERE job LIKE 'sale %' AND next_at <= $1 RETURNING next_at",
            shop.clock.now(),
        )
    shop.done += [row["next_at"] for row in sold]
    return len(sold)


SELLING = Due("sell", sell, "SELECT min(next_at) FROM job_runs WHERE job LIKE 'sale %'")


async def a_shop(db: Database, *, due: Sequence[datetime] = (), fails: int = 0) -> Shop:
    async with db.transaction() as conn:
        for number, moment in enumerate(due):
            await conn.execute(
                "INSERT INTO job_runs (job, next_at) VALUES ($1, $2)", f"sale {number}", moment
            )
    return Shop(db, TestClock(NINE), fails=fails)


async def sweep(shop: Shop) -> int:
    shop.done.append(shop.clock.now())
    return 0


SWEEPING = Daily("sweep", 3, 30, sweep)


@asynccontextmanager
async def at_work(shop: Shop, *jobs: Due[Shop] | Daily[Shop]) -> AsyncIterator[Runner[Shop]]:
    runner = Runner(jobs, db=shop.db, clock=shop.clock, deps=shop, pause_s=0)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        await runner.stop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_work_is_done_when_it_is_due_and_not_before(wallet_db):
    shop = await a_shop(wallet_db, due=[NINE, NINE + timedelta(hours=1)])

    async with at_work(shop, SELLING) as runner:
        await until(lambda: not runner.busy)
        assert shop.done == [NINE]
        assert runner.next_due_at == NINE + timedelta(hours=1)

        shop.clock.advance(hours=1)
        runner.ring()
        await until(lambda: len(shop.done) == 2)


async def test_nothing_starts_while_the_clock_is_held(wallet_db):
    shop = await a_shop(wallet_db, due=[NINE + timedelta(hours=1)])

    async with at_work(shop, SELLING) as runner:
        await until(lambda: not runner.busy)
        runner.hold(held=True)
        shop.clock.advance(hours=1)
        runner.ring()
        await until(lambda: runner.busy == ["sell"])
        assert shop.done == []

        runner.hold(held=False)
        await until(lambda: len(shop.done) == 1)


async def test_a_job_that_fails_is_tried_again(wallet_db):
    shop = await a_shop(wallet_db, due=[NINE], fails=1)

    async with at_work(shop, SELLING) as runner:
        await until(lambda: shop.done == [NINE])
        await until(lambda: not runner.busy)


async def test_a_daily_job_runs_once_a_day_at_its_hour_in_china(wallet_db):
    shop = await a_shop(wallet_db)

    async with at_work(shop, SWEEPING) as runner:
        await until(lambda: not runner.busy)
        assert runner.next_due_at == datetime(2027, 3, 1, 19, 30, tzinfo=UTC)
        for day in (1, 2):
            shop.clock.set(datetime(2027, 3, day, 19, 30, tzinfo=UTC))
            runner.ring()
            await until(partial(shop.has_done, day))
        await until(lambda: not runner.busy)
        assert runner.next_due_at == datetime(2027, 3, 3, 19, 30, tzinfo=UTC)


async def test_two_replicas_run_a_daily_job_once(wallet_db):
    shop = await a_shop(wallet_db)

    async with at_work(shop, SWEEPING) as one, at_work(shop, SWEEPING) as two:
        await until(lambda: not one.busy and not two.busy)
        shop.clock.set(datetime(2027, 3, 1, 19, 30, tzinfo=UTC))
        one.ring()
        two.ring()
        await until(lambda: shop.done != [] and not one.busy and not two.busy)

    assert shop.done == [datetime(2027, 3, 1, 19, 30, tzinfo=UTC)]


async def test_a_daily_job_whose_process_died_is_taken_over_after_its_lease(wallet_db):
    shop = await a_shop(wallet_db)
    due = datetime(2027, 3, 1, 19, 30, tzinfo=UTC)
    async with wallet_db.transaction() as conn:
        await conn.execute(
            "INSERT INTO job_runs (job, next_at, lease_until, fence) VALUES ('sweep', $1, $2, 1)",
            due,
            due + timedelta(minutes=10),
        )
    shop.clock.set(due)

    async with at_work(shop, SWEEPING) as runner:
        await until(lambda: not runner.busy)
        assert shop.done == []
        assert runner.next_due_at == due + timedelta(minutes=10)

        shop.clock.set(due + timedelta(minutes=10))
        runner.ring()
        await until(lambda: len(shop.done) == 1)


async def test_a_long_daily_job_keeps_its_lease(wallet_db):
    begun: list[datetime] = []
    enough = asyncio.Event()

    async def sweep_slowly(clock: SystemClock) -> int:
        begun.append(clock.now())
        await enough.wait()
        return 0

    async def renewed() -> bool:
        async with wallet_db.connection() as conn:
            lease_until: datetime = await conn.fetchval("SELECT lease_until FROM job_runs")
        return lease_until > begun[0] + timedelta(seconds=1)

    clock = SystemClock()
    async with wallet_db.transaction() as conn:
        await conn.execute("INSERT INTO job_runs (job, next_at) VALUES ('slow', $1)", clock.now())
    runners = [
        Runner(
            (Daily("slow", 3, 30, sweep_slowly),),
            db=wallet_db,
            clock=clock,
            deps=clock,
            pause_s=0,
            lease=timedelta(seconds=0.3),
        )
        for _ in range(2)
    ]
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        await until(lambda: begun != [])
        await until(renewed)
        assert len(begun) == 1
    finally:
        enough.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_service_without_jobs_keeps_running(wallet_db):
    runner = Runner((), db=wallet_db, clock=TestClock(NINE), deps=None, pause_s=0)
    task = asyncio.create_task(runner.run())

    done, _ = await asyncio.wait([task], timeout=0.05)

    assert not done
    task.cancel()
