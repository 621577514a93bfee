"""A customer's permission to be charged on a rail."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID


class MandateState(StrEnum):
    """Where a mandate stands; from the last two there is no way back."""

    ACTIVE = "active"
    REVOKED = "revoked"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Mandate:
    """One mandate; ``product`` names the row of the rail's permissions that applies."""

    mandate_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    rail: str
    product: str
    rail_agreement_no: str
    payer_no: str
    payee_no: str
    ceiling_fen: int
    valid_until: date
    state: MandateState
    granted_at: datetime
