"""What wallet tells the others."""

from datetime import date
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
    """The parcel left the warehouse: what was held is spent; ``bonus_fen`` of it was bonus."""

    subject: ClassVar[str] = "wallet.hold.captured.v1"

    bonus_fen: int = 0


class HoldReleased(_HoldEvent):
    """The parcel will not come: what was held is free again."""

    subject: ClassVar[str] = "wallet.hold.released.v1"


class RefundRequested(Event):
    """
    Unspent principal of an agreement must go back to its original routes.

    One agreement may ask several times, each under its own ``settlement_id``: when money or
    a hold comes free after its end, or when part is given back while it goes on
    (*reason* ``seven_days``, ``after_sales``, ``goodwill``).  *amount_fen* has already left
    the wallet.
    """

    subject: ClassVar[str] = "wallet.refund.requested.v1"
    about: ClassVar[str] = "agreement_id"

    settlement_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    amount_fen: int
    reason: str


class _RedemptionEvent(Event):
    about: ClassVar[str] = "customer_id"

    redemption_id: UUID
    merchant_id: UUID
    customer_id: UUID
    amount_fen: int
    category: str
    offline: bool


class RedemptionBooked(_RedemptionEvent):
    """A customer spent from the wallet in the shop; ``bonus_fen`` of it was bonus."""

    subject: ClassVar[str] = "wallet.redemption.booked.v1"

    bonus_fen: int


class RedemptionFellShort(_RedemptionEvent):
    """
    A code accepted offline found ``missing_fen`` too little in the wallet.

    Nothing was taken; what was handed over is the merchant's risk.
    """

    subject: ClassVar[str] = "wallet.redemption.fell_short.v1"

    missing_fen: int


class RedemptionReturned(_RedemptionEvent):
    """What was bought in the shop came back; ``amount_fen`` and its bonus are free again."""

    subject: ClassVar[str] = "wallet.redemption.returned.v1"

    bonus_fen: int


class StatementIssued(Event):
    """A merchant's day or month is closed; amounts in fen, ``digest`` covers all of it."""

    subject: ClassVar[str] = "wallet.statement.issued.v1"
    about: ClassVar[str] = "merchant_id"

    statement_id: UUID
    merchant_id: UUID
    period: str
    from_day: date
    to_day: date
    collected_fen: int
    delivered_fen: int
    platform_fee_fen: int
    supply_cost_fen: int
    rail_fee_fen: int
    advance_repaid_fen: int
    refunded_fen: int
    paid_out_fen: int
    opening_fen: int
    payable_fen: int
    digest: str


class _DepositEvent(Event):
    about: ClassVar[str] = "merchant_id"

    merchant_id: UUID
    required_fen: int
    kept_fen: int


class DepositShort(_DepositEvent):
    """A merchant's guarantee deposit is less than required: no new signings, no charges."""

    subject: ClassVar[str] = "wallet.deposit.short.v1"


class DepositSufficient(_DepositEvent):
    """A merchant's guarantee deposit is as high as required again."""

    subject: ClassVar[str] = "wallet.deposit.sufficient.v1"


class PayoutSettled(Event):
    """A payout reached its beneficiary, or failed and its money is back; told once."""

    subject: ClassVar[str] = "wallet.payout.settled.v1"
    about: ClassVar[str] = "merchant_id"

    payout_id: UUID
    merchant_id: UUID
    beneficiary: str
    amount_fen: int
    succeeded: bool
    failure: str | None
