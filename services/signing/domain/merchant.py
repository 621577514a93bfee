"""A merchant, its stores, and what makes it fit to sign customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.signing.contract import LegalKind, Payee, Rail
from services.signing.domain.errors import (
    MerchantDecided,
    MerchantNotApproved,
    RailNotForMerchant,
)
from services.signing.domain.schedule import OFFERS, Offers
from shared.rails.permissions import MerchantType


class MerchantState(StrEnum):
    """Where a merchant is in its review."""

    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Merchant:
    """A shop in law; only its own accounts at the rails may be paid."""

    merchant_id: UUID
    state: MerchantState
    legal_name: str
    display_name: str
    legal_kind: LegalKind
    licence_no: str
    service_phone: str
    payees: Sequence[Payee]
    created_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """A place where customers sign."""

    store_id: UUID
    merchant_id: UUID
    name: str
    city: str
    address: str
    created_at: datetime


def decide(state: MerchantState, to: MerchantState) -> MerchantState:
    """
    Return the state after a decision; deciding the same again changes nothing.

    Raises:
        MerchantDecided: *state* does not lead to *to*.
    """
    match to:
        case MerchantState.APPROVED:
            allowed = {MerchantState.SUBMITTED, MerchantState.SUSPENDED, MerchantState.APPROVED}
        case MerchantState.REJECTED:
            allowed = {MerchantState.SUBMITTED, MerchantState.REJECTED}
        case MerchantState.SUSPENDED:
            allowed = {MerchantState.APPROVED, MerchantState.SUSPENDED}
        case MerchantState.SUBMITTED:
            allowed = set()
        case _:
            assert_never(to)
    if state not in allowed:
        raise MerchantDecided("The merchant's state forbids this.", state=state, wanted=to)
    return to


def require_approved(merchant: Merchant) -> None:
    """Raise MerchantNotApproved unless *merchant* may do business."""
    if merchant.state is not MerchantState.APPROVED:
        raise MerchantNotApproved("The merchant is not approved.", state=merchant.state)


_MERCHANT_TYPES: Final = {
    LegalKind.COMPANY: MerchantType.ENTERPRISE,
    LegalKind.INDIVIDUAL_BUSINESS: MerchantType.SOLE_TRADER,
}


def payee_of(merchant: Merchant, rail: Rail, *, offers: Offers = OFFERS) -> Payee:
    """
    Return the merchant's own account at *rail*.

    Raises:
        RailNotForMerchant: It has none, or the rail does not admit its legal kind (the table
            of permissions says whom), and the payee must be the contracting merchant
            (payment institutions regulation, article 6).
    """
    if _MERCHANT_TYPES[merchant.legal_kind] not in offers[rail].merchant_types:
        raise RailNotForMerchant(
            "The rail does not open withholding to merchants of this kind.",
            rail=rail,
            legal_kind=merchant.legal_kind,
        )
    for payee in merchant.payees:
        if payee.rail is rail:
            return payee
    raise RailNotForMerchant("The merchant has no account at this rail.", rail=rail)
