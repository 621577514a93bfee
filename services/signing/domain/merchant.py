"""A merchant, its stores, and what makes it fit to sign customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from services.signing.contract import LegalKind, Payee, Rail
from services.signing.domain.errors import (
    MerchantDecided,
    MerchantNotApproved,
    RailNotForMerchant,
)


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


def payee_of(merchant: Merchant, rail: Rail) -> Payee:
    """
    Return the merchant's own account at *rail*.

    Raises:
        RailNotForMerchant: It has none, or the rail does not admit its legal kind.  WeChat
            Pay opens withholding to companies only (its rules of July 2025), and the payee
            must be the contracting merchant (payment institutions regulation, article 6).
    """
    if rail is Rail.WECHATPAY and merchant.legal_kind is LegalKind.INDIVIDUAL_BUSINESS:
        raise RailNotForMerchant(
            "WeChat Pay does not open withholding to individual businesses.",
            rail=rail,
            legal_kind=merchant.legal_kind,
        )
    for payee in merchant.payees:
        if payee.rail is rail:
            return payee
    raise RailNotForMerchant("The merchant has no account at this rail.", rail=rail)
