"""How a customer can be reached, and the few names that messages mention."""

import re
from dataclasses import dataclass
from uuid import UUID

from services.notify.contract.states import Channel

_MAINLAND = re.compile(r"(?:\+86|0086|86)?[- ]?(1[3-9]\d{9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What signing told us of a customer, in the clear; empty where it is not known."""

    phone: str = ""
    salutation: str = ""
    alipay_user_id: str = ""
    wechat_openid: str = ""

    def recipient(self, provider: str) -> str:
        """Return what *provider* calls this customer, empty if we do not know it."""
        match provider:
            case "wechat":
                return self.wechat_openid
            case "alipay":
                return self.alipay_user_id
            case _:
                return normal_phone(self.phone)


@dataclass(frozen=True, slots=True)
class Merchant:
    """Whose customer it is: the name and the telephone that messages show."""

    merchant_id: UUID
    display_name: str
    service_phone: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """What messages must know of an agreement; None where it was not told yet."""

    merchant_id: UUID
    agreement_id: UUID
    rail: str | None
    plan_name: str | None
    ended: bool


def normal_phone(text: str) -> str:
    """Return a mainland number as its 11 digits, anything else as nothing."""
    found = _MAINLAND.fullmatch(text.strip())
    return found[1] if found else ""


def mini_programs(rail: str | None) -> tuple[str, ...]:
    """Return the mini-program providers in the order to try: the agreement's own rail first."""
    return ("wechat", "alipay") if rail == "wechatpay" else ("alipay", "wechat")


def ways(
    channel: Channel, contact: Contact, rail: str | None, *, sms_providers: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the providers that can reach *contact* on *channel*, best first."""
    names = sms_providers if channel is Channel.SMS else mini_programs(rail)
    return tuple(name for name in names if contact.recipient(name))
