"""SIGKILLs by seed: whom, and after how much of the day's work."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final

import asyncpg

from deploy.platform import Platform
from deploy.supervisor import PlatformError
from deploy.topology import SERVICES

SERVERS: Final = ("postgres", "nats")
TARGETS: Final = (*SERVICES, *SERVERS)
LOOK_EVERY_S: Final = 0.05
RECOVERS_WITHIN_S: Final = 120.0

STREAMS_AT: Final = 0.50
RESTORE_AT: Final = 0.20
"""Shares of the day's work after which streams are lost and the backup is put back."""
BETWEEN: Final = (0.02, 0.95)
"""Shares of the day's work between which the kills fall."""

WORK: Final = """
    SELECT (SELECT count(*) FROM billing.attempts WHERE state IN ('succeeded', 'failed'))
         + (SELECT count(*) FROM wallet.transfers)
         + (SELECT count(*) FROM fulfillment.shipments)
         + (SELECT count(*) FROM fulfillment.shipments WHERE state = 'dispatched')
         + (SELECT count(*) FROM notify.messages WHERE queued_at >= $1 AND accepted_at IS NOT NULL)
    """
"""How much has been done, in rows: it grows with the day, wherever the work lies."""


_AWAY: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server killed in the middle of an answer
)


@dataclass(frozen=True, slots=True, order=True)
class Blow:
    """*target* is killed when *share* of the day's work is done."""

    share: float
    target: str


def schedule(seed: int, kills: int) -> list[Blow]:
    """Return *kills* blows of *seed* in order, each target as often as the others."""
    luck = Random(f"kills {seed}")  # noqa: S311 - repeatable, not secret
    targets = [TARGETS[number % len(TARGETS)] for number in range(kills)]
    luck.shuffle(targets)
    return sorted(Blow(luck.uniform(*BETWEEN), target) for target in targets)


@dataclass
class Work:
    """How much work was done, counted again and again; what a restore undoes was done too."""

    whole: int
    """What the same day took in peace."""
    done: int = 0
    _seen: int | None = None

    @property
    def share(self) -> float:
        """Return how much of the day's work is done; above 1 where some was done twice."""
        return self.done / max(self.whole, 1)

    async def reached(self, share: float) -> None:
        """Wait until that much of the day's work is done."""
        while True:
            if self.share >= share:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def saw(self, rows: int) -> None:
        """Take notice of how many rows there are now."""
        if self._seen is not None:
            self.done += max(0, rows - self._seen)
        self._seen = rows


@dataclass
class Battle:
    """The blows that have fallen."""

    work: Work
    kills: Counter[str] = field(default_factory=Counter)
    quiet: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever must not be disturbed: nobody is killed while an operator works."""

    next_step: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when time has moved and work begins."""

    def stepped(self, _: datetime) -> None:
        """Tell who waits for it that time has moved."""
        self.next_step.set()
        self.next_step = asyncio.Event()

    async def strike(self, platform: Platform, target: str) -> None:
        """Kill *target* once it runs, and wait until it answers again."""
        async with self.quiet:
            await _until_running(platform, target)
            platform.kill(target)
            self.kills[target] += 1
        if target in SERVERS:
            await _until_running(platform, target)
        else:
            await platform.wait_ready(target, timeout_s=RECOVERS_WITHIN_S)


async def fight(
    platform: Platform, battle: Battle, blows: Sequence[Blow], *, say: Callable[[str], None]
) -> None:
    """
    Let all *blows* fall, those on one target one after the other.

    Raises:
        ExceptionGroup: Of PlatformError: somebody does not come back.
    """
    async with asyncio.TaskGroup() as group:
        for target in TARGETS:
            mine = [blow for blow in blows if blow.target == target]
            group.create_task(_strike_all(platform, battle, mine, say))


async def count_work(dsn: str, work: Work, *, since: datetime) -> None:
    """Keep *work* up to date until cancelled; a server that is away is asked again."""
    while True:
        with contextlib.suppress(*_AWAY):
            conn = await asyncpg.connect(dsn, timeout=5)
            try:
                while True:
                    work.saw(await conn.fetchval(WORK, since, timeout=10))
                    await asyncio.sleep(LOOK_EVERY_S)
            finally:
                conn.terminate()
        await asyncio.sleep(LOOK_EVERY_S)


async def _strike_all(
    platform: Platform, battle: Battle, blows: Sequence[Blow], say: Callable[[str], None]
) -> None:
    for blow in blows:
        await battle.work.reached(blow.share)
        await battle.strike(platform, blow.target)
        total = sum(battle.kills.values())
        if total % 10 == 0:
            say(f"{total} kills, {battle.work.share:.0%} of the day's work")


async def _until_running(platform: Platform, target: str) -> None:
    deadline = time.monotonic() + RECOVERS_WITHIN_S
    while platform.processes.get(target) is None:
        if time.monotonic() > deadline:
            raise PlatformError(f"{target} does not come back")
        await asyncio.sleep(LOOK_EVERY_S)
