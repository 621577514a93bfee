"""Events that fulfillment hears, and what it does then."""

from services.fulfillment.usecases.end_agreement import end_agreement
from services.fulfillment.usecases.learn import (
    learn_agreement,
    learn_pet,
    learn_plan,
    learn_recipient,
    stop_following,
)
from services.fulfillment.usecases.plan_shipments import plan_shipments
from services.signing.contract import (
    AgreementCancelled,
    AgreementCompleted,
    AgreementSigned,
    AgreementTerminated,
    ContactChanged,
    CustomerRegistered,
    PetRegistered,
    PlanPublished,
)
from services.wallet.contract import InstalmentFunded
from shared.bus import On, OnMany

CONSUMERS = (
    On(PlanPublished, learn_plan),
    On(CustomerRegistered, learn_recipient),
    On(ContactChanged, learn_recipient),
    On(PetRegistered, learn_pet),
    On(AgreementSigned, learn_agreement),
    On(AgreementCancelled, end_agreement),
    On(AgreementTerminated, end_agreement),
    On(AgreementCompleted, stop_following),
    OnMany(InstalmentFunded, plan_shipments),
)
