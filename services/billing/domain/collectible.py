"""Whether a missed amount is a debt: what was delivered beyond what was paid (rules X18, DN-06)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class LegalType(StrEnum):
    """What an agreement is in law (rule PT-01)."""

    PREPAID = "prepaid"
    INSTALMENT_SALE = "instalment_sale"
    LICENSED_LOAN = "licensed_loan"


@dataclass(frozen=True, slots=True)
class Balance:
    """
    What stands between customer and merchant in one agreement, in fen.

    ``delivered_fen``: what delivered parcels cost; ``paid_fen``: collected and not gone
    back; ``overdue_fen``: the amounts of periods whose day has passed unpaid.
    """

    delivered_fen: int
    paid_fen: int
    overdue_fen: int


def collectible(legal_type: LegalType, balance: Balance) -> int:
    """
    Return what may be collected, in fen; 0 ends the ladder at reminders.

    Who pays first and spends later owes nothing for a top-up not made, only for goods
    that came without money.  Who got the goods, or a loan, first owes what is overdue.
    """
    match legal_type:
        case LegalType.PREPAID:
            unpaid = max(0, balance.delivered_fen - balance.paid_fen)
            return min(unpaid, balance.overdue_fen)
        case LegalType.INSTALMENT_SALE | LegalType.LICENSED_LOAN:
            return balance.overdue_fen
        case _:
            assert_never(legal_type)
