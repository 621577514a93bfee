"""What others are told of messages that moved, and the SMS that takes over where one failed."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

import structlog

from services.notify.contract.events import (
    MessageAccepted,
    MessageDelivered,
    MessageFailed,
    MessageUnknown,
)
from services.notify.contract.states import MessageState
from services.notify.domain.causes import RULES
from services.notify.domain.hours import earliest
from services.notify.domain.message import TOO_LATE, Message
from services.notify.store import messages
from shared import outbox
from shared.db import Connection
from shared.events import Event
from shared.ids import derived_id

log = structlog.get_logger()

Move = tuple[Message, Message]
"""A message before and after."""


async def record(conn: Connection, moves: Iterable[Move], *, now: datetime) -> int:
    """Save every message that changed, publish what follows, and queue fall-backs."""
    changed = [(before, after) for before, after in moves if after != before]
    moved = [after for before, after in changed if _tells(before, after)]
    silent = [after for before, after in changed if not _tells(before, after)]
    await messages.save(conn, moved, now=now)
    await messages.save(conn, silent, now=now, quiet=True)
    await outbox.add(conn, *(event for move in changed for event in _news(*move, now=now)))
    await messages.add_new(conn, [one for move in changed for one in _fallbacks(*move, now=now)])
    for _, after in changed:
        _log(after)
    return len(changed)


def _tells(before: Message, after: Message) -> bool:
    return (before.state, before.failure) != (after.state, after.failure)


def _news(before: Message, after: Message, *, now: datetime) -> Iterator[Event]:
    if after.accepted_at is not None and before.accepted_at is None:
        yield MessageAccepted(
            event_id=derived_id("message.accepted", after.message_id),
            occurred_at=now,
            **_about(after),
            provider_message_id=after.provider_message_id or f"out:{after.message_id.hex}",
            accepted_at=after.accepted_at,
        )
    if after.delivered_at is not None and before.delivered_at is None:
        yield MessageDelivered(
            event_id=derived_id("message.delivered", after.message_id),
            occurred_at=now,
            **_about(after),
            delivered_at=after.delivered_at,
        )
    if after.state is MessageState.UNKNOWN and before.state is not MessageState.UNKNOWN:
        yield MessageUnknown(
            event_id=derived_id("message.unknown", after.message_id),
            occurred_at=now,
            **_about(after),
        )
    if after.state is MessageState.FAILED and before.state is not MessageState.FAILED:
        yield MessageFailed(
            event_id=derived_id("message.failed", after.message_id),
            occurred_at=now,
            **_about(after),
            reason=after.failure or "unknown",
        )


def _about(message: Message) -> dict[str, object]:
    return {
        "message_id": message.message_id,
        "cause": message.cause,
        "cause_id": message.cause_id,
        "merchant_id": message.merchant_id,
        "customer_id": message.customer_id,
        "channel": message.channel.value,
        "provider": message.provider or "none",
    }


def _fallbacks(before: Message, after: Message, *, now: datetime) -> Iterator[Message]:
    """Yield the SMS that replaces a mini-program message nobody could be reached by."""
    rule = RULES[after.template_key]
    failed_now = after.state is MessageState.FAILED and before.state is not MessageState.FAILED
    if not failed_now or rule.fallback in {None, after.channel} or now >= after.send_by:
        return
    if (after.failure or "").startswith(TOO_LATE):
        return
    assert rule.fallback is not None
    send_at = earliest(after.kind, rule.fallback, now)
    yield replace(
        after,
        message_id=derived_id("fallback", after.message_id),
        channel=rule.fallback,
        state=MessageState.QUEUED,
        queued_at=now,
        due_at=send_at,
        send_by=max(after.send_by, send_at),
    )


def _log(message: Message) -> None:
    tell = log.error if (message.failure or "").startswith("config:") else log.info
    tell(
        f"message.{message.state}",
        message_id=str(message.message_id),
        cause=message.cause,
        channel=message.channel.value,
        provider=message.provider,
        tries=message.tries,
        reason=message.failure,
    )
