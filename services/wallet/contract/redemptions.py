"""What the counter asks and is answered: codes, redemptions, devices, services, history."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field

from services.wallet.contract.states import Category, RedemptionState
from shared.web import Body, PageQuery, PositiveFen, Query, Text, View

LINES_MAX = 100
"""How many lines one upload may bring."""

CodeText = Annotated[str, Field(max_length=400)]
Day = Annotated[date, Field(ge=date(2020, 1, 1), le=date(2100, 12, 31))]
ServiceCode = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]


class NewCode(Body):
    """A customer wants to pay in the shop."""

    max_amount_fen: int | None = Field(default=None, description="The customer's own limit.")


class CodeView(View):
    """A one-time code, to be shown as a QR code; every asking gives another."""

    code_id: UUID
    code: str
    max_amount_fen: int | None
    offline_limit_fen: int
    expires_at: datetime


class NewRedemption(Body):
    """A clerk redeems a code: an amount with its category, or a service at its price."""

    code: CodeText
    amount_fen: int | None = None
    category: Category | None = None
    service_code: ServiceCode | None = None
    store_id: UUID | None = None


class NewReturn(Body):
    """What was bought comes back, whole or in part; there is one return for each."""

    amount_fen: int | None = Field(default=None, description="Null: all of it.")
    reason: Text


class PartView(View):
    """What a redemption took from one agreement, and what of it went back, in fen."""

    agreement_id: UUID
    principal_fen: int
    bonus_fen: int
    fee_fen: int
    returned_principal_fen: int
    returned_bonus_fen: int
    returned_fee_fen: int


class RedemptionView(View):
    """One consumed code; ``short``: nothing was taken, ``missing_fen`` was not there."""

    redemption_id: UUID
    code_id: UUID
    customer_id: UUID
    amount_fen: int
    bonus_fen: int
    fee_fen: int
    category: Category
    service_code: str | None
    store_id: UUID | None
    device_id: UUID | None
    clerk: str
    state: RedemptionState
    missing_fen: int
    accepted_at: datetime
    booked_at: datetime
    returned_fen: int
    returned_bonus_fen: int
    returned_at: datetime | None
    return_reason: str | None


class RedemptionStoryView(View):
    """One redemption, and from which agreements it took what."""

    redemption: RedemptionView
    parts: list[PartView]


class RedemptionFilter(PageQuery):
    """Which redemptions to list; ``state=short`` are the merchant's exceptions."""

    customer_id: UUID | None = None
    state: RedemptionState | None = None


class OfflineLineBody(Body):
    """
    A code that the device accepted while it was offline.

    ``signature`` is Ed25519 by the device's key, in base64, over seven lines joined by a
    line feed: ``yuefu offline redemption``, device_id, code, amount_fen, category,
    service_code (or nothing), accepted_at in whole seconds since 1970.
    """

    code: CodeText
    amount_fen: int
    category: Category
    service_code: ServiceCode | None = None
    accepted_at: AwareDatetime
    signature: Annotated[str, Field(max_length=100)]


class NewUpload(Body):
    """What a device accepted while it was offline; the same lines may come again."""

    lines: list[OfflineLineBody] = Field(min_length=1, max_length=LINES_MAX)


class LineView(View):
    """
    What became of one line, in the order they were sent.

    ``outcome`` is ``booked``, ``short`` or ``refused``; ``repeated`` if it stood already.
    """

    outcome: str
    repeated: bool = False
    redemption_id: UUID | None = None
    problem: str | None = None
    detail: str | None = None


class UploadView(View):
    """What became of each line; a refused one may be sent again, and is refused again."""

    lines: list[LineView]


class RefusalView(View):
    """What was refused at the counter; nothing was taken."""

    refusal_id: UUID
    refused_at: datetime
    action: str
    code: str
    detail: str
    clerk: str
    code_id: UUID | None
    customer_id: UUID | None
    redemption_id: UUID | None
    device_id: UUID | None
    amount_fen: int | None


class ShopTermsView(View):
    """What a device needs to accept codes while it is offline; codes carry the rest."""

    public_key: str = Field(description="Ed25519, 32 raw bytes in base64.")
    offline_for_hours: int
    offline_limit_fen: int
    ceiling_fen: int


class NewDevice(Body):
    """A device of the shop; the private half of its key never leaves it."""

    name: Text
    public_key: Annotated[str, Field(max_length=100)] = Field(
        description="Ed25519, 32 raw bytes in base64."
    )


class DeviceView(View):
    """A shop's device that may accept codes offline."""

    device_id: UUID
    name: str
    registered_at: datetime
    revoked_at: datetime | None


class NewService(Body):
    """A service at a fixed price; it replaces the one that stands under its code."""

    name: Text
    category: Category
    price_fen: PositiveFen
    active: bool = True


class ServiceView(View):
    """A service that a clerk can confirm instead of an amount."""

    service_code: str
    name: str
    category: Category
    price_fen: int
    active: bool


class LotView(View):
    """What one instalment brought into one purse, and what of it is free, in fen."""

    agreement_id: UUID
    instalment_id: UUID
    purse: str
    amount_fen: int
    left_fen: int
    credited_at: datetime


class SpentView(View):
    """One line of the history: ``parcel``, ``redemption``, or ``return`` (negative)."""

    what: str
    cause_id: UUID
    amount_fen: int
    bonus_fen: int
    category: str
    at: datetime


class Span(Query):
    """From the first day to the last, both included, in China; the last year if not told."""

    first_day: Day | None = None
    last_day: Day | None = None


class PreferredView(View):
    """What a category came to, net of returns; parcels are one category."""

    category: str
    times: int
    customers: int
    amount_fen: int
    last_at: datetime


class PreferenceView(View):
    """What was spent on what, the most first; ids of nobody."""

    categories: list[PreferredView]


class DifferenceView(View):
    """Two figures that should be one, in fen, and what they are about."""

    check: str
    about: str
    stands_fen: int
    should_fen: int


class SealView(View):
    """One link of the chain over transfers; keep the newest digest, and nobody can rewrite it."""

    seq: int
    transfers: int
    total_fen: int
    digest: str
    sealed_at: datetime


class ProofView(View):
    """Every balance rebuilt from its transfers, and the chain verified, at one moment."""

    proven: bool
    accounts: int
    transfers: int
    head: SealView | None
    differences: list[DifferenceView]
