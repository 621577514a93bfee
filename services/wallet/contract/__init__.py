"""What other services may know of wallet."""

from services.wallet.contract.events import (
    DepositShort,
    DepositSufficient,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    InstalmentFunded,
    PayoutSettled,
    RedemptionBooked,
    RedemptionFellShort,
    RedemptionReturned,
    RefundRequested,
    StatementIssued,
)

__all__ = [
    "DepositShort",
    "DepositSufficient",
    "HoldCaptured",
    "HoldPlaced",
    "HoldReleased",
    "InstalmentFunded",
    "PayoutSettled",
    "RedemptionBooked",
    "RedemptionFellShort",
    "RedemptionReturned",
    "RefundRequested",
    "StatementIssued",
]
