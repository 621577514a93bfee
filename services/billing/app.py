"""Billing as a whole: its three tables and what they need."""

from services.billing.consumers import CONSUMERS
from services.billing.contract import (
    AgreementFullyPaid,
    ChargeCollected,
    ChargeExhausted,
    ChargeFailed,
    DayReconciled,
    InstalmentGranted,
    InstalmentOverdue,
    InstalmentPostponed,
    InstalmentSettled,
    NoticeRequested,
    RefundFailed,
    RefundSucceeded,
    RiskCleared,
    RiskFlagged,
    ScheduleChanged,
    TaskClosed,
    TaskEscalated,
    TaskOpened,
)
from services.billing.deps import Deps, open_deps
from services.billing.jobs import JOBS
from services.billing.routes import api
from services.billing.settings import BillingSettings
from shared.service import Service

SERVICE: Service[BillingSettings, Deps] = Service(
    name="billing",
    settings=BillingSettings,
    api=api,
    consumers=CONSUMERS,
    jobs=JOBS,
    open_deps=open_deps,
    says=(
        AgreementFullyPaid,
        ChargeCollected,
        ChargeExhausted,
        ChargeFailed,
        DayReconciled,
        InstalmentGranted,
        InstalmentOverdue,
        InstalmentPostponed,
        InstalmentSettled,
        NoticeRequested,
        RefundFailed,
        RefundSucceeded,
        RiskCleared,
        RiskFlagged,
        ScheduleChanged,
        TaskClosed,
        TaskEscalated,
        TaskOpened,
    ),
)
