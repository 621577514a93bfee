"""The day in peace, the day under fire, and the comparison of what both left behind."""

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import aiohttp
import asyncpg
import orjson

from deploy.chaos import faults
from deploy.chaos.books import differences, export
from deploy.chaos.cast import BEGIN, END, MERCHANT, PLAN, PREPARED_AT, Customer, cast
from deploy.chaos.kills import (
    RESTORE_AT,
    STREAMS_AT,
    TARGETS,
    WORK,
    Battle,
    Work,
    count_work,
    fight,
    schedule,
)
from deploy.chaos.lay import Shop, lay_customers
from deploy.chaos.loss import lose_streams, restore_backup
from deploy.chaos.rails import lay_mandates
from deploy.chaos.verify import violations
from deploy.clock import TestClockDriver
from deploy.demo import stage
from deploy.embedded import Postgres
from deploy.platform import Platform
from deploy.running import RunningPlatform
from deploy.topology import SERVICES

QUIET_WITHIN_S: Final = 600.0
QUICK: Final = {
    "JOB_PAUSE_S": "0.015",
    "BUS_RETRY_S": "[0.2,0.5,1,2,5,5,10,10,20,30,30,60]",
}
"""Real waits that stand still in business time are kept short."""
MOMENT: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Options:
    """How hard the day is."""

    seed: int = 1
    charges: int = 10_000
    kills: int = 112
    directory: Path = Path("var/chaos")
    keep: bool = False
    say: Callable[[str], None] = field(default=print)

    def __post_init__(self) -> None:
        """
        Check the options.

        Raises:
            ValueError: There is nothing to do, or too little.
        """
        if self.charges < len(TARGETS) or self.kills < 0:
            raise ValueError(f"At least {len(TARGETS)} charges, and no fewer than no kills")

    @property
    def peace(self) -> Path:
        """Return where the day in peace is lived."""
        return self.directory / "peace"

    @property
    def fire(self) -> Path:
        """Return where the day under fire is lived."""
        return self.directory / "fire"

    @property
    def backup(self) -> Path:
        """Return where the backup lies that is older than the day."""
        return self.directory / "backup"


Report = dict[str, object]


class SpoiltPeace(Exception):
    """Even the undisturbed day went wrong: there is nothing to compare with."""


async def run(options: Options) -> Report:
    """Live both days, write ``report.json`` and return it."""
    began = time.monotonic()
    clear(options)
    customers = cast(options.seed, options.charges)
    say = _stopwatch(options.say, began)
    peace, whole = await in_peace(options, customers, say)
    fire, battle, wrong = await on_fire(options, customers, whole, say)
    (options.directory / "books-peace.txt").write_bytes(peace)
    (options.directory / "books-fire.txt").write_bytes(fire)
    report: Report = {
        "seed": options.seed,
        "charges": options.charges,
        "kills": {target: battle.kills[target] for target in TARGETS},
        "faults": faults.met(faults.lies(options.seed, customers), options.fire / "sandbox")
        | {"streams_deleted": 1, "backup_restored": 1},
        "violations": wrong + differences(peace, fire),
        "seconds": round(time.monotonic() - began, 1),
    }
    path = options.directory / "report.json"
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    if not options.keep and not report["violations"]:
        clear(options)
    return report


def clear(options: Options) -> None:
    """End what an earlier run left, and forget its data."""
    for directory in (options.peace, options.fire):
        if directory.exists():
            Platform(directory, say=lambda _: None).end_leftovers()
        shutil.rmtree(directory, ignore_errors=True)
    for directory in options.directory.glob("backup*"):
        shutil.rmtree(directory, ignore_errors=True)
        directory.unlink(missing_ok=True)


async def in_peace(
    options: Options, customers: Sequence[Customer], say: Callable[[str], None]
) -> tuple[bytes, int]:
    """
    Prepare the day, back everything up, and live it undisturbed.

    Returns the final books, and how much work it was.
    """
    say(f"preparing {len(customers)} charges")
    await asyncio.to_thread(lay_mandates, options.peace, customers)
    async with _platform(options.peace, PREPARED_AT) as (platform, driver, session):
        running = RunningPlatform.read(platform.state_file)
        await lay_customers(platform, await _open_shop(platform, session, driver), customers)
        say("everybody has signed")
        await driver.advance(BEGIN)
        say("everybody has been told of the charge; backing up")
        await asyncio.to_thread(platform.postgres.back_up, options.backup)
        await asyncio.to_thread(_copy_books, options)
        await faults.give(session, running.simulators, faults.declines(customers))
        before = await _work(platform)
        say("the day in peace begins")
        await driver.advance(END)
        say("the day in peace is over; auditing")
        wrong = await violations(running)
        if wrong:
            raise SpoiltPeace("\n".join(wrong))
        return await export(running), await _work(platform) - before


async def _open_shop(
    platform: Platform, session: aiohttp.ClientSession, driver: TestClockDriver
) -> Shop:
    built = await stage.build(platform, session)
    gateway = built.gateways[MERCHANT.key]
    drafted = await gateway.post("signing", "/v1/plans", PLAN.as_body(), key=f"plan-{PLAN.key}")
    await gateway.post(
        "signing",
        f"/v1/plans/{drafted['plan_id']}/versions/1/publication",
        key=f"publication-{PLAN.key}",
    )
    await driver.quiet()
    return Shop(UUID(built.stores[MERCHANT.key]), UUID(drafted["plan_id"]))


async def on_fire(
    options: Options, customers: Sequence[Customer], whole: int, say: Callable[[str], None]
) -> tuple[bytes, Battle, list[str]]:
    """Live the same day under fire; return the final books, what fell, and what is wrong."""
    _lay_fire(options)
    battle = Battle(Work(whole))
    blows = schedule(options.seed, options.kills)
    async with _platform(options.fire, BEGIN) as (platform, driver, session):
        running = RunningPlatform.read(platform.state_file)
        scripts = faults.declines(customers) + faults.lies(options.seed, customers)
        await faults.give(session, running.simulators, scripts)
        say(f"the day under fire begins: {len(blows)} kills to come")
        async with asyncio.TaskGroup() as group:
            dsn = platform.dsn("postgres")
            counting = group.create_task(count_work(dsn, battle.work, since=BEGIN))
            fighting = group.create_task(fight(platform, battle, blows, say=say))
            operating = group.create_task(_lose_and_recover(options, platform, battle, say))
            await driver.advance(END, on_step=battle.stepped)
            battle.work.done = max(battle.work.done, 2 * whole)  # what is left comes now
            await operating
            await fighting
            counting.cancel()
        say("the last blow has fallen; settling")
        await driver.advance(END + MOMENT)
        say("the day under fire is over; auditing")
        return await export(running), battle, await violations(running)


async def _lose_and_recover(
    options: Options, platform: Platform, battle: Battle, say: Callable[[str], None]
) -> None:
    await battle.work.reached(RESTORE_AT)
    await restore_backup(platform, battle, options.backup, taken_at=BEGIN, say=say)
    await battle.work.reached(STREAMS_AT)
    await lose_streams(platform, battle, say)


def _copy_books(options: Options) -> None:
    """Copy the books of all simulators while they stand open."""
    target = options.backup.with_name("backup-sandbox")
    target.mkdir()
    for book in (options.peace / "sandbox").glob("*.sqlite"):
        with (
            contextlib.closing(sqlite3.connect(book)) as source,
            contextlib.closing(sqlite3.connect(target / book.name)) as copy,
        ):
            source.backup(copy)


def _lay_fire(options: Options) -> None:
    """Lay down everything as it was when the backup was taken; streams are empty."""
    options.fire.mkdir(parents=True)
    shutil.copy2(options.peace / "secrets.json", options.fire / "secrets.json")
    shutil.copytree(options.peace / "keys", options.fire / "keys")
    shutil.copytree(options.backup.with_name("backup-sandbox"), options.fire / "sandbox")
    Postgres(options.fire / "postgres").restore(options.backup)


@asynccontextmanager
async def _platform(
    directory: Path, now: datetime
) -> AsyncIterator[tuple[Platform, TestClockDriver, aiohttp.ClientSession]]:
    """Run a platform that really keeps what it commits, with a driver of its clock."""
    quick = {
        name: {f"{name.upper()}_{key}": text for key, text in QUICK.items()} for name in SERVICES
    }
    quick["fulfillment"] |= {
        "FULFILLMENT_JUSHUITAN_CALLS_PER_SECOND": "0",
        "FULFILLMENT_JUSHUITAN_CALLS_PER_MINUTE": "0",
    }
    quick["providers"] = {
        "SANDBOX_JST_CALLS_PER_SECOND": "0",
        "SANDBOX_JST_CALLS_PER_MINUTE": "0",
        "SANDBOX_SMS_RECEIPT_AFTER_S": "0",
        "SANDBOX_WECHAT_RECEIPT_AFTER_S": "0",
    }
    timeout = aiohttp.ClientTimeout(total=60)
    platform = Platform(directory, now=now, extra_env=quick, say=lambda _: None)
    async with aiohttp.ClientSession(timeout=timeout) as session, platform:
        running = RunningPlatform.read(platform.state_file)
        yield (
            platform,
            TestClockDriver(
                session,
                running.participants(),
                nats_monitor_url=running.nats_monitor_url,
                quiet_within_s=QUIET_WITHIN_S,
            ),
            session,
        )


async def _work(platform: Platform) -> int:
    conn = await asyncpg.connect(platform.dsn("postgres"))
    try:
        return int(await conn.fetchval(WORK, BEGIN))
    finally:
        await conn.close()


def _stopwatch(say: Callable[[str], None], began: float) -> Callable[[str], None]:
    def told(text: str) -> None:
        say(f"[{time.monotonic() - began:6.1f} s] {text}")

    return told
