"""Bodies and views of fulfillment's HTTP API."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from shared.web.models import Body, FenAmount, PageQuery, Text, View

SkuCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,40}$")]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]

_PAIR_EXAMPLE: JsonDict = {"examples": [{"sku": "KITTEN-2KG", "by_sku": "KITTEN-FISH-2KG"}]}
_SKU_EXAMPLE: JsonDict = {
    "sku": "KITTEN-2KG",
    "name": "幼猫粮 2kg",
    "supply_cost_fen": 6800,
    "supplier": "warehouse",
    "ingredients": ["chicken", "rice"],
    "allergens": ["chicken"],
}


class SkuParticulars(Body):
    """What is to be known of a SKU; words are compared with the pet's allergies."""

    name: Text
    supply_cost_fen: FenAmount
    supplier: Word = "warehouse"
    ingredients: list[Word] = Field(default_factory=list, max_length=60)
    allergens: list[Word] = Field(default_factory=list, max_length=60)
    active: bool = True


class NewSku(SkuParticulars):
    """A SKU for the merchant's catalogue, under the warehouse's own code."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SKU_EXAMPLE]})

    sku: SkuCode


class SkuView(View):
    """A SKU of the merchant's catalogue."""

    sku: str
    name: str
    supply_cost_fen: int
    supplier: str
    ingredients: list[str]
    allergens: list[str]
    active: bool


class NewSubstitute(Body):
    """May replace a SKU that is out of stock or harms the pet, for those who sign later."""

    model_config = ConfigDict(json_schema_extra=_PAIR_EXAMPLE)

    sku: SkuCode
    by_sku: SkuCode


class SubstituteView(View):
    """A published substitute."""

    sku: str
    by_sku: str
    published_at: AwareDatetime


class NewSwap(Body):
    """What the customer wants instead, before the day-before reminder."""

    model_config = ConfigDict(json_schema_extra=_PAIR_EXAMPLE)

    sku: SkuCode
    by_sku: SkuCode


class ShipmentFilter(PageQuery):
    """Which shipments to list."""

    agreement_id: UUID | None = None
    customer_id: UUID | None = None
    state: str | None = Field(default=None, pattern=r"^[a-z_]{1,20}$")


class ItemView(View):
    """So many of one SKU; *why* it is there, and what it is *instead_of*."""

    sku: str
    name: str
    quantity: int
    why: str
    instead_of: str | None


class NodeView(View):
    """One line of a track; phone numbers in it are masked."""

    at: datetime
    state: str | None
    text: str


class ParcelView(View):
    """One box and its way; the newest line first."""

    parcel_id: UUID
    carrier: str
    tracking_no: str
    state: str
    sent_at: datetime
    stuck_at: datetime | None
    track: list[NodeView]


class MoveView(View):
    """One step in the life of a shipment."""

    at: datetime
    state: str
    actor: str
    reason: str | None


class ShipmentView(View):
    """One period's parcel; it should arrive by *deliver_by*."""

    shipment_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    customer_id: UUID
    pet_id: UUID
    seq: int
    state: str
    ship_on: date
    deliver_by: date
    stage: str | None
    wait_until: date | None
    reason: str | None
    planned_at: datetime


class ShipmentDetail(ShipmentView):
    """A shipment with its contents, wishes, parcels and history."""

    items: list[ItemView]
    swaps: dict[str, str]
    parcels: list[ParcelView]
    history: list[MoveView]


class UnplacedView(View):
    """A provider's call that nobody could place; mobile numbers in it are masked."""

    webhook_id: UUID
    provider: str
    received_at: datetime
    reason: str | None
    body: str
