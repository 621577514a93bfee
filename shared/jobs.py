"""
Work that happens by the clock.

``Due`` works off rows that carry their own moment; any number of replicas may run
it, because the work claims its rows.  ``Daily`` runs once a day in China, in one
replica, under a lease.  Both answer when they are next due, which is what lets a
test clock jump from one moment to the next without missing any.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import structlog

from shared import metrics
from shared.calendar import at_in_china, day_in_china
from shared.clock import Clock
from shared.db import Database
from shared.together import Together

log = structlog.get_logger()

D = TypeVar("D")

POLL_S: Final = 1.0
"""How often a job looks for work that another process may have made."""
STOP_S: Final = 15.0
"""How long a stop waits for batches under way; their claims outlive a harder stop."""
LEASE: Final = timedelta(minutes=10)
"""How long after its process died another replica may take a daily job over."""


@dataclass(frozen=True)
class Due(Generic[D]):
    """
    Work off rows that are due.

    *run* does one batch and returns how many rows it moved; *next_due* is the query of
    the earliest moment at which some row wants it, or NULL.  A row that *run* cannot
    move must be given a later moment, or the clock would stand still.
    """

    name: str
    run: Callable[[D], Awaitable[int]]
    next_due: str


@dataclass(frozen=True)
class Daily(Generic[D]):
    """Run once a day, at this hour and minute in China."""

    name: str
    hour: int
    minute: int
    run: Callable[[D], Awaitable[int]]

    @property
    def next_due(self) -> str:
        """Return the query of the moment it is due next, NULL before it was ever looked at."""
        return (
            "SELECT greatest(next_at, lease_until) "  # noqa: S608 - names are words of ours
            f"FROM job_runs WHERE job = '{self.name}'"
        )


Job = Due[D] | Daily[D]


class Runner(Generic[D]):
    """Runs the jobs of one process of one service."""

    def __init__(
        self,
        jobs: Sequence[Job[D]],
        *,
        db: Database,
        clock: Clock,
        deps: D,
        pause_s: float,
        lease: timedelta = LEASE,
    ) -> None:
        """
        Look for work at most once in *pause_s*, however many transactions commit.

        A daily job holds *lease*, and renews it while it runs.
        """
        self._clock = clock
        self._free = asyncio.Event()
        self._free.set()
        dues = _DueTimes(jobs, db=db)
        self._loops = [
            _Loop(
                job,
                dues=dues,
                db=db,
                clock=clock,
                deps=deps,
                pause_s=pause_s,
                lease=lease,
                free=self._free,
            )
            for job in jobs
        ]

    @property
    def busy(self) -> list[str]:
        """Return the names of the jobs that have, or may have, work now."""
        return [loop.job.name for loop in self._loops if not loop.settled]

    @property
    def activity(self) -> int:
        """Return a number that grows with each batch done."""
        return sum(loop.runs for loop in self._loops)

    @property
    def next_due_at(self) -> datetime | None:
        """Return the earliest moment at which a job will have work, as far as is known."""
        return min((loop.due_at for loop in self._loops if loop.due_at), default=None)

    def ring(self) -> None:
        """
        Wake every job that is due now that the clock has moved.

        The others need not look: what changes their next due moment is a commit, which
        rings by itself, or that of another replica, which wakes its own.
        """
        now = self._clock.now()
        for loop in self._loops:
            if loop.due_at is not None and loop.due_at <= now:
                loop.bell.set()

    def hold(self, *, held: bool) -> None:
        """Start no batch while *held*; one under way goes on."""
        if held:
            self._free.clear()
        else:
            self._free.set()

    async def run(self) -> None:
        """Run all jobs until cancelled, also when there are none."""
        await asyncio.gather(asyncio.Event().wait(), *(loop.run() for loop in self._loops))

    async def step(self) -> list[str]:
        """
        Do one batch of each job that is due, and return their names.

        For whoever moves time step by step and has all of it in hand; an error of a
        job is theirs to see.  ``run`` is not used beside it.
        """
        return [loop.job.name for loop in self._loops if await loop.step()]

    async def stop(self) -> None:
        """Start no batch any more, and wait a little for those under way."""
        self.hold(held=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                for loop in self._loops:
                    await loop.resting.wait()


class _DueTimes:
    """Asks when each job is due: one statement answers all who ask at the same time."""

    def __init__(self, jobs: Sequence[Job[Any]], *, db: Database) -> None:
        self._db = db
        self._sql = "SELECT " + ", ".join(f'({job.next_due}) AS "{job.name}"' for job in jobs)
        self._together = Together(self._ask)

    async def of(self, job: Job[Any]) -> datetime | None:
        return await self._together.add(job.name)

    async def _ask(self, names: Sequence[str]) -> list[datetime | None]:
        async with self._db.connection() as conn:
            row = await conn.fetchrow(self._sql)
        assert row is not None
        return [row[name] for name in names]


class _Loop(Generic[D]):
    def __init__(
        self,
        job: Job[D],
        *,
        dues: _DueTimes,
        db: Database,
        clock: Clock,
        deps: D,
        pause_s: float,
        lease: timedelta,
        free: asyncio.Event,
    ) -> None:
        self.job = job
        # What is committed changes nothing about when a daily job runs next.
        self.bell = db.committed.subscribe() if isinstance(job, Due) else asyncio.Event()
        self.due_at: datetime | None = None
        self.runs = 0
        self.resting = asyncio.Event()
        self.resting.set()
        self._looked = False
        self._looked_at = 0.0
        self._next_run_at: datetime | None = None
        self._free = free
        self._dues = dues
        self._db = db
        self._clock = clock
        self._deps = deps
        self._pause_s = pause_s
        self._lease = lease

    @property
    def settled(self) -> bool:
        return self._looked and not self.bell.is_set()

    async def run(self) -> None:
        while True:
            self.bell.clear()
            self._looked = False
            try:
                done = await self._step()
            except Exception:
                log.exception("job.failed", job=self.job.name)
                metrics.job_ran(self.job.name, ok=False)
                await asyncio.sleep(POLL_S)
                continue
            if done is None:
                self._looked = True
                await self._wait()
            elif done == 0:  # another process holds what is due
                await asyncio.sleep(0.05)

    async def step(self) -> bool:
        """Do one batch if there is any; the database is asked only after a commit."""
        if self.settled and (self.due_at is None or self.due_at > self._clock.now()):
            return False
        self.bell.clear()
        self._looked = False
        done = await self._step()
        self._looked = done is None
        return not self._looked

    async def _step(self) -> int | None:
        """Do one batch if the job is due; None says that it is not."""
        self._looked_at = time.monotonic()
        if self._next_run_at is None:
            self.due_at = await self._next_due_at()
        else:
            self.due_at, self._next_run_at = self._next_run_at, None
        if self.due_at is None or self.due_at > self._clock.now():
            return None
        await self._free.wait()
        self.resting.clear()
        try:
            if isinstance(self.job, Daily):
                done = await self._run_daily(self.job)
            else:
                done = await self.job.run(self._deps)
        finally:
            self.resting.set()
        self.runs += 1
        metrics.job_ran(self.job.name, ok=True)
        return done

    async def _wait(self) -> None:
        wait_s = POLL_S
        if self.due_at is not None:
            wait_s = min(wait_s, (self.due_at - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(max(wait_s, 0.001)):
                await self.bell.wait()
            await asyncio.sleep(self._looked_at + self._pause_s - time.monotonic())
        except TimeoutError:
            return

    async def _next_due_at(self) -> datetime | None:
        due_at = await self._dues.of(self.job)
        if due_at is not None or isinstance(self.job, Due):
            return due_at
        first = _next_run(self.job, after=self._clock.now())
        async with self._db.connection() as conn:
            await conn.execute(
                "INSERT INTO job_runs (job, next_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                self.job.name,
                first,
            )
        return first

    async def _run_daily(self, job: Daily[D]) -> int:
        now = self._clock.now()
        # Neither claim nor end of a lease makes work for anybody: no commit rings for them.
        async with self._db.connection() as conn:
            fence = await conn.fetchval(
                """
                UPDATE job_runs SET lease_until = $2 + $3::interval, fence = fence + 1
                 WHERE job = $1 AND next_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
                RETURNING fence
                """,
                job.name,
                now,
                self._lease,
            )
        if fence is None:
            return 0
        renewal = asyncio.create_task(self._renew_lease(job, fence))
        try:
            done = await job.run(self._deps)
        finally:
            renewal.cancel()
        async with self._db.connection() as conn:
            # None where another replica has taken over: then the database is asked.
            self._next_run_at = await conn.fetchval(
                """
                UPDATE job_runs SET next_at = $3, lease_until = NULL
                 WHERE job = $1 AND fence = $2
                RETURNING next_at
                """,
                job.name,
                fence,
                _next_run(job, after=now),
            )
        return max(done, 1)

    async def _renew_lease(self, job: Daily[D], fence: int) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                async with self._db.connection() as conn:
                    await conn.execute(
                        "UPDATE job_runs SET lease_until = $3 WHERE job = $1 AND fence = $2",
                        job.name,
                        fence,
                        self._clock.now() + self._lease,
                    )
            except Exception as error:  # noqa: BLE001 - the next try may be in time
                log.warning("lease.not_renewed", job=job.name, error=repr(error))


def _next_run(job: Daily[D], *, after: datetime) -> datetime:
    today = day_in_china(after)
    moment = at_in_china(today, job.hour, job.minute)
    return (
        moment if moment > after else at_in_china(today + timedelta(days=1), job.hour, job.minute)
    )
