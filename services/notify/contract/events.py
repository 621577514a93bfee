"""What notify tells the others."""

from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from shared.events import Event


class _MessageEvent(Event):
    """
    Something happened to one message.

    ``cause`` says what the message was about (``notice.advance``, ``charge.failed``)
    and ``cause_id`` which one: the id that the requesting event carries.
    """

    about: ClassVar[str] = "cause_id"

    message_id: UUID
    cause: str
    cause_id: UUID
    merchant_id: UUID
    customer_id: UUID
    channel: str
    provider: str


class MessageAccepted(_MessageEvent):
    """The provider took the message; this is the proof that it was sent."""

    subject: ClassVar[str] = "notify.message.accepted.v1"

    provider_message_id: str
    accepted_at: AwareDatetime


class MessageDelivered(_MessageEvent):
    """The provider says that the message reached the customer."""

    subject: ClassVar[str] = "notify.message.delivered.v1"

    delivered_at: AwareDatetime


class MessageFailed(_MessageEvent):
    """The message cannot be sent on this channel, or its time is over."""

    subject: ClassVar[str] = "notify.message.failed.v1"

    reason: str


class MessageUnknown(_MessageEvent):
    """Nobody can say whether the message went out; it is not sent again."""

    subject: ClassVar[str] = "notify.message.unknown.v1"


class ContactOptedOut(Event):
    """A customer wants no more marketing on one channel."""

    subject: ClassVar[str] = "notify.contact.opted_out.v1"
    about: ClassVar[str] = "customer_id"

    merchant_id: UUID
    customer_id: UUID
    channel: str
