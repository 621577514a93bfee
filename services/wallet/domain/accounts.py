"""The chart of accounts: one per merchant, and on which side each account stands."""

from enum import StrEnum
from typing import Final
from uuid import UUID

SUPERVISED: Final = "supervised"
MERCHANT_PAYABLE: Final = "merchant:payable"
PLATFORM_FEE: Final = "platform:fee"
PROMOTION: Final = "merchant:promotion"
GUARANTEE: Final = "merchant:guarantee"
ADVANCE: Final = "merchant:advance"

_DEBIT_NORMAL: Final = (
    "rail:",
    "rail_fee:",
    SUPERVISED,
    ADVANCE,
    PROMOTION,
    "points:issued",
)


class Side(StrEnum):
    """The side on which an account's balance is positive."""

    DEBIT = "debit"
    CREDIT = "credit"


class Purse(StrEnum):
    """The three accounts of a pet wallet; each is never below zero."""

    PRINCIPAL = "principal"
    BONUS = "bonus"
    HELD = "held"


def rail(name: str) -> str:
    """Return the account of what a rail has collected and not yet settled."""
    return f"rail:{name}"


def refund(name: str) -> str:
    """Return the account of refunds on their way to a rail; never below zero."""
    return f"refund:{name}"


def wallet(customer_id: UUID, purse: Purse) -> str:
    """Return one account of a customer's pet wallet."""
    return f"wallet:{customer_id}:{purse}"


def supplier(name: str) -> str:
    """Return the account of what is owed to whoever supplied the goods."""
    return f"supplier:{name}:payable"


def rail_fee(name: str) -> str:
    """Return the account of what a rail has kept for itself and nobody has borne yet."""
    return f"rail_fee:{name}"


def partner(name: str) -> str:
    """Return the account of what is to be passed on to who paid an advance."""
    return f"partner:{name}:payable"


def normal_side(code: str) -> Side:
    """Return the side on which *code* grows: debit for what we have, credit for what we owe."""
    return Side.DEBIT if code.startswith(_DEBIT_NORMAL) else Side.CREDIT
