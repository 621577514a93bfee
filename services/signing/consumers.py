"""What signing hears."""

from typing import Final

from services.billing.contract import AgreementFullyPaid
from services.fulfillment.contract import ShipmentDispatched
from services.signing.deps import Deps
from services.signing.usecases.end_agreement import note_fully_paid, note_shipped
from shared.bus import On, OnMany, Subscription

CONSUMERS: Final[tuple[Subscription[Deps], ...]] = (
    On(AgreementFullyPaid, note_fully_paid),
    OnMany(ShipmentDispatched, note_shipped),
)
