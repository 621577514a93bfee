"""What notify hears, and what it tells customers about it."""

from services.billing.contract import (
    ChargeCollected,
    ChargeExhausted,
    ChargeFailed,
    InstalmentOverdue,
    InstalmentPostponed,
    InstalmentSettled,
    NoticeRequested,
    RefundSucceeded,
)
from services.fulfillment.contract import (
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentLost,
    ShipmentOutOfStock,
    ShipmentReminderDue,
    StageChanged,
)
from services.notify.deps import Deps
from services.notify.usecases import describe, describe_parcels
from services.notify.usecases.know_people import know_customer, know_merchant
from services.notify.usecases.queue_messages import telling
from services.notify.usecases.tell_agreements import (
    tell_cancelled,
    tell_signed,
    tell_terminated,
)
from services.signing.contract import (
    AgreementActivated,
    AgreementCancelled,
    AgreementCompleted,
    AgreementSigned,
    AgreementTerminated,
    ContactChanged,
    CustomerRegistered,
    MandateClosed,
    MandateRevoked,
    MerchantApproved,
)
from shared.bus import On, OnMany, Subscription

CONSUMERS: tuple[Subscription[Deps], ...] = (
    On(CustomerRegistered, know_customer),
    On(ContactChanged, know_customer),
    On(MerchantApproved, know_merchant),
    OnMany(AgreementSigned, tell_signed),
    OnMany(AgreementActivated, telling(describe.agreement_activated)),
    OnMany(AgreementCancelled, tell_cancelled),
    OnMany(AgreementTerminated, tell_terminated),
    OnMany(AgreementCompleted, telling(describe.agreement_completed)),
    OnMany(MandateRevoked, telling(describe.mandate_revoked)),
    OnMany(MandateClosed, telling(describe.mandate_closed)),
    OnMany(NoticeRequested, telling(describe.notice_requested)),
    OnMany(ChargeCollected, telling(describe.charge_collected)),
    OnMany(ChargeFailed, telling(describe.charge_failed)),
    OnMany(ChargeExhausted, telling(describe.charge_exhausted)),
    OnMany(InstalmentOverdue, telling(describe.instalment_overdue)),
    OnMany(InstalmentSettled, telling(describe.instalment_settled)),
    OnMany(InstalmentPostponed, telling(describe.instalment_postponed)),
    OnMany(RefundSucceeded, telling(describe.refund_succeeded)),
    OnMany(ShipmentReminderDue, telling(describe_parcels.reminder_due)),
    OnMany(ShipmentDispatched, telling(describe_parcels.dispatched)),
    OnMany(ShipmentDelivered, telling(describe_parcels.delivered)),
    OnMany(ShipmentOutOfStock, telling(describe_parcels.out_of_stock)),
    OnMany(ShipmentCancelled, telling(describe_parcels.cancelled)),
    OnMany(ShipmentLost, telling(describe_parcels.lost)),
    OnMany(StageChanged, telling(describe_parcels.stage_changed)),
)
