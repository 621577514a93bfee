"""
One message and its moves: queued, submitted, accepted, delivered - or failed, unknown, suppressed.

A message is marked as submitted before its provider is called.  Whatever then is not
known stays submitted, and is found out before anything is sent again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, assert_never
from uuid import UUID

from services.notify.contract.states import Channel, Kind, MessageState
from services.notify.domain import retries
from services.notify.domain.provider import (
    Accepted,
    Answer,
    CannotTell,
    Finding,
    Found,
    NotFound,
    Refused,
    Tracking,
    Trouble,
    Unclear,
)

LEASE: Final = timedelta(minutes=3)
"""How long a worker may be at a message before another one finds out what became of it."""

LOOKED_UP_UNTIL: Final = timedelta(hours=72)
"""How long an unclear answer is asked about before nobody knows."""

TOO_LATE: Final = "too_late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    One thing one customer is told on one channel.

    ``due_at`` is when it next wants something done, ``send_by`` when it is worth nothing
    any more; ``unclear`` says that a provider may have it, or have it once more, without
    our knowing.
    """

    merchant_id: UUID
    message_id: UUID
    cause: str
    cause_id: UUID
    channel: Channel
    customer_id: UUID
    agreement_id: UUID | None
    instalment_id: UUID | None
    rail: str | None
    template_key: str
    kind: Kind
    facts: Mapping[str, Any]
    queued_at: datetime
    send_by: datetime
    due_at: datetime | None
    state: MessageState = MessageState.QUEUED
    tries: int = 0
    fence: int = 0
    unclear: bool = False
    provider: str | None = None
    provider_message_id: str | None = None
    template_version: int | None = None
    text: str | None = None
    recipient_index: str | None = None
    recipient_masked: str | None = None
    failure: str | None = None
    submitted_at: datetime | None = None
    accepted_at: datetime | None = None
    delivered_at: datetime | None = None

    @property
    def mandatory(self) -> bool:
        """Return whether the customer is owed this message."""
        return self.kind.mandatory


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """By whom and to whom a message goes, and what it says."""

    provider: str
    template_version: int
    text: str
    recipient_index: str
    recipient_masked: str


def submit(message: Message, envelope: Envelope, *, now: datetime) -> Message:
    """Return *message* as it must stand before its provider is called."""
    assert message.state in {MessageState.QUEUED, MessageState.SUBMITTED}
    return replace(
        message,
        state=MessageState.SUBMITTED,
        tries=message.tries + 1,
        fence=message.fence + 1,
        provider=envelope.provider,
        template_version=envelope.template_version,
        text=envelope.text,
        recipient_index=envelope.recipient_index,
        recipient_masked=envelope.recipient_masked,
        submitted_at=now,
        due_at=now + LEASE,
    )


def take(message: Message, *, now: datetime) -> Message:
    """Return *message* in the hands of one worker, who finds out what became of it."""
    return replace(message, fence=message.fence + 1, due_at=now + LEASE)


def settle(message: Message, answer: Answer, *, tracking: Tracking, now: datetime) -> Message:
    """
    Return *message* after its provider answered; one that moved on meanwhile stays as it is.

    After ``send_by`` nothing is tried again, and the last try is at that moment.
    """
    if message.state is not MessageState.SUBMITTED:
        return message
    match answer:
        case Accepted(provider_message_id):
            return _accept(message, provider_message_id, tracking=tracking, at=now, now=now)
        case Unclear(reason):
            due_at = retries.look_up_at(tracking, tries=message.tries, now=now)
            return replace(message, unclear=True, failure=reason, due_at=due_at)
        case Refused(trouble, code):
            again_at = retries.next_try_at(trouble, tries=message.tries, now=now)
            reason = code if trouble is Trouble.RECIPIENT else f"{trouble}:{code}"
            if again_at is None:
                return fail(message, reason)
            return wait(message, until=again_at, reason=reason, now=now)
        case _:
            assert_never(answer)


def resolve(message: Message, finding: Finding, *, tracking: Tracking, now: datetime) -> Message:
    """
    Return *message* after its provider was asked what became of it.

    One that never arrived is queued again and due at once.  Where nobody can be asked,
    a message the customer is owed is sent again after a while - rather twice than
    never - and any other is left as unknown.
    """
    if message.state is not MessageState.SUBMITTED:
        return message
    match finding:
        case Found(delivered, code, at):
            number = finding.number or f"out:{message.message_id.hex}"
            taken = _accept(
                replace(message, unclear=False), number, tracking=tracking, at=at, now=now
            )
            return taken if delivered is None else receive(taken, delivered, code=code, at=at)
        case NotFound():
            return replace(wait(message, until=now, reason="not_found", now=now), unclear=False)
        case CannotTell() if tracking is Tracking.QUERY and not _lost(message, now):
            due_at = retries.after_outage(tries=message.tries + 1, now=now)
            return replace(message, tries=message.tries + 1, unclear=True, due_at=due_at)
        case CannotTell() if message.mandatory and tracking is not Tracking.QUERY:
            return replace(wait(message, until=now, reason="unclear", now=now), unclear=True)
        case CannotTell():
            lost = replace(message, state=MessageState.UNKNOWN, due_at=None, failure="unclear")
            return replace(lost, unclear=True)
        case _:
            assert_never(finding)


def receive(message: Message, delivered: bool, *, code: str, at: datetime) -> Message:
    """
    Return *message* after a receipt, whenever it comes; delivered is never taken back.

    A receipt also proves that the provider took the message.
    """
    if message.state is MessageState.DELIVERED:
        return message
    accepted_at = message.accepted_at or at
    if delivered:
        return replace(
            message,
            state=MessageState.DELIVERED,
            accepted_at=accepted_at,
            delivered_at=at,
            unclear=False,
            due_at=None,
            failure=None,
        )
    if message.state in {MessageState.FAILED, MessageState.UNKNOWN, MessageState.SUPPRESSED}:
        return message
    return replace(fail(message, f"undelivered:{code}"), accepted_at=accepted_at)


def check_receipt(message: Message, finding: Finding, *, now: datetime) -> Message:
    """Return an accepted *message* after its missing receipt was asked for."""
    if message.state is not MessageState.ACCEPTED or message.accepted_at is None:
        return message
    match finding:
        case Found(bool() as delivered, code, at):
            return receive(message, delivered, code=code, at=at)
        case Found() | NotFound() | CannotTell():
            if retries.given_up(message.accepted_at, now):
                return replace(
                    message, state=MessageState.UNKNOWN, due_at=None, failure="no_receipt"
                )
            return replace(
                message,
                due_at=retries.receipt_check_at(
                    Tracking.QUERY, accepted_at=message.accepted_at, now=now
                ),
            )
        case _:
            assert_never(finding)


def already_sent(
    message: Message, provider: str, provider_message_id: str | None, *, at: datetime
) -> Message:
    """
    Return *message* as one that went out before we forgot it; what it said is not known.

    Without a number nobody knows whether it went out, and it does not go out again.
    """
    if provider_message_id is None:
        lost = replace(message, state=MessageState.UNKNOWN, provider=provider, submitted_at=at)
        return replace(lost, unclear=True, due_at=None, failure="unclear", fence=message.fence + 1)
    return replace(
        message,
        state=MessageState.ACCEPTED,
        fence=message.fence + 1,
        provider=provider,
        provider_message_id=provider_message_id,
        submitted_at=at,
        accepted_at=at,
        unclear=False,
        failure=None,
        due_at=None,
    )


def wait(message: Message, *, until: datetime, reason: str, now: datetime) -> Message:
    """Return *message* queued until later, or failed if it would be too late then."""
    if now >= message.send_by:
        return fail(message, f"{TOO_LATE}:{reason}")
    return replace(
        message,
        state=MessageState.QUEUED,
        due_at=min(until, message.send_by),
        failure=reason,
    )


def fail(message: Message, reason: str) -> Message:
    """Return *message* as one that did not reach its customer on this channel."""
    return replace(message, state=MessageState.FAILED, unclear=False, due_at=None, failure=reason)


def suppress(message: Message, reason: str) -> Message:
    """Return *message* as one that shall not be sent."""
    assert message.state is MessageState.QUEUED
    return replace(message, state=MessageState.SUPPRESSED, due_at=None, failure=reason)


def _accept(
    message: Message, provider_message_id: str, *, tracking: Tracking, at: datetime, now: datetime
) -> Message:
    return replace(
        message,
        state=MessageState.ACCEPTED,
        provider_message_id=provider_message_id,
        accepted_at=at,
        failure=None,
        due_at=retries.receipt_check_at(tracking, accepted_at=at, now=now),
    )


def _lost(message: Message, now: datetime) -> bool:
    return message.submitted_at is not None and now >= message.submitted_at + LOOKED_UP_UNTIL
