"""Wallet as a whole: its three tables and what they need."""

from services.wallet.consumers import CONSUMERS
from services.wallet.contract import (
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
from services.wallet.deps import Deps, open_deps
from services.wallet.jobs import JOBS
from services.wallet.routes import api
from services.wallet.settings import WalletSettings
from shared.service import Service

SERVICE: Service[WalletSettings, Deps] = Service(
    name="wallet",
    settings=WalletSettings,
    api=api,
    consumers=CONSUMERS,
    jobs=JOBS,
    open_deps=open_deps,
    says=(
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
    ),
)
