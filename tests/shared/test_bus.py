"""What the bus promises, on a real JetStream and a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

import nats
import pytest
from faststream.nats.subscriber.usecases import stream_pull_subscriber
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from shared import dead_letters, outbox
from shared.bus import Bus, On, OnMany, Subscription, consumer_config
from shared.clock import SystemClock
from shared.db import Connection, Database
from shared.errors import NotFound
from shared.events import Event
from shared.ids import new_id
from shared.outbox import Relay
from tests.support.servers import NatsForTests
from tests.support.waiting import until

NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)


class DoorOpened(Event):
    subject: ClassVar[str] = "signing.door.opened.v1"
    about: ClassVar[str] = "door_id"

    door_id: UUID
    number: int = 0


class DoorClosed(Event):
    subject: ClassVar[str] = "signing.door.closed.v1"
    about: ClassVar[str] = "door_id"

    door_id: UUID


def an_opening(number: int = 0) -> DoorOpened:
    return DoorOpened(event_id=new_id(), occurred_at=NOON, door_id=new_id(), number=number)


@dataclass
class Heard:
    """What the handlers of a test were called with, batch by batch."""

    batches: list[list[int]] = field(default_factory=list)
    refuse: set[int] = field(default_factory=set)
    here: set[UUID] = field(default_factory=set)

    def has(self, number: int) -> bool:
        return number in self.numbers

    @property
    def numbers(self) -> list[int]:
        return sorted(number for batch in self.batches for number in batch)


async def open_many(conn: Connection, events: Sequence[DoorOpened], heard: Heard) -> None:
    bad = heard.refuse & {event.number for event in events}
    if bad:
        raise ValueError(f"cannot open {bad}")
    await conn.execute("SELECT 1")
    heard.batches.append([event.number for event in events])
    heard.here.update(event.door_id for event in events)


async def open_one(conn: Connection, event: DoorOpened, heard: Heard) -> None:
    await open_many(conn, [event], heard)


async def close_one(conn: Connection, event: DoorClosed, heard: Heard) -> None:
    if event.door_id not in heard.here:
        raise NotFound("This door was never opened.")
    heard.batches.append([-1])


@pytest.fixture
async def stream(nats_server: NatsForTests) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="signing", subjects=["signing.>"]))
    for event in (DoorOpened, DoorClosed):
        await js.add_consumer("signing", consumer_config("wallet", event))
    yield js
    await js.delete_stream("signing")
    await client.close()


@asynccontextmanager
async def a_bus(
    db: Database,
    server: NatsForTests,
    heard: Heard,
    *subscriptions: Subscription[Heard],
    retry_after_s: tuple[float, ...] = (0.05, 0.05),
) -> AsyncIterator[Bus[Heard]]:
    bus = Bus(
        "wallet",
        subscriptions,
        db=db,
        clock=SystemClock(),
        deps=heard,
        retry_after_s=retry_after_s,
    )
    async with bus.listening(server.url, nkey_seed=None):
        yield bus


async def publish(js: JetStreamContext, *events: Event) -> None:
    for event in events:
        await js.publish(event.subject, event.model_dump_json().encode())


async def unsettled(js: JetStreamContext, event: type[Event]) -> int:
    info = await js.consumer_info("signing", consumer_config("wallet", event).durable_name or "")
    return int(info.num_pending or 0) + int(info.num_ack_pending or 0)


async def letters(db: Database) -> list[dead_letters.DeadLetter]:
    async with db.connection() as conn:
        return await dead_letters.page(conn, limit=100)


async def test_events_reach_their_handler_in_batches(wallet_db, nats_server, stream):
    heard = Heard()
    await publish(stream, *(an_opening(n) for n in range(700)))

    async with a_bus(wallet_db, nats_server, heard, OnMany(DoorOpened, open_many)):
        await until(lambda: len(heard.numbers) == 700)

    assert heard.numbers == list(range(700))
    assert max(map(len, heard.batches)) > 100


async def test_a_lone_event_does_not_wait_for_its_batch_to_fill(wallet_db, nats_server, stream):
    heard = Heard()
    async with a_bus(wallet_db, nats_server, heard, OnMany(DoorOpened, open_many)):
        for number in range(5):
            await publish(stream, an_opening(number))
            await until(partial(heard.has, number), within_s=1.0)


async def test_an_event_delivered_twice_is_applied_once(wallet_db, nats_server, stream):
    heard = Heard()
    event = an_opening(7)
    await publish(stream, event, event, an_opening(8))

    async with a_bus(wallet_db, nats_server, heard, OnMany(DoorOpened, open_many)):
        await until(lambda: 8 in heard.numbers)
        await publish(stream, event, an_opening(9))
        await until(lambda: 9 in heard.numbers)

    assert heard.numbers == [7, 8, 9]


async def test_an_event_before_the_one_it_needs_comes_again(wallet_db, nats_server, stream):
    heard = Heard()
    opening = an_opening(1)
    closing = DoorClosed(event_id=new_id(), occurred_at=NOON, door_id=opening.door_id)
    tables = (On(DoorOpened, open_one), On(DoorClosed, close_one))
    async with a_bus(wallet_db, nats_server, heard, *tables, retry_after_s=(0.05,) * 40) as bus:
        await publish(stream, closing)
        await until(lambda: bus.activity > 0)
        await publish(stream, opening)
        await until(lambda: heard.numbers == [-1, 1])
        await until(lambda: unsettled_is(stream, 0))

    assert await letters(wallet_db) == []


async def unsettled_is(js: JetStreamContext, count: int) -> bool:
    return await unsettled(js, DoorOpened) + await unsettled(js, DoorClosed) == count


async def test_a_bad_event_harms_nobody_and_ends_as_a_dead_letter(wallet_db, nats_server, stream):
    heard = Heard(refuse={13})
    await publish(stream, *(an_opening(n) for n in range(50)))

    async with a_bus(wallet_db, nats_server, heard, OnMany(DoorOpened, open_many)) as bus:
        await until(lambda: len(heard.numbers) == 49)
        await until(lambda: unsettled_is(stream, 0))
        (letter,) = await letters(wallet_db)
        assert letter.consumer == "wallet__signing_door_opened_v1"
        assert letter.tries == 3
        assert "cannot open {13}" in letter.error

        with pytest.raises(ValueError, match="cannot open"):
            await bus.replay(letter.dead_letter_id)
        assert len(await letters(wallet_db)) == 1

        heard.refuse.clear()
        await bus.replay(letter.dead_letter_id)

    assert heard.numbers == list(range(50))
    assert await letters(wallet_db) == []


async def test_a_body_that_is_no_event_is_buried_at_once(wallet_db, nats_server, stream):
    heard = Heard()
    await stream.publish(DoorOpened.subject, b"{not json")
    await publish(stream, an_opening(1))

    async with a_bus(wallet_db, nats_server, heard, OnMany(DoorOpened, open_many)):
        await until(lambda: heard.numbers == [1])
        await until(lambda: unsettled_is(stream, 0))

    (letter,) = await letters(wallet_db)
    assert letter.body == b"{not json"


async def test_unknown_fields_of_an_event_are_ignored(wallet_db, nats_server, stream):
    heard = Heard()
    body = an_opening(4).model_dump(mode="json") | {"colour": "green"}
    newer = DoorOpened.model_validate(body)
    await publish(stream, newer)

    async with a_bus(wallet_db, nats_server, heard, OnMany(DoorOpened, open_many)):
        await until(lambda: heard.numbers == [4])


async def test_a_database_outage_uses_up_no_tries(wallet_db, nats_server, stream):
    heard = Heard()
    down = [True]

    async def flaky(conn: Connection, events: Sequence[DoorOpened], heard: Heard) -> None:
        if down[0]:
            raise ConnectionResetError("the server is restarting")
        await open_many(conn, events, heard)

    async with a_bus(
        wallet_db, nats_server, heard, OnMany(DoorOpened, flaky), retry_after_s=()
    ) as bus:
        await publish(stream, an_opening(1))
        await until(lambda: bus.busy > 0)
        down[0] = False
        await until(lambda: heard.numbers == [1])

    assert await letters(wallet_db) == []


async def test_the_relay_publishes_in_order_with_cloudevents_attributes(wallet_db, stream):
    relay = Relay(wallet_db, stream, source="/yuefu/signing")
    events = [an_opening(n) for n in range(1200)]
    async with wallet_db.transaction() as conn:
        await outbox.add(conn, *events)

    counts = [await relay.publish_batch() for _ in range(4)]

    assert counts == [500, 500, 200, 0]
    info = await stream.stream_info("signing")
    assert info.state.messages == 1200
    first = await stream.get_msg("signing", 1)
    assert DoorOpened.model_validate_json(first.data or b"") == events[0]
    assert (first.headers or {})["ce-type"] == "signing.door.opened.v1"
    assert (first.headers or {})["ce-id"] == str(events[0].event_id)
    last = await stream.get_msg("signing", 1200)
    assert DoorOpened.model_validate_json(last.data or b"").number == 1199


async def test_an_answer_lost_with_its_connection_is_not_waited_for(wallet_db, stream):
    """nats-py forgets nobody's answer: one that never comes would be waited for without end."""

    class Deaf:
        """Publishes, and hears nothing of the first batch."""

        lost = 3

        async def publish_async(
            self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None
        ) -> asyncio.Future[Any]:
            answer: asyncio.Future[Any] = await stream.publish_async(
                subject, payload, headers=headers
            )
            if self.lost == 0:
                return answer
            self.lost -= 1
            return asyncio.get_running_loop().create_future()

    async with wallet_db.transaction() as conn:
        await outbox.add(conn, *(an_opening(n) for n in range(3)))
    relay = Relay(wallet_db, Deaf(), source="/yuefu/signing", acked_within_s=0.2)
    task = asyncio.create_task(relay.run())

    await until(lambda: relay.published == 3)

    task.cancel()
    assert (await stream.stream_info("signing")).state.messages == 3


async def test_two_relays_publish_everything_once(wallet_db, stream):
    async with wallet_db.transaction() as conn:
        await outbox.add(conn, *(an_opening(n) for n in range(2000)))
    relays = [Relay(wallet_db, stream, source="/yuefu/signing") for _ in range(2)]

    async def drain(relay: Relay) -> None:
        while await relay.publish_batch():
            pass

    await asyncio.gather(*map(drain, relays))

    assert relays[0].published + relays[1].published == 2000
    assert (await stream.stream_info("signing")).state.messages == 2000


async def test_what_was_rolled_back_is_never_published(wallet_db, stream):
    async def change_our_mind() -> None:
        async with wallet_db.transaction() as conn:
            await outbox.add(conn, an_opening())
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await change_our_mind()

    assert await Relay(wallet_db, stream, source="/yuefu/signing").publish_batch() == 0


async def test_a_lost_stream_is_filled_again_and_nothing_happens_twice(
    wallet_db, nats_server, stream
):
    heard = Heard()
    relay = Relay(wallet_db, stream, source="/yuefu/signing")
    async with wallet_db.transaction() as conn:
        await outbox.add(conn, *(an_opening(n) for n in range(20)))
    await relay.publish_batch()
    async with a_bus(wallet_db, nats_server, heard, OnMany(DoorOpened, open_many)):
        await until(lambda: len(heard.numbers) == 20)

    await stream.delete_stream("signing")
    await stream.add_stream(StreamConfig(name="signing", subjects=["signing.>"]))
    await stream.add_consumer("signing", consumer_config("wallet", DoorOpened))
    await stream.add_consumer("signing", consumer_config("wallet", DoorClosed))
    async with wallet_db.transaction() as conn:
        assert await outbox.replay(conn, subject="signing.%") == 20
        await outbox.add(conn, an_opening(99))
    await relay.publish_batch()
    async with a_bus(wallet_db, nats_server, heard, OnMany(DoorOpened, open_many)):
        await until(lambda: 99 in heard.numbers)

    assert heard.numbers == [*range(20), 99]


def test_the_cover_of_fetch_is_still_needed():
    """FastStream still expects nats-py's own TimeoutError; when it does not, drop the cover."""
    assert vars(stream_pull_subscriber)["TimeoutError"] is nats.errors.TimeoutError
    assert not issubclass(asyncio.TimeoutError, nats.errors.TimeoutError)
