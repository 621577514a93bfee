"""What wallet tells the others."""

from typing import ClassVar
from uuid import UUID

from shared.events import Event


class InstalmentFunded(Event):
    """
    The money of one instalment is in the pet wallet.

    For an auto-ship plan ``hold_fen`` of it is kept for the period's parcel under
    ``hold_id``; otherwise ``hold_id`` is None and nothing is to be shipped.
    """

    subject: ClassVar[str] = "wallet.instalment.funded.v1"
    about: ClassVar[str] = "agreement_id"

    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    pet_id: UUID
    seq: int
    periods: int
    amount_fen: int
    hold_id: UUID | None
    hold_fen: int


class _HoldEvent(Event):
    about: ClassVar[str] = "agreement_id"

    hold_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    amount_fen: int


class HoldPlaced(_HoldEvent):
    """Money in the wallet is set aside for a parcel."""

    subject: ClassVar[str] = "wallet.hold.placed.v1"


class HoldCaptured(_HoldEvent):
    """The parcel left the warehouse: what was held is spent."""

    subject: ClassVar[str] = "wallet.hold.captured.v1"


class HoldReleased(_HoldEvent):
    """The parcel will not come: what was held is free again."""

    subject: ClassVar[str] = "wallet.hold.released.v1"


class RefundRequested(Event):
    """
    Unspent principal of an ended agreement must go back to its original routes.

    One agreement may ask several times, each under its own ``settlement_id``, when
    money or a hold comes free after the first; *amount_fen* has already left the wallet.
    """

    subject: ClassVar[str] = "wallet.refund.requested.v1"
    about: ClassVar[str] = "agreement_id"

    settlement_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    amount_fen: int
    reason: str
