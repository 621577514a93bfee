"""Words of the merchant's money that answers and the domain share."""

from enum import StrEnum


class BorneBy(StrEnum):
    """Who bears what a rail keeps for a charge."""

    PLATFORM = "platform"
    MERCHANT = "merchant"


class StatementPeriod(StrEnum):
    """What a statement is about."""

    DAY = "day"
    MONTH = "month"


class Beneficiary(StrEnum):
    """Who gets money of a merchant that is no customer."""

    MERCHANT = "merchant"
    SUPPLIER = "supplier"
    PARTNER = "partner"


class PayoutState(StrEnum):
    """Where a payout is; the last two are final."""

    PREPARED = "prepared"
    SENT = "sent"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class AdvanceState(StrEnum):
    """Where an advance is; ``refused`` and ``repaid`` are final."""

    QUOTED = "quoted"
    DRAWING = "drawing"
    UNKNOWN = "unknown"
    DRAWN = "drawn"
    REFUSED = "refused"
    REPAID = "repaid"


class MoneySubject(StrEnum):
    """What a line of the money's history is about."""

    TERMS = "terms"
    ACCOUNT = "account"
    PAYOUT = "payout"
    GUARANTEE = "guarantee"
    ADVANCE = "advance"
    STATEMENT = "statement"
