"""Events relayed and events consumed per second, against bare loops of the same bytes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final
from uuid import UUID

import nats
import orjson
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from deploy.bench.ground import NOW, Ground
from deploy.bench.meter import alternate
from deploy.bench.report import Figure, figure
from deploy.embedded import Nats
from shared import outbox
from shared.bus import BATCH, Bus, OnMany, consumer_config, durable
from shared.clock import TestClock
from shared.db import Connection, Database
from shared.events import Event
from shared.ids import new_id
from shared.outbox import Relay

BARE_TABLES: Final = """
CREATE TABLE bare_inbox (event_id uuid PRIMARY KEY, heard_at timestamptz NOT NULL DEFAULT now());
"""
SOURCE: Final = "/yuefu/wallet"


class Told(Event):
    """An event as large as those of the money path."""

    subject: ClassVar[str] = "wallet.bench.told.v1"
    about: ClassVar[str] = "agreement_id"

    agreement_id: UUID
    instalment_id: UUID
    merchant_id: UUID
    customer_id: UUID
    amount_fen: int


class BareTold(Told):
    """The same for the bare consumer, which has a place of its own in the stream."""

    subject: ClassVar[str] = "wallet.bench.bare_told.v1"


async def bus_figures(
    ground: Ground, directory: Path, *, events: int, rounds: int
) -> Sequence[Figure]:
    """Measure relaying and consuming *events* at a time on a NATS server of their own."""
    server = Nats(directory / "nats-alone")
    await asyncio.to_thread(server.start)
    try:
        async with (
            ground.fresh("wallet", bare=BARE_TABLES) as db,
            _connected(server) as js,
        ):
            relayed = await _relayed(db, js, events=events, rounds=rounds)
            consumed = await _consumed(db, js, server.url, events=events, rounds=rounds)
    finally:
        await asyncio.to_thread(server.stop)
    return relayed, consumed


@asynccontextmanager
async def _connected(server: Nats) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(server.url)
    try:
        js = client.jetstream(timeout=5)
        await js.add_stream(StreamConfig(name="wallet", subjects=["wallet.>"]))
        yield js
    finally:
        await client.close()


async def _relayed(db: Database, js: JetStreamContext, *, events: int, rounds: int) -> Figure:
    relay = Relay(db, js, source=SOURCE)

    async def ours() -> int:
        while await relay.publish_batch():
            pass
        return events

    async def bare() -> int:
        for first in range(0, events, BATCH):
            window = waiting[first : first + BATCH]
            stored = [
                await js.publish_async(BareTold.subject, body, headers=headers)
                for body, headers in window
            ]
            await asyncio.gather(*stored)
        return events

    waiting: list[tuple[bytes, dict[str, str]]] = []

    async def before() -> None:
        made = _events(BareTold, events)
        waiting[:] = [(one.model_dump_json().encode(), _headers(one)) for one in made]
        await _fill_outbox(db, _events(Told, events))

    compared = await alternate(ours, bare, rounds=rounds, before=before)
    return figure(
        "events relayed",
        "events/s",
        compared,
        against=f"publish_async of the same bytes and headers, {BATCH} at a time, no database",
    )


async def _consumed(
    db: Database, js: JetStreamContext, url: str, *, events: int, rounds: int
) -> Figure:
    for event in (Told, BareTold):
        await js.purge_stream("wallet", subject=event.subject)
        await js.add_consumer("wallet", consumer_config("wallet", event))

    async def ours() -> int:
        return await _hear_with_bus(db, url, events)

    async def bare() -> int:
        return await _hear_bare(db, url, events)

    async def before() -> None:
        for kind in (Told, BareTold):
            made = _events(kind, events)
            for first in range(0, events, BATCH):
                window = made[first : first + BATCH]
                stored = [
                    await js.publish_async(
                        kind.subject, one.model_dump_json().encode(), headers=_headers(one)
                    )
                    for one in window
                ]
                await asyncio.gather(*stored)

    compared = await alternate(ours, bare, rounds=rounds, before=before)
    return figure(
        "events consumed",
        "events/s",
        compared,
        against="a FastStream batch consumer that reads the id and inserts it",
    )


async def _hear_with_bus(db: Database, url: str, events: int) -> int:
    heard, done = 0, asyncio.Event()

    async def handle(_conn: Connection, batch: Sequence[Told], _deps: None) -> None:
        nonlocal heard
        heard += len(batch)
        if heard >= events:
            done.set()

    bus = Bus("wallet", (OnMany(Told, handle),), db=db, clock=TestClock(NOW), deps=None)
    async with bus.listening(url, nkey_seed=None):
        await done.wait()
    return heard


async def _hear_bare(db: Database, url: str, events: int) -> int:
    heard, done = 0, asyncio.Event()
    broker = NatsBroker(url, ack_policy=AckPolicy.NACK_ON_ERROR, logger=None)

    async def raw_bodies(message: NatsMessage) -> list[bytes]:
        return [raw.data for raw in message.raw_message]  # type: ignore[attr-defined]

    @broker.subscriber(
        BareTold.subject,
        stream=JStream("wallet", declare=False),
        durable=durable("wallet", BareTold),
        pull_sub=PullSub(batch_size=BATCH, timeout=1.0, batch=True),
        config=consumer_config("wallet", BareTold),
        decoder=raw_bodies,
    )
    async def consume(bodies: list[bytes]) -> None:
        nonlocal heard
        async with db.connection() as conn:
            await conn.execute(
                """
                INSERT INTO bare_inbox (event_id)
                SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING
                """,
                [orjson.loads(body)["event_id"] for body in bodies],
            )
        heard += len(bodies)
        if heard >= events:
            done.set()

    await broker.start()
    try:
        await done.wait()
    finally:
        await broker.stop()
    return heard


def _events(kind: type[Told], count: int) -> list[Told]:
    return [
        kind(
            event_id=new_id(),
            occurred_at=datetime.now(UTC),
            agreement_id=new_id(),
            instalment_id=new_id(),
            merchant_id=new_id(),
            customer_id=new_id(),
            amount_fen=19900,
        )
        for _ in range(count)
    ]


def _headers(event: Told) -> dict[str, str]:
    return {
        "Nats-Msg-Id": str(event.event_id),
        "ce-specversion": "1.0",
        "ce-id": str(event.event_id),
        "ce-type": event.subject,
        "ce-source": SOURCE,
        "ce-subject": event.aggregate_id,
        "ce-time": event.occurred_at.isoformat(),
        "content-type": "application/json",
    }


async def _fill_outbox(db: Database, events: Sequence[Told]) -> None:
    for first in range(0, len(events), BATCH):
        async with db.transaction() as conn:
            await outbox.add(conn, *events[first : first + BATCH])
