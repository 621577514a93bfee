"""Words that wallet's answers and its domain share."""

from enum import StrEnum


class HoldState(StrEnum):
    """Where a hold is; the last two are final."""

    PLACED = "placed"
    CAPTURED = "captured"
    RELEASED = "released"


class EndedAs(StrEnum):
    """How an agreement ended before its last period."""

    CANCELLED = "cancelled"
    TERMINATED = "terminated"


class CauseKind(StrEnum):
    """What sort of thing a transfer's ``cause_id`` names."""

    INSTALMENT = "instalment"
    SETTLEMENT = "settlement"
    REFUND = "refund"


class TransferKind(StrEnum):
    """Why money moved; a cause moves money at most once for each reason."""

    COLLECTED = "collected"
    HELD = "held"
    RELEASED = "released"
    CAPTURED = "captured"
    CAPTURED_FEE = "captured_fee"
    CAPTURED_SUPPLY = "captured_supply"
    PENALTY = "penalty"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"
