"""
Hearing events: tables of handlers become JetStream consumers that lose nothing.

A message is applied when its inbox row commits together with what the handler
wrote.  A handler that fails is tried again later, each event by itself, so that a
bad one harms nobody; after its last try the event lies in ``dead_letters``.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import asyncpg
import nats.errors
import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.security import NatsNKey
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as ServerAckPolicy
from nats.js.api import ConsumerConfig
from pydantic import ValidationError

from shared import dead_letters, inbox, metrics, tracing
from shared.clock import Clock
from shared.db import Connection, Database
from shared.events import Event

log = structlog.get_logger()

E = TypeVar("E", bound=Event)
D = TypeVar("D")

BATCH: Final = 500
WAIT_S: Final = 5.0
"""How long one request for messages stays open at the server when there are none."""
ACK_WAIT_S: Final = 10.0
"""After this the server gives a message that nobody settled to someone else."""
OUTAGE_WAIT_S: Final = 1.0
RETRY_AFTER_S: Final = (0.2, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
"""Waits between the tries of one event; its length caps the retries."""

_OUTAGES: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server killed in the middle of an answer
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
)


@dataclass(frozen=True)
class On(Generic[E, D]):
    """Call *handle* for each event of this class, in a transaction of its own."""

    event: type[E]
    handle: Callable[[Connection, E, D], Awaitable[None]]


@dataclass(frozen=True)
class OnMany(Generic[E, D]):
    """Call *handle* for up to some hundreds of events in one transaction."""

    event: type[E]
    handle: Callable[[Connection, Sequence[E], D], Awaitable[None]]


Subscription = On[Any, D] | OnMany[Any, D]


def durable(service: str, event: type[Event]) -> str:
    """Return the name of *service*'s consumer of *event*; durable names take no dots."""
    return f"{service}__{event.subject.replace('.', '_')}"


def consumer_config(service: str, event: type[Event]) -> ConsumerConfig:
    """Return how the server keeps *service*'s place in the stream of *event*."""
    return ConsumerConfig(
        durable_name=durable(service, event),
        filter_subject=event.subject,
        ack_policy=ServerAckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_deliver=-1,  # we count tries ourselves: an outage must not use them up
        max_ack_pending=8 * BATCH,
    )


class Bus(Generic[D]):
    """The consumers of one process of one service."""

    def __init__(
        self,
        service: str,
        subscriptions: Sequence[Subscription[D]],
        *,
        db: Database,
        clock: Clock,
        deps: D,
        retry_after_s: Sequence[float] = RETRY_AFTER_S,
    ) -> None:
        """Wait *retry_after_s* between tries; then the event is a dead letter."""
        self.service = service
        self.activity = 0
        self.busy = 0
        self._by_consumer = {durable(service, on.event): on for on in subscriptions}
        self._db = db
        self._clock = clock
        self._deps = deps
        self._retry_after_s = retry_after_s
        self._tries: Counter[tuple[str, str]] = Counter()

    @asynccontextmanager
    async def listening(self, nats_url: str, *, nkey_seed: str | None) -> AsyncIterator[NatsBroker]:
        """Consume while the context is open; leave gracefully."""
        broker = _broker(self.service, nats_url, nkey_seed)
        for consumer, on in self._by_consumer.items():
            _subscribe(broker, self, consumer, on)
        await broker.start()
        try:
            yield broker
        finally:
            await broker.stop()

    async def receive(self, consumer: str, raws: Sequence[Msg]) -> None:
        """Apply one batch of messages and settle each of them."""
        self.busy += 1
        try:
            on = self._by_consumer[consumer]
            pairs = [
                (raw, event) for raw in raws if (event := await self._decode(consumer, on, raw))
            ]
            with tracing.consuming(consumer, [raw.headers or {} for raw, _ in pairs]):
                try:
                    await self.apply(consumer, [event for _, event in pairs])
                except _OUTAGES as error:
                    await self._postpone(consumer, raws, error)
                except Exception as error:  # noqa: BLE001 - one by one tells which is bad
                    log.warning(
                        "batch.failed", consumer=consumer, size=len(pairs), error=repr(error)
                    )
                    for raw, event in pairs:
                        await self._apply_alone(consumer, raw, event)
        finally:
            self.activity += 1
            self.busy -= 1

    async def apply(self, consumer: str, events: Sequence[Event]) -> None:
        """Apply *events* once each, however often they come; all or, for OnMany, none."""
        on = self._by_consumer[consumer]
        if isinstance(on, On) and len(events) > 1:
            for event in events:
                await self.apply(consumer, [event])
            return
        async with self._db.transaction() as conn:
            fresh = await inbox.claim(conn, consumer, [event.event_id for event in events])
            first = {event.event_id: event for event in events if event.event_id in fresh}
            if isinstance(on, OnMany) and first:
                await on.handle(conn, list(first.values()), self._deps)
            elif isinstance(on, On):
                for event in first.values():
                    await on.handle(conn, event, self._deps)
        metrics.events_handled(consumer, applied=len(first), repeated=len(events) - len(first))

    async def replay(self, dead_letter_id: Any) -> None:
        """
        Apply one dead letter now; it counts as replayed only if that succeeds.

        Raises:
            NotFound: There is no such dead letter waiting.
            Problem: The handler failed again, with its own error.
        """
        async with self._db.connection() as conn:
            letter = await dead_letters.waiting(conn, dead_letter_id)
        on = self._by_consumer[letter.consumer]
        await self.apply(letter.consumer, [on.event.model_validate_json(letter.body)])
        async with self._db.transaction() as conn:
            await dead_letters.mark_replayed(conn, dead_letter_id, now=self._clock.now())

    async def _decode(self, consumer: str, on: Subscription[D], raw: Msg) -> Event | None:
        try:
            event: Event = on.event.model_validate_json(raw.data)
        except ValidationError as error:
            await self._bury(consumer, raw, error, tries=1)
            return None
        return event

    async def _apply_alone(self, consumer: str, raw: Msg, event: Event) -> None:
        try:
            await self.apply(consumer, [event])
        except _OUTAGES as error:
            await self._postpone(consumer, [raw], error)
        except Exception as error:
            key = (consumer, str(event.event_id))
            self._tries[key] += 1
            tries = self._tries[key]
            metrics.event_failed(consumer)
            if tries > len(self._retry_after_s):
                del self._tries[key]
                await self._bury(consumer, raw, error, tries=tries)
                return
            wait_s = self._retry_after_s[tries - 1]
            log.warning(
                "event.failed",
                consumer=consumer,
                event_id=str(event.event_id),
                tries=tries,
                wait_s=wait_s,
                error=repr(error),
                exc_info=tries == len(self._retry_after_s),
            )
            await raw.nak(delay=wait_s)

    async def _postpone(self, consumer: str, raws: Sequence[Msg], error: Exception) -> None:
        """Give back messages that failed through no fault of theirs; that is not a try."""
        log.warning("bus.outage", consumer=consumer, size=len(raws), error=repr(error))
        for raw in raws:
            if not raw.is_acked:
                await raw.nak(delay=OUTAGE_WAIT_S)
        await asyncio.sleep(OUTAGE_WAIT_S)

    async def _bury(self, consumer: str, raw: Msg, error: Exception, *, tries: int) -> None:
        async with self._db.transaction() as conn:
            await dead_letters.add(
                conn,
                consumer=consumer,
                subject=raw.subject,
                event_id=(raw.headers or {}).get("ce-id")
                or f"sequence:{raw.metadata.sequence.stream}",
                body=raw.data,
                error=f"{type(error).__name__}: {error}"[:2000],
                tries=tries,
                now=self._clock.now(),
            )
        log.error("event.buried", consumer=consumer, subject=raw.subject, tries=tries)
        metrics.event_buried(consumer)
        await raw.term()


def _broker(service: str, nats_url: str, nkey_seed: str | None) -> NatsBroker:
    _cover_fetch()

    async def complain(error: Exception) -> None:
        log.warning("nats.error", error=repr(error))

    return NatsBroker(
        nats_url,
        name=service,
        security=NatsNKey.from_seed(nkey_seed) if nkey_seed else None,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        logger=None,
        inbox_prefix=f"_INBOX_{service}",
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        ping_interval=10,
        error_cb=complain,
    )


def _subscribe(broker: NatsBroker, bus: Bus[Any], consumer: str, on: Subscription[Any]) -> None:
    async def raw_bodies(message: NatsMessage) -> list[bytes]:
        return [raw.data for raw in message.raw_message]  # type: ignore[attr-defined]

    @broker.subscriber(
        on.event.subject,
        stream=JStream(on.event.publisher(), declare=False),
        durable=consumer,
        pull_sub=PullSub(batch_size=BATCH, timeout=WAIT_S, batch=True),
        config=consumer_config(bus.service, on.event),
        decoder=raw_bodies,
        inbox_prefix=f"_INBOX_{bus.service}.".encode(),
        title=consumer,
    )
    async def consume(bodies: list[bytes], message: NatsMessage) -> None:  # noqa: ARG001
        await bus.receive(consumer, message.raw_message)  # type: ignore[arg-type]


_largest: Final = "_yuefu_largest_batch"
_asked: Final = "_yuefu_asked"
_ENDED: Final = frozenset({"404", "408"})
"""Statuses with which the server ends a request in the usual course of things."""
_REST_S: Final = 0.2
"""Before asking again a server that refused a request for another reason."""


@dataclass
class _Asked:
    """What the server still owes to our request for messages, and until when it stands."""

    left: int = 0
    until: float = 0.0


def _cover_fetch() -> None:
    """
    Put our own ``fetch`` in the place of nats-py's; doing so again changes nothing.

    Three reasons.  nats-py since 2.15 may raise the built-in TimeoutError where
    FastStream expects its own (nats.py #1008), which kills the consuming task.
    FastStream asks again and again until its batch is full or its time is up
    (nats.py #1034), so that an event would wait for the whole time-out: we answer
    such a request for the rest of a batch with "nothing more", and the batch goes
    to its handler at once.  And nats-py's own, once a late status message of an
    earlier request has crossed it, keeps the first message until its time is up.
    """
    JetStreamContext.PullSubscription.fetch = _fetch  # type: ignore[method-assign]


async def _fetch(
    self: JetStreamContext.PullSubscription,
    batch: int = 1,
    timeout: float | None = 5,  # noqa: ASYNC109 - the signature is nats-py's
    heartbeat: float | None = None,  # noqa: ARG001 - the signature is nats-py's
) -> list[Msg]:
    """
    Return what has arrived, at most *batch*, as soon as something has.

    One request stands at the server at a time; what it brings after we returned is
    the next batch, under load a full one.
    """
    largest = max(batch, getattr(self, _largest, 0))
    setattr(self, _largest, largest)
    if batch < largest:
        raise nats.errors.TimeoutError
    wait_s = timeout or WAIT_S
    asked: _Asked = self.__dict__.setdefault(_asked, _Asked())
    deadline = time.monotonic() + wait_s
    first: list[Msg] = []
    while not (messages := _bodies(asked, first + _queued(self, batch - len(first)))):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise nats.errors.TimeoutError
        if asked.left <= 0 or time.monotonic() >= asked.until:
            await _ask(self, asked, batch, wait_s=wait_s)
        first = await _next(self, min(left_s, max(0.001, asked.until - time.monotonic())))
    return messages


async def _ask(
    self: JetStreamContext.PullSubscription, asked: _Asked, batch: int, *, wait_s: float
) -> None:
    request = {"batch": batch, "expires": int(wait_s * 1_000_000_000)}
    await self._nc.publish(self._nms, json.dumps(request).encode(), self._deliver)
    asked.left, asked.until = batch, time.monotonic() + wait_s


async def _next(self: JetStreamContext.PullSubscription, wait_s: float) -> list[Msg]:
    try:
        return [await self._sub.next_msg(timeout=wait_s)]
    except TimeoutError:
        return []


def _queued(self: JetStreamContext.PullSubscription, most: int) -> list[Msg]:
    """Take what lies in the local queue."""
    queue = self._sub._pending_queue  # noqa: SLF001 - nats-py has no other way
    taken: list[Msg] = []
    while len(taken) < most and not queue.empty():
        message = queue.get_nowait()
        self._sub._pending_size -= len(message.data)  # noqa: SLF001
        queue.task_done()
        taken.append(message)
    return taken


def _bodies(asked: _Asked, messages: Sequence[Msg]) -> list[Msg]:
    """Return the messages that are events; the others say how our request fares."""
    found = []
    for message in messages:
        status = JetStreamContext.is_status_msg(message)
        if status is None:
            asked.left -= 1
            found.append(message)
        elif status in _ENDED:
            asked.left = 0
        else:
            asked.left, asked.until = 1, time.monotonic() + _REST_S
    return found
