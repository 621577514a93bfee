"""Signing, put together; start reading here."""

from typing import Final

from services.signing.consumers import CONSUMERS
from services.signing.contract import (
    AgreementActivated,
    AgreementAmended,
    AgreementCancelled,
    AgreementCompleted,
    AgreementPaused,
    AgreementResumed,
    AgreementSigned,
    AgreementTerminated,
    ContactChanged,
    CustomerRegistered,
    MandateClosed,
    MandateGranted,
    MandateRevoked,
    MerchantApproved,
    MerchantSuspended,
    PetRegistered,
    PlanPublished,
)
from services.signing.deps import Deps, open_deps
from services.signing.jobs import JOBS
from services.signing.routes import api
from services.signing.settings import SigningSettings
from shared.service import Service

SAYS: Final = (
    MerchantApproved,
    MerchantSuspended,
    PlanPublished,
    CustomerRegistered,
    ContactChanged,
    PetRegistered,
    AgreementSigned,
    AgreementActivated,
    AgreementAmended,
    AgreementCancelled,
    AgreementTerminated,
    AgreementCompleted,
    AgreementPaused,
    AgreementResumed,
    MandateGranted,
    MandateRevoked,
    MandateClosed,
)

SERVICE: Final = Service[SigningSettings, Deps](
    name="signing",
    settings=SigningSettings,
    api=api,
    consumers=CONSUMERS,
    jobs=JOBS,
    open_deps=open_deps,
    says=SAYS,
)
