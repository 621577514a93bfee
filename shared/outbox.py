"""Events are written beside the change they tell of, and published afterwards, in order."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

import asyncpg
import nats.errors
import structlog

from shared import metrics, tracing
from shared.db import Connection, Database, Row
from shared.errors import TryLater
from shared.events import Event

log = structlog.get_logger()

BATCH: Final = 500
PAUSE_S: Final = 1.0
"""How long the relay waits at most for the doorbell, and after a failure."""
ACKED_WITHIN_S: Final = 10.0
"""How long the server has to store a batch; what it said may be lost with its connection."""


class Publisher(Protocol):
    """The part of a JetStream context that the relay needs."""

    async def publish_async(
        self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None
    ) -> "asyncio.Future[Any]":
        """Send one message; the result is done when the server has stored it."""
        ...


async def add(conn: Connection, *events: Event) -> None:
    """Remember to publish *events*, in this order, if the transaction commits."""
    if not events:
        return
    trace = tracing.traceparent()
    await conn.execute(
        """
        INSERT INTO outbox (event_id, subject, aggregate_id, occurred_at, traceparent, body)
        SELECT e.event_id, e.subject, e.aggregate_id, e.occurred_at, $5, e.body
          FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $6::bytea[])
               WITH ORDINALITY AS e (event_id, subject, aggregate_id, occurred_at, body, n)
         ORDER BY e.n
        """,
        [event.event_id for event in events],
        [event.subject for event in events],
        [event.aggregate_id for event in events],
        [event.occurred_at for event in events],
        trace,
        [event.model_dump_json().encode() for event in events],
    )


class Relay:
    """
    Publishes what the outbox holds, for one process of one service.

    Any number of processes may relay: an advisory lock lets one of them publish
    at a time, so that events about one aggregate keep their order, and whoever
    has just committed takes the next turn.  The lock dies with its connection.
    A publication that timed out is repeated under the same ``Nats-Msg-Id``.
    """

    def __init__(
        self,
        db: Database,
        publisher: Publisher,
        *,
        source: str,
        acked_within_s: float = ACKED_WITHIN_S,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._source = source
        self._acked_within_s = acked_within_s
        self._bell = db.committed.subscribe()
        self.published = 0
        self.idle = False

    async def run(self) -> None:
        """Publish until cancelled; failures are logged and tried again."""
        while True:
            self._bell.clear()
            self.idle = False
            try:
                while await self.publish_batch() == BATCH:
                    pass
            except (
                OSError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,  # a server killed in the middle of an answer
                TryLater,
                nats.errors.Error,
            ) as error:
                log.warning("outbox.stuck", error=repr(error))
                await asyncio.sleep(PAUSE_S)
                continue
            self.idle = not self._bell.is_set()
            try:
                async with asyncio.timeout(PAUSE_S):
                    await self._bell.wait()
            except TimeoutError:
                continue

    async def publish_batch(self) -> int:
        """Publish the oldest waiting events; return how many there were."""
        async with self._db.connection() as conn:
            if not await conn.fetchval(
                "SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"
            ):
                return 0
            await conn.execute("SELECT pg_advisory_lock(hashtextextended(current_schema(), 7))")
            try:
                return await self._publish_oldest(conn)
            finally:
                await conn.execute(
                    "SELECT pg_advisory_unlock(hashtextextended(current_schema(), 7))"
                )

    async def _publish_oldest(self, conn: Connection) -> int:
        rows = await conn.fetch(
            """
            SELECT seq, event_id, subject, aggregate_id, occurred_at, traceparent, body
              FROM outbox
             WHERE published_at IS NULL
             ORDER BY seq
             LIMIT $1
            """,
            BATCH,
        )
        await self._store(rows)
        await conn.execute(
            "UPDATE outbox SET published_at = clock_timestamp() WHERE seq = ANY($1::bigint[])",
            [row["seq"] for row in rows],
        )
        self.published += len(rows)
        metrics.events_published(len(rows))
        return len(rows)

    async def _store(self, rows: Sequence[Row]) -> None:
        """Return when the server has all of *rows*; TimeoutError where nobody can say so."""
        stored: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(self._acked_within_s):
                for row in rows:
                    stored.append(  # noqa: PERF401 - those sent before a failure count, too
                        await self._publisher.publish_async(
                            row["subject"], row["body"], headers=self._headers(row)
                        )
                    )
                await asyncio.gather(*stored)
        finally:
            for answer in stored:
                answer.cancel()

    def _headers(self, row: Row) -> dict[str, str]:
        """Return the CloudEvents 1.0 attributes, binary mode, as NATS headers."""
        headers = {
            "Nats-Msg-Id": str(row["event_id"]),
            "ce-specversion": "1.0",
            "ce-id": str(row["event_id"]),
            "ce-type": str(row["subject"]),
            "ce-source": self._source,
            "ce-subject": str(row["aggregate_id"]),
            "ce-time": row["occurred_at"].isoformat(),
            "content-type": "application/json",
        }
        if row["traceparent"]:
            headers["traceparent"] = str(row["traceparent"])
        return headers


async def replay(conn: Connection, *, subject: str, since_seq: int = 0) -> int:
    """
    Publish again every event of *subject* (``%`` matches all) after *since_seq*.

    Readers apply each event once whatever is replayed.  Returns how many.
    """
    done = await conn.execute(
        "UPDATE outbox SET published_at = NULL WHERE subject LIKE $1 AND seq > $2",
        subject,
        since_seq,
    )
    return int(done.split()[-1])
