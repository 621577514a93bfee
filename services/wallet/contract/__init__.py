"""What other services may know of wallet."""

from services.wallet.contract.events import (
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    InstalmentFunded,
    RedemptionBooked,
    RedemptionFellShort,
    RedemptionReturned,
    RefundRequested,
)

__all__ = [
    "HoldCaptured",
    "HoldPlaced",
    "HoldReleased",
    "InstalmentFunded",
    "RedemptionBooked",
    "RedemptionFellShort",
    "RedemptionReturned",
    "RefundRequested",
]
