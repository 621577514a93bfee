"""What wallet hears, and what it does about it."""

from services.billing.contract import (
    ChargeCollected,
    DayReconciled,
    InstalmentGranted,
    RefundFailed,
    RefundSucceeded,
)
from services.fulfillment.contract import (
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
)
from services.signing.contract import AgreementCancelled, AgreementSigned, AgreementTerminated
from services.wallet.deps import Deps
from services.wallet.usecases.book_refund import book_refund, note_failed_refund
from services.wallet.usecases.close_holds import capture_holds, release_holds
from services.wallet.usecases.credit_wallets import credit_wallets, grant_instalments
from services.wallet.usecases.end_agreement import cancel_agreement, terminate_agreement
from services.wallet.usecases.mirror_rails import book_reconciled_day, note_deliveries
from services.wallet.usecases.open_ledgers import open_ledgers
from shared.bus import On, OnMany, Subscription

CONSUMERS: tuple[Subscription[Deps], ...] = (
    OnMany(AgreementSigned, open_ledgers),
    OnMany(ChargeCollected, credit_wallets),
    OnMany(InstalmentGranted, grant_instalments),
    OnMany(ShipmentDispatched, capture_holds),
    OnMany(ShipmentCancelled, release_holds),
    On(AgreementCancelled, cancel_agreement),
    On(AgreementTerminated, terminate_agreement),
    On(RefundSucceeded, book_refund),
    On(RefundFailed, note_failed_refund),
    On(DayReconciled, book_reconciled_day),
    OnMany(ShipmentDelivered, note_deliveries),
)
