"""What credit costs in a year, from the payments alone (internal rate of return)."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Final

from services.signing.contract import OverduePenalty
from services.signing.domain.errors import (
    OverduePenaltyAboveCap,
    OverduePenaltyForbidden,
    RateAboveCap,
)
from services.signing.domain.plan import LegalType, PlanVersion

BUSINESS_CAP_PERCENT: Final = Decimal(24)
"""Nothing dearer is offered, whatever the law would let pass."""

LPR_PERCENT: Final = Decimal(3)
"""One-year loan prime rate; reference data of 2026, to be renewed when it changes."""

_STEPS: Final = 60
_DIGITS: Final = 28
_MILLI: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class AnnualRate:
    """Per cent a year: twelve times the monthly rate, and compounded."""

    nominal_percent: Decimal
    effective_percent: Decimal

    @property
    def higher_percent(self) -> Decimal:
        """Return the higher of the two, which the cap is held against."""
        return max(self.nominal_percent, self.effective_percent)


def annual_rate(principal_fen: int, payments_fen: Sequence[int]) -> AnnualRate:
    """
    Return the yearly rate at which monthly *payments_fen* repay *principal_fen*.

    The first payment falls one month after the principal was received.  Payments that do
    not exceed the principal cost nothing.  Source: PBoC announcement 2021 No. 3 (IRR).
    """
    with localcontext() as context:
        context.prec = _DIGITS
        monthly = _monthly(principal_fen, payments_fen)
        nominal = monthly * 1200
        effective = ((1 + monthly) ** 12 - 1) * 100
        return AnnualRate(_rounded(nominal), _rounded(effective))


def cap_percent(legal_type: LegalType) -> Decimal:
    """
    Return the highest rate that may be asked, in per cent a year.

    Source: business rule of 24 %; private lending interpretation, articles 25 and 28
    (four times the LPR) for sales on credit.
    """
    if legal_type is LegalType.INSTALMENT_SALE:
        return min(BUSINESS_CAP_PERCENT, 4 * LPR_PERCENT)
    return BUSINESS_CAP_PERCENT


def require_below_cap(rate: AnnualRate, legal_type: LegalType) -> None:
    """Raise RateAboveCap if the higher of the two rates exceeds the cap."""
    cap = cap_percent(legal_type)
    if rate.higher_percent > cap:
        raise RateAboveCap(
            "The annualised rate is above the cap.",
            rate_percent=str(rate.higher_percent),
            cap_percent=str(cap),
        )


def rate_of(plan: PlanVersion) -> AnnualRate:
    """
    Return what *plan* costs in a year, and check it and its overdue penalty against the cap.

    The principal is what is really received on credit: the cash price less the down payment
    (Civil Code, article 670).

    Raises:
        RateAboveCap: The periods alone cost too much.
        OverduePenaltyForbidden, OverduePenaltyAboveCap: Being late would.
    """
    rate = annual_rate(plan.financed_fen, plan.amounts_fen)
    require_below_cap(rate, plan.legal_type)
    if plan.overdue_penalty is not None:
        _require_penalty(plan.overdue_penalty, rate, plan.legal_type)
    return rate


def _require_penalty(penalty: OverduePenalty, rate: AnnualRate, legal_type: LegalType) -> None:
    """
    Check an overdue penalty; a prepaid period that is missed is no debt at all.

    Source: private lending interpretation, articles 28 and 29: interest, late charge and any
    fee together never above four times the LPR.
    """
    per_mille = 1000
    sane = penalty.rate_ppm_per_day > 0 and penalty.grace_days >= 0
    if legal_type is LegalType.PREPAID or not sane or not 0 < penalty.cap_per_mille <= per_mille:
        raise OverduePenaltyForbidden("No such overdue penalty.", legal_type=legal_type)
    late_percent = Decimal(penalty.rate_ppm_per_day * 365) / 10_000
    cap = cap_percent(legal_type)
    if rate.higher_percent + late_percent > cap:
        raise OverduePenaltyAboveCap(
            "Interest and overdue penalty together are above the cap.",
            rate_percent=str(rate.higher_percent),
            penalty_percent=str(late_percent),
            cap_percent=str(cap),
        )


def _monthly(principal_fen: int, payments_fen: Sequence[int]) -> Decimal:
    if sum(payments_fen) <= principal_fen or principal_fen <= 0:
        return Decimal(0)
    low, high = Decimal(0), Decimal(10)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _present_value(payments_fen, middle) > principal_fen:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _present_value(payments_fen: Sequence[int], rate: Decimal) -> Decimal:
    factor = 1 / (1 + rate)
    value = Decimal(0)
    for payment in reversed(payments_fen):
        value = (value + payment) * factor
    return value


def _rounded(percent: Decimal) -> Decimal:
    return percent.quantize(_MILLI, rounding=ROUND_HALF_UP)
