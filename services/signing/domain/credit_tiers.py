"""
What a credit score permits: bands as data.

Providers answer yes or no at a threshold, so a plan asks for the one threshold it needs
and keeps it; probing several would get the interface disabled.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.signing.domain.errors import PlanInvalid
from services.signing.domain.plan import LegalType


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


def threshold_for(*, legal_type: LegalType, periods: int, floor: int) -> int:
    """
    Return the score a plan asks for: its own *floor*, or what its tier needs if higher.

    Prepaid plans give no credit, so the tiers do not bind them.

    Raises:
        PlanInvalid: No tier permits so many periods without a down payment.
    """
    if legal_type is LegalType.PREPAID:
        return floor
    for tier in TIERS:
        if periods <= tier.max_periods and tier.down_payment_per_mille == 0:
            return max(floor, tier.score)
    raise PlanInvalid("No credit tier permits so many periods.", periods=periods)


def judge(answer: Answer) -> CreditVerdict:
    """Return what follows: a score below or unknown is never a refusal by machine alone."""
    return CreditVerdict.ACCEPTED if answer is Answer.PASSED else CreditVerdict.REVIEW
