"""What an operator loses and brings back in the middle of the day: the streams, the database."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import asyncpg
import nats

from deploy import streams
from deploy.audit import auditor
from deploy.chaos.kills import LOOK_EVERY_S, Battle
from deploy.platform import Platform
from deploy.recover import first_unheard, recover_streams
from deploy.running import RunningPlatform
from deploy.topology import SERVICES

RECOVER_WITHIN_S: Final = 900.0
READERS: Final = ("wallet", "fulfillment", "notify")
TRIES: Final = 20
STEP_WITHIN_S: Final = 10.0
WAIT_FOR_EVENTS_S: Final = 1.0
SAID_WITHIN_S: Final = 60.0
_UNSAID: Final = """
    SELECT EXISTS (SELECT FROM notify.messages WHERE state = 'submitted')
        OR EXISTS (SELECT FROM notify.outbox WHERE published_at IS NULL)
        OR EXISTS (SELECT FROM billing.outbox WHERE published_at IS NULL)
    """
GONE_FOR_S: Final = 1.0
"""How long the services go on without streams."""


class NotRecovered(Exception):
    """A step of a recovery failed; the text is what it said."""


async def lose_streams(platform: Platform, battle: Battle, say: Callable[[str], None]) -> None:
    """
    Delete every stream with events in it that nobody has heard, then recover as the runbook says.

    The readers sleep until some lie there.
    """
    async with battle.quiet:
        running = RunningPlatform.read(platform.state_file)
        for left in reversed(range(TRIES)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STEP_WITHIN_S):
                    await battle.next_step.wait()
            if await _delete_if_something_waits(platform, running, anyway=not left):
                break
        await asyncio.sleep(GONE_FOR_S)
        await streams.declare(running.nats_url, nkey_seed=running.nats_bootstrap_seed)
        await asyncio.gather(*map(platform.wait_ready, platform.services))
        counts = await recover_streams(running)
        say(f"streams deleted and recovered, {sum(counts.values())} events published again")


async def _delete_if_something_waits(
    platform: Platform, running: RunningPlatform, *, anyway: bool
) -> bool:
    sleepers = [pid for name in READERS if (pid := platform.processes[name]) is not None]
    try:
        _signal(sleepers, signal.SIGSTOP)
        waits = await _something_waits(running)
        if waits or anyway:
            await delete_streams(running)
        return waits or anyway
    finally:
        _signal(sleepers, signal.SIGCONT)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _something_waits(running: RunningPlatform) -> bool:
    """Return whether soon an event is published that a sleeping reader has not heard."""
    deadline = time.monotonic() + WAIT_FOR_EVENTS_S
    while time.monotonic() < deadline:
        async with auditor(running.auditor_dsn) as conn:
            if await first_unheard(conn):
                return True
        await asyncio.sleep(LOOK_EVERY_S)
    return False


async def restore_backup(
    platform: Platform,
    battle: Battle,
    backup: Path,
    *,
    taken_at: datetime,
    say: Callable[[str], None],
) -> None:
    """Put *backup* in the place of the database, and recover as the runbook says."""
    async with battle.quiet:
        await asyncio.gather(*map(platform.wait_ready, platform.services))
        await _until_all_is_said(platform)
        await asyncio.gather(*map(platform.stop, platform.services))
        servers = {
            "NATS_URL": platform.nats.url,
            "BOOTSTRAP_NATS_NKEY_SEED": platform.secrets.nats_seeds["bootstrap"],
        }
        since = taken_at.isoformat()
        async with platform.without(platform.postgres):
            await asyncio.to_thread(platform.postgres.restore, backup)
        say("backup restored; " + await _recover(platform, "notify", servers, "messages", since))
        say(await _recover(platform, "billing", servers, "charges", since))
        running = RunningPlatform.read(platform.state_file)
        await delete_streams(running)  # they tell of a day that this database has not seen
        await streams.declare(running.nats_url, nkey_seed=running.nats_bootstrap_seed)
        await asyncio.gather(*map(platform.start, platform.services))
        counts = await recover_streams(running)
        say(f"services run again, {sum(counts.values())} events published again")


async def _until_all_is_said(platform: Platform) -> None:
    """Wait until nothing that went out is unknown to the streams, as far as that ends."""
    deadline = time.monotonic() + SAID_WITHIN_S
    conn = await asyncpg.connect(platform.dsn("postgres"))
    try:
        while time.monotonic() < deadline:
            if not await conn.fetchval(_UNSAID):
                return
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await conn.close()


async def delete_streams(running: RunningPlatform) -> None:
    """Delete every stream with all that is in it."""
    client = await nats.connect(
        running.nats_url,
        nkeys_seed_str=running.nats_bootstrap_seed,
        inbox_prefix=b"_INBOX_bootstrap",
    )
    try:
        js = client.jetstream(timeout=10)
        for service in SERVICES:
            await js.delete_stream(service)
    finally:
        await client.close()


async def _recover(
    platform: Platform, service: str, servers: dict[str, str], what: str, since: str
) -> str:
    """Run ``deploy.recover`` with the environment of *service*; return what it says."""
    environment = os.environ | dict(platform.program(service).environment) | servers
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.recover", what, "--since", since,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(RECOVER_WITHIN_S):
        said, complained = await process.communicate()
    if process.returncode != 0:
        raise NotRecovered(f"{what}: {complained.decode()[-3000:]}")
    return said.decode().strip().splitlines()[-1]
