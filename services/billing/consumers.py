"""What billing hears, and what it does about it."""

from services.billing.deps import Deps
from services.billing.usecases.change_schedule import (
    amend_billing,
    pause_billing,
    resume_billing,
)
from services.billing.usecases.keep_mandate import close_mandate, grant_mandate, revoke_mandate
from services.billing.usecases.keep_merchant import approve_merchant, suspend_merchant
from services.billing.usecases.move_agreement import (
    activate_agreement,
    cancel_agreement,
    complete_agreement,
    terminate_agreement,
)
from services.billing.usecases.note_consumed import note_consumed
from services.billing.usecases.open_billing import open_billing
from services.billing.usecases.record_notice_proof import record_accepted, record_delivered
from services.billing.usecases.refund_settlement import refund_settlement
from services.billing.usecases.watch_deposits import note_short, note_sufficient
from services.billing.usecases.watch_shipments import note_cancelled, note_delivered, note_planned
from services.fulfillment.contract import ShipmentCancelled, ShipmentDelivered, ShipmentPlanned
from services.notify.contract import MessageAccepted, MessageDelivered
from services.signing.contract import (
    AgreementActivated,
    AgreementAmended,
    AgreementCancelled,
    AgreementCompleted,
    AgreementPaused,
    AgreementResumed,
    AgreementSigned,
    AgreementTerminated,
    MandateClosed,
    MandateGranted,
    MandateRevoked,
    MerchantApproved,
    MerchantSuspended,
)
from services.wallet.contract import DepositShort, DepositSufficient, HoldCaptured, RefundRequested
from shared.bus import On, OnMany, Subscription

CONSUMERS: tuple[Subscription[Deps], ...] = (
    On(MerchantApproved, approve_merchant),
    On(MerchantSuspended, suspend_merchant),
    On(DepositShort, note_short),
    On(DepositSufficient, note_sufficient),
    On(MandateGranted, grant_mandate),
    On(MandateRevoked, revoke_mandate),
    On(MandateClosed, close_mandate),
    On(AgreementSigned, open_billing),
    On(AgreementActivated, activate_agreement),
    On(AgreementCancelled, cancel_agreement),
    On(AgreementTerminated, terminate_agreement),
    On(AgreementPaused, pause_billing),
    On(AgreementResumed, resume_billing),
    On(AgreementAmended, amend_billing),
    On(AgreementCompleted, complete_agreement),
    OnMany(MessageAccepted, record_accepted),
    OnMany(MessageDelivered, record_delivered),
    OnMany(ShipmentPlanned, note_planned),
    OnMany(ShipmentDelivered, note_delivered),
    OnMany(ShipmentCancelled, note_cancelled),
    OnMany(HoldCaptured, note_consumed),
    On(RefundRequested, refund_settlement),
)
