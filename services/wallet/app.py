"""Wallet as a whole: its three tables and what they need."""

from services.wallet.consumers import CONSUMERS
from services.wallet.contract import (
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    InstalmentFunded,
    RedemptionBooked,
    RedemptionFellShort,
    RedemptionReturned,
    RefundRequested,
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
        HoldCaptured,
        HoldPlaced,
        HoldReleased,
        InstalmentFunded,
        RedemptionBooked,
        RedemptionFellShort,
        RedemptionReturned,
        RefundRequested,
    ),
)
