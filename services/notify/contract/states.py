"""Words that notify's answers and its domain share."""

from enum import StrEnum


class Channel(StrEnum):
    """A way to reach a customer."""

    SMS = "sms"
    MINI_PROGRAM = "mini_program"


class MessageState(StrEnum):
    """Where a message is; a late receipt may still turn failed or unknown into delivered."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"


class Kind(StrEnum):
    """What a message is for; hours, caps and the customer's refusal follow from it."""

    NOTICE = "notice"
    CONTRACT = "contract"
    PAYMENT_FAILED = "payment_failed"
    SERVICE = "service"
    DUNNING = "dunning"
    MARKETING = "marketing"

    @property
    def mandatory(self) -> bool:
        """Whether law or contract owe the customer this message, wanted or not."""
        return self in {Kind.NOTICE, Kind.CONTRACT, Kind.PAYMENT_FAILED}


class Scope(StrEnum):
    """What a customer refuses on a channel; mandatory messages come all the same."""

    MARKETING = "marketing"
    SERVICE = "service"
