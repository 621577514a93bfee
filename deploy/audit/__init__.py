"""
The platform proves itself: the books of rails, services and providers against each other.

All schemas are read at one moment, as the auditor, who can change nothing.  What is on its
way between two services looks like a difference for a moment; what still differs at a second
look does not arrive by itself.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from deploy.audit import (
    agreements,
    bills,
    merchants,
    messages,
    notices,
    parcels,
    rails,
    stuck,
    wallets,
)
from deploy.audit.books import read_books
from deploy.audit.figures import Figures, count
from deploy.audit.finding import Finding, Scene
from deploy.running import RunningPlatform
from shared.db import Connection

__all__ = [
    "CHECKS",
    "Figures",
    "Finding",
    "audit",
    "auditor",
    "check_all",
    "figures",
    "look",
    "read_json",
]

LOOK_AGAIN_AFTER_S: Final = 3.0

CHECKS: Final[Sequence[Callable[[Scene], Awaitable[Finding]]]] = (
    *rails.CHECKS,
    *bills.CHECKS,
    *wallets.CHECKS,
    *merchants.CHECKS,
    *parcels.CHECKS,
    *notices.CHECKS,
    *messages.CHECKS,
    *agreements.CHECKS,
    *stuck.CHECKS,
)


async def audit(
    running: RunningPlatform, *, again_after_s: float = LOOK_AGAIN_AFTER_S
) -> list[Finding]:
    """
    Run every check; what differs is looked at a second time, *again_after_s* later.

    Raises:
        NoPlatform: The platform runs without some simulator.
        aiohttp.ClientError, asyncpg.PostgresError, OSError: Something does not answer.
    """
    findings = await _all(running)
    if again_after_s and not all(finding.ok for finding in findings):
        await asyncio.sleep(again_after_s)
        findings = await _all(running)
    return findings


async def figures(running: RunningPlatform) -> Figures:
    """Return the platform's numbers, for reports."""
    async with look(running) as scene:
        return await count(scene)


@asynccontextmanager
async def look(running: RunningPlatform) -> AsyncIterator[Scene]:
    """Lend all schemas at one moment, and the books read just before it."""
    books = await read_books(running)
    async with auditor(running.auditor_dsn) as conn:
        yield Scene(conn, books)


@asynccontextmanager
async def auditor(dsn: str) -> AsyncIterator[Connection]:
    """Lend a connection that reads every schema, all at one moment."""
    conn: Connection = await asyncpg.connect(
        dsn,
        timeout=10,
        command_timeout=120,
        server_settings={"application_name": "audit", "timezone": "UTC", "jit": "off"},
    )
    try:
        await read_json(conn)
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            yield conn
    finally:
        await conn.close()


async def read_json(conn: Connection) -> None:
    """Let *conn* take and give JSON as Python's lists and dictionaries."""
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def check_all(scene: Scene) -> list[Finding]:
    """Run every check on *scene*, in their order."""
    return [await check(scene) for check in CHECKS]


async def _all(running: RunningPlatform) -> list[Finding]:
    async with look(running) as scene:
        return await check_all(scene)
