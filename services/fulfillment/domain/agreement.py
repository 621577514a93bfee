"""What fulfillment knows of agreements, pets and recipients."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Agreement:
    """A signed agreement: whose parcels, of which plan; ``end_reason`` once it has ended.

    ``substitutes_agreed``: we may ourselves send what stands in as a substitute.
    """

    merchant_id: UUID
    agreement_id: UUID
    customer_id: UUID
    pet_id: UUID
    plan_id: UUID
    plan_version: int
    signed_at: datetime
    substitutes_agreed: bool = False
    end_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Pet:
    """What decides on a pet's food."""

    merchant_id: UUID
    pet_id: UUID
    customer_id: UUID
    species: str
    size: str
    born_on: date
    allergies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets the parcel, and where; personal data, never logged."""

    name: str
    phone: str
    province: str
    city: str
    district: str
    address: str
