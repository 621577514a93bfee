"""What a provider is asked and what it may answer; no provider's own words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Trouble(StrEnum):
    """Who has to do what before the same message may be tried again."""

    RETRY = "retry"  # nobody; seconds may help
    DOWN = "down"  # nobody; the provider is away
    RATE = "rate"  # nobody; too many for now
    RECIPIENT = "recipient"  # this customer cannot be reached this way
    CONFIG = "config"  # us: account, signature, template


class Tracking(StrEnum):
    """How one learns what became of a message that a provider took."""

    QUERY = "query"  # a receipt comes, and one may ask
    RECEIPT = "receipt"  # a receipt comes
    NONE = "none"  # nothing comes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message."""

    provider_message_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider did not take the message, for sure."""

    trouble: Trouble
    code: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """The message may have been taken; ask before sending it again."""

    reason: str


Answer = Accepted | Refused | Unclear


@dataclass(frozen=True, slots=True)
class Found:
    """
    The provider knows the message; *delivered* None while it waits for the carrier.

    *number* is the provider's own, empty where it did not tell.
    """

    delivered: bool | None
    code: str
    at: datetime
    number: str = ""


@dataclass(frozen=True, slots=True)
class NotFound:
    """The provider never got the message."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The provider did not answer the question, or takes none."""

    reason: str


Finding = Found | NotFound | CannotTell


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message as a provider gets it."""

    out_id: str
    recipient: str
    template_code: str
    values: Mapping[str, str]
    """By name of the template's variable (SMS)."""
    fields: tuple[tuple[str, str], ...]
    """Field key and value, in order (mini-program)."""
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a provider says became of a message, perhaps before its answer is stored."""

    provider: str
    provider_message_id: str
    out_id: str
    recipient: str
    template_code: str
    delivered: bool
    code: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a customer wrote back to an SMS."""

    provider: str
    sequence_id: str
    phone: str
    content: str
    at: datetime


def out_id_of(merchant_id: UUID, message_id: UUID) -> str:
    """Return the number under which a provider knows our message; 64 characters."""
    return f"{merchant_id.hex}{message_id.hex}"


def ids_of(out_id: str) -> tuple[UUID, UUID] | None:
    """Return (merchant, message) of an ``out_id_of``, None for what is not ours."""
    half = len(out_id) // 2
    try:
        return UUID(out_id[:half]), UUID(out_id[half:])
    except ValueError:
        return None
