"""What signing hears."""

from typing import Final

from services.billing.contract import AgreementFullyPaid, ChargeCollected, ScheduleChanged
from services.fulfillment.contract import ShipmentDispatched
from services.signing.deps import Deps
from services.signing.usecases.change_agreement import note_paid, note_schedule
from services.signing.usecases.end_agreement import note_fully_paid, note_shipped
from services.signing.usecases.watch_deposits import note_short, note_sufficient
from services.wallet.contract import DepositShort, DepositSufficient
from shared.bus import On, OnMany, Subscription

CONSUMERS: Final[tuple[Subscription[Deps], ...]] = (
    On(AgreementFullyPaid, note_fully_paid),
    OnMany(ChargeCollected, note_paid),
    On(ScheduleChanged, note_schedule),
    OnMany(ShipmentDispatched, note_shipped),
    On(DepositShort, note_short),
    On(DepositSufficient, note_sufficient),
)
