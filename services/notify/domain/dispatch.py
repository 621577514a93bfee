"""May this message go out now?  Asked again right before each send."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.notify.contract.states import Channel, Kind
from services.notify.domain.contact import Contact, Merchant
from services.notify.domain.hours import earliest, next_morning
from services.notify.domain.message import Message
from services.notify.domain.retries import after_outage

SMS_PER_DAY: Final = 5
"""Our own cap for one person, far below Aliyun's 50; mandatory messages pass it."""
DUNNING_PER_DAY: Final = 1
DUNNING_PER_WEEK: Final = 3
"""SMS about an unpaid period to one person, days being China's (rule DN-02, GB/T 45251-2025)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known at the moment of sending; counts are of SMS to this customer."""

    contact: Contact | None
    merchant: Merchant | None
    ended: bool = False
    paid: bool = False
    refused: bool = False
    sms_today: int = 0
    dunning_today: int = 0
    dunning_this_week: int = 0


@dataclass(frozen=True, slots=True)
class Go:
    """Send it."""

    contact: Contact
    merchant: Merchant


@dataclass(frozen=True, slots=True)
class Hold:
    """Not before *until*."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Do not send it at all."""

    reason: str


@dataclass(frozen=True, slots=True)
class Late:
    """Its time is over."""


def decide(message: Message, facts: Circumstances, *, now: datetime) -> Go | Hold | Drop | Late:
    """Return what to do with *message*, which is due."""
    if reason := _pointless(message, facts):
        return Drop(reason)
    if now > message.send_by:
        return Late()
    may_go_at = earliest(message.kind, message.channel, now)
    if may_go_at > now:
        return Hold(may_go_at, "quiet_hours")
    if _over_cap(message, facts):
        return Hold(next_morning(message.kind, now), "cap")
    if facts.contact is None or facts.merchant is None:
        reason = "contact_unknown" if facts.contact is None else "merchant_unknown"
        return Hold(after_outage(tries=_waits(message, now), now=now), reason)
    return Go(facts.contact, facts.merchant)


def _pointless(message: Message, facts: Circumstances) -> str | None:
    if facts.refused and not message.mandatory:
        return "refused_by_customer"
    if facts.paid and message.kind in {Kind.PAYMENT_FAILED, Kind.DUNNING}:
        return "paid_meanwhile"
    if facts.ended and message.kind in {Kind.NOTICE, Kind.PAYMENT_FAILED, Kind.DUNNING}:
        return "agreement_ended"
    return None


def _over_cap(message: Message, facts: Circumstances) -> bool:
    if message.mandatory or message.channel is not Channel.SMS:
        return False
    if message.kind is Kind.DUNNING and (
        facts.dunning_today >= DUNNING_PER_DAY or facts.dunning_this_week >= DUNNING_PER_WEEK
    ):
        return True
    return facts.sms_today >= SMS_PER_DAY


def _waits(message: Message, now: datetime) -> int:
    """Return how often we have waited about, by how long the message has been here."""
    waited = now - message.queued_at
    return 1 if waited < timedelta(minutes=5) else 2 if waited < timedelta(minutes=20) else 4
