"""What every service does for itself: tell how much waits, and forget what nobody needs."""

import asyncio
from typing import Final

import asyncpg
import structlog

from shared import idempotency, metrics, webhooks
from shared.clock import SystemClock
from shared.db import Database
from shared.errors import TryLater
from shared.web import HasDatabase

log = structlog.get_logger()

WATCH_EVERY_S: Final = 5.0


async def watch(db: Database) -> None:
    """Feed the gauges of outbox and dead letters until cancelled."""
    consumers: set[str] = set()
    while True:
        try:
            consumers |= await _look(db, consumers)
        except (
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,  # a server killed in the middle of an answer
            TryLater,
        ) as error:
            log.warning("gauges.unread", error=repr(error))
        await asyncio.sleep(WATCH_EVERY_S)


async def _look(db: Database, consumers: set[str]) -> set[str]:
    async with db.connection() as conn:
        outbox = await conn.fetchrow(
            """
            SELECT count(*) AS pending,
                   coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
                   AS oldest_s
              FROM outbox WHERE published_at IS NULL
            """
        )
        letters = await conn.fetch(
            "SELECT consumer, count(*) FROM dead_letters WHERE replayed_at IS NULL GROUP BY 1"
        )
    assert outbox is not None
    metrics.outbox_waits(outbox["pending"], outbox["oldest_s"])
    waiting = {row["consumer"]: row["count"] for row in letters}
    for consumer in consumers | set(waiting):
        metrics.dead_letters_wait(consumer, waiting.get(consumer, 0))
    return set(waiting)


async def forget_old(deps: HasDatabase) -> int:
    """Delete stored answers and placed webhook calls past their time; return how many."""
    async with deps.db.connection() as conn:
        answers = await idempotency.forget_old(conn, now=SystemClock().now())
        calls = await webhooks.forget_old(conn, now=deps.clock.now())
    return answers + calls
