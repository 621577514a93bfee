"""Kills one service in the middle of its work, on some busy days of the year."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from typing import Final

import aiohttp

from deploy.demo.progress import Progress
from deploy.demo.words import say
from deploy.platform import Platform
from shared.calendar import day_in_china

KILL_DAYS: Final = (date(2027, 3, 10), date(2027, 6, 15), date(2027, 9, 20))
"""Days with charges, notices and parcels at once."""
POLL_S: Final = 0.002


@asynccontextmanager
async def killing(
    service: str, platform: Platform, progress: Progress
) -> AsyncIterator[list[date]]:
    """
    Kill *service* with SIGKILL on each of ``KILL_DAYS``, as soon as it is at work.

    Yields the list of days on which that was done; an empty *service* is nobody.
    """
    kills: list[date] = []
    if not service:
        yield kills
        return
    task = asyncio.create_task(_kill_when_busy(service, platform, progress, kills))
    try:
        yield kills
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _kill_when_busy(
    service: str, platform: Platform, progress: Progress, kills: list[date]
) -> None:
    url = f"{platform.url(service)}/ops/clock"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        for day in KILL_DAYS:
            await _until(partial(_at_work, progress, day, session, url))
            platform.kill(service)
            kills.append(day)
            progress.note(say(progress.language, "killed", service=service, day=day))
            await platform.wait_ready(service)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await condition():
            return
        await asyncio.sleep(POLL_S)


async def _at_work(progress: Progress, day: date, session: aiohttp.ClientSession, url: str) -> bool:
    if progress.moment is None or day_in_china(progress.moment) < day:
        return False
    try:
        async with session.get(url) as answer:
            return bool((await answer.json())["busy"])
    except (aiohttp.ClientError, TimeoutError):
        return False
