"""What other services may know of billing."""

from services.billing.contract.events import (
    AgreementFullyPaid,
    ChargeCollected,
    ChargeExhausted,
    ChargeFailed,
    InstalmentGranted,
    InstalmentOverdue,
    InstalmentPostponed,
    InstalmentSettled,
    NoticeRequested,
    RefundFailed,
    RefundSucceeded,
    RiskCleared,
    RiskFlagged,
    TaskOpened,
)

__all__ = [
    "AgreementFullyPaid",
    "ChargeCollected",
    "ChargeExhausted",
    "ChargeFailed",
    "InstalmentGranted",
    "InstalmentOverdue",
    "InstalmentPostponed",
    "InstalmentSettled",
    "NoticeRequested",
    "RefundFailed",
    "RefundSucceeded",
    "RiskCleared",
    "RiskFlagged",
    "TaskOpened",
]
