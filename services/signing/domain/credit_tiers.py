"""
What a credit score permits: bands as data.

Providers answer yes or no at a threshold, so a plan asks for the one threshold it needs
and keeps it; probing several would get the interface disabled.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.signing.domain.errors import FirstMonthNotFree, PlanInvalid
from services.signing.domain.offer import down_payment_per_mille
from services.signing.domain.plan import LegalType, PlanVersion


@dataclass(frozen=True)
class Tier:
    """From this score on: how long, with which down payment, first month without interest."""

    score: int
    max_periods: int
    down_payment_per_mille: int
    first_month_free: bool


TIERS: Final = (
    Tier(550, max_periods=6, down_payment_per_mille=300, first_month_free=False),
    Tier(600, max_periods=12, down_payment_per_mille=200, first_month_free=False),
    Tier(650, max_periods=12, down_payment_per_mille=0, first_month_free=True),
)
"""Half-open bands of the business; below the first, or unknown, a person decides."""

FLOOR: Final = TIERS[0].score

VALID_DAYS: Final = 30
"""How long an answer about one person counts."""


class Answer(StrEnum):
    """What the provider said at the threshold it was asked for."""

    PASSED = "passed"
    BELOW = "below"
    NO_SCORE = "no_score"


class CreditVerdict(StrEnum):
    """What follows from an answer."""

    ACCEPTED = "accepted"
    REVIEW = "review"


def threshold_for(plan: PlanVersion) -> int:
    """
    Return the score *plan* asks for: its own floor, or what its tier needs if higher.

    The lowest tier counts whose periods and down payment the plan keeps.  Prepaid plans give
    no credit, so the tiers do not bind them.

    Raises:
        PlanInvalid: No tier permits so many periods with this down payment.
        FirstMonthNotFree: The tier promises a first month without interest.
    """
    if plan.legal_type is LegalType.PREPAID:
        return plan.credit_floor
    put_down = down_payment_per_mille(plan.price, plan.offer)
    for tier in TIERS:
        if plan.periods <= tier.max_periods and tier.down_payment_per_mille <= put_down:
            return _granted(tier, plan)
    raise PlanInvalid("No credit tier permits so many periods.", periods=plan.periods)


def _granted(tier: Tier, plan: PlanVersion) -> int:
    owed = tier.first_month_free and plan.price.interest_fen > 0
    if owed and plan.offer.interest_free_months == 0:
        raise FirstMonthNotFree("The first month of this tier is without interest.")
    return max(plan.credit_floor, tier.score)


def judge(answer: Answer) -> CreditVerdict:
    """Return what follows: a score below or unknown is never a refusal by machine alone."""
    return CreditVerdict.ACCEPTED if answer is Answer.PASSED else CreditVerdict.REVIEW
