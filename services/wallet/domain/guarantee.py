"""The guarantee deposit: how much is required, and whether what is kept suffices."""

from dataclasses import dataclass
from datetime import date, timedelta

from services.wallet.domain.merchant_terms import MerchantTerms
from shared.money import share_of


@dataclass(frozen=True, slots=True)
class Obligations:
    """A merchant's month of fulfilment, and its prepaid balance at the last quarter's end; fen."""

    monthly_fen: int
    quarter_end_fen: int


def required_fen(terms: MerchantTerms, owed: Obligations) -> int:
    """
    Return the deposit in fen: the largest of all rules, less what is insured.

    Source: at least 30 % of a month's fulfilment by contract; 20 %, 30 % or 40 % of the
    prepaid balance at the end of the last quarter for larger, group and brand issuers
    (Measures on single-purpose prepaid cards, articles 26 to 28); local rules.
    """
    most = max(
        share_of(owed.monthly_fen, per_mille=terms.guarantee_monthly_per_mille),
        share_of(max(0, owed.quarter_end_fen), per_mille=terms.guarantee_balance_per_mille),
        terms.guarantee_floor_fen,
    )
    return max(0, most - terms.guarantee_insured_fen)


def last_quarter_end(day: date) -> date:
    """Return the last day of the quarter before the one of *day*."""
    first_month = (day.month - 1) // 3 * 3 + 1
    return date(day.year, first_month, 1) - timedelta(days=1)
