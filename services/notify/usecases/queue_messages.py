"""What customers must hear becomes messages: one per cause, channel and customer."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog

from services.notify.contract.states import Channel
from services.notify.deps import Deps
from services.notify.domain.causes import RULES, Wanted
from services.notify.domain.hours import earliest
from services.notify.domain.message import Message
from services.notify.store import messages
from services.notify.usecases.adopt_sent import adopt_sent
from shared.db import Connection
from shared.events import Event
from shared.ids import derived_id

log = structlog.get_logger()

E = TypeVar("E", bound=Event)


def telling(
    describe: Callable[[E], Iterable[Wanted]],
) -> Callable[[Connection, Sequence[E], Deps], Awaitable[None]]:
    """Return a handler that queues what *describe* makes of each event."""

    async def tell(conn: Connection, events: Sequence[E], deps: Deps) -> None:
        wanted = [one for event in events for one in describe(event)]
        await queue_messages(conn, wanted, now=deps.clock.now())

    return tell


async def queue_messages(conn: Connection, wanted: Iterable[Wanted], *, now: datetime) -> None:
    """Queue what was not queued before, in one statement; repeats safely."""
    planned = [message for one in wanted for message in planned_messages(one, now=now)]
    queued = await messages.add_new(conn, planned)
    if queued:
        await adopt_sent(conn, [(one.merchant_id, one.message_id) for one in planned], now=now)
    log.info("messages.queued", queued=queued, repeated=len(planned) - queued)


def message_id_for(wanted: Wanted, channel: Channel) -> UUID:
    """Return the id of a message: providers know the same one by it, whatever we forgot."""
    about = (wanted.merchant_id, wanted.customer_id, wanted.cause, wanted.cause_id)
    return derived_id("message", *about, channel.value)


def planned_messages(wanted: Wanted, *, now: datetime) -> Iterator[Message]:
    """Yield one message per channel; quiet hours move it, its lifetime counts from then."""
    rule = RULES[wanted.template]
    for channel in wanted.channels or rule.channels:
        send_at = earliest(rule.kind, channel, now)
        yield Message(
            merchant_id=wanted.merchant_id,
            message_id=message_id_for(wanted, channel),
            cause=wanted.cause,
            cause_id=wanted.cause_id,
            channel=channel,
            customer_id=wanted.customer_id,
            agreement_id=wanted.agreement_id,
            instalment_id=wanted.instalment_id,
            rail=wanted.rail,
            template_key=wanted.template,
            kind=rule.kind,
            facts=wanted.facts,
            queued_at=now,
            send_by=wanted.send_by or send_at + rule.lifetime,
            due_at=send_at,
        )
