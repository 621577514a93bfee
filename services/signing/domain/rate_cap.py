"""Who gives the credit of a plan, and what may be asked for it at most."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, assert_never

from services.signing.domain.annual_rate import BUSINESS_CAP_PERCENT, LPR_PERCENT, cap_percent
from services.signing.domain.plan import LegalType

MICRO_LOANS_BELOW_FOUR_LPR_FROM: Final = date(2028, 1, 1)
"""Micro-loan companies' new loans must be down to four times the LPR by the end of 2027."""


class LenderType(StrEnum):
    """Who gives credit; nobody does where the customer pays first."""

    NOBODY = "nobody"
    SELLER = "seller"
    BANK = "bank"
    CONSUMER_FINANCE = "consumer_finance"
    MICRO_LOAN = "micro_loan"


class CapBasis(StrEnum):
    """Why a cap is what it is."""

    BUSINESS = "business"
    FOUR_TIMES_LPR = "four_times_lpr"


@dataclass(frozen=True, slots=True)
class RateCap:
    """Per cent a year that the higher of nominal and effective rate may reach."""

    lender: LenderType
    percent: str
    basis: CapBasis


def lender_of(legal_type: LegalType) -> LenderType:
    """Return who gives the credit in a plan of this legal type."""
    match legal_type:
        case LegalType.PREPAID:
            return LenderType.NOBODY
        case LegalType.INSTALMENT_SALE:
            return LenderType.SELLER
        case _:
            assert_never(legal_type)


def rate_cap(lender: LenderType, *, signed_on: date) -> RateCap:
    """
    Return the cap for what is signed on a date in China.

    Source: business rule of 24 %; private lending interpretation, articles 25, 28 and 29 for
    sellers; micro-loan guidance of December 2025 for micro-loan companies.
    """
    match lender:
        case LenderType.NOBODY | LenderType.BANK | LenderType.CONSUMER_FINANCE:
            return _business(lender)
        case LenderType.MICRO_LOAN:
            if signed_on < MICRO_LOANS_BELOW_FOUR_LPR_FROM:
                return _business(lender)
            return _four_lpr(lender)
        case LenderType.SELLER:
            return _four_lpr(lender)
        case _:
            assert_never(lender)


def _business(lender: LenderType) -> RateCap:
    return RateCap(lender, str(BUSINESS_CAP_PERCENT), CapBasis.BUSINESS)


def _four_lpr(lender: LenderType) -> RateCap:
    percent = cap_percent(LegalType.INSTALMENT_SALE)
    basis = CapBasis.FOUR_TIMES_LPR if percent == 4 * LPR_PERCENT else CapBasis.BUSINESS
    return RateCap(lender, str(percent), basis)
