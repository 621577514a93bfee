"""What a treatment will cost, low, likely and high, and what that comes to in a plan's periods."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.signing.contract import SignedInstalment
from services.signing.domain.annual_rate import AnnualRate, rate_of
from services.signing.domain.credit_tiers import threshold_for
from services.signing.domain.errors import PlanInvalid, PlanNotMedical, ProcedurePriceInvalid
from services.signing.domain.plan import PlanKind, PlanVersion, require_consistent
from services.signing.domain.schedule import schedule
from shared.money import share_of


class Likelihood(StrEnum):
    """The three prices that a customer is told before the treatment."""

    LOW = "low"
    LIKELY = "likely"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class ProcedurePrice:
    """
    One line of a merchant's list, in fen.

    ``insurance_per_mille`` is the share an insurance pays of it; None where there is none.
    """

    merchant_id: UUID
    procedure: str
    species: str
    name: str
    low_fen: int
    likely_fen: int
    high_fen: int
    insurance_per_mille: int | None
    changed_at: datetime

    @property
    def costs_fen(self) -> dict[Likelihood, int]:
        """Return the three prices in order."""
        return {
            Likelihood.LOW: self.low_fen,
            Likelihood.LIKELY: self.likely_fen,
            Likelihood.HIGH: self.high_fen,
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """A plan's terms at one price: ``score`` is what credit would be asked for."""

    plan: PlanVersion
    instalments: list[SignedInstalment]
    rate: AnnualRate
    score: int


@dataclass(frozen=True, slots=True)
class Insured:
    """
    The same treatment with insurance; what is covered and one's own share are the price.

    ``terms`` are those of one's own share, None where it is too small for the plan's periods
    and is paid at once.
    """

    covered_fen: int
    own_fen: int
    terms: Terms | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One of the three prices and what it comes to, without and with insurance."""

    likelihood: Likelihood
    cost_fen: int
    terms: Terms
    insured: Insured | None


def require_ordered(price: ProcedurePrice) -> None:
    """Raise ProcedurePriceInvalid unless low, likely and high rise."""
    if not 0 < price.low_fen <= price.likely_fen <= price.high_fen:
        raise ProcedurePriceInvalid("Low, likely and high must rise.", procedure=price.procedure)


def at_cost(plan: PlanVersion, cost_fen: int) -> PlanVersion:
    """
    Return *plan* as it would be for a treatment that costs *cost_fen* when paid at once.

    What periods cost beyond the cash price keeps its proportion, half up to a fen; a plan
    without interest stays without it to the fen.  Goods are no part of a treatment.
    """
    total_fen = (2 * cost_fen * plan.total_fen + plan.cash_price_fen) // (2 * plan.cash_price_fen)
    return replace(
        plan,
        total_fen=total_fen,
        cash_price_fen=cost_fen,
        auto_ship=False,
        bundle_fen=0,
        bundles=(),
        price_card=(),
    )


def estimate(
    plan: PlanVersion, price: ProcedurePrice, *, charge_day: int, now: datetime
) -> list[Outcome]:
    """
    Return what each of the three prices comes to if it were signed within the hour.

    Raises:
        PlanNotMedical: The plan is for something else.
        RateAboveCap: At one of the prices the plan costs more than may be asked.
        PlanInvalid: One of the prices does not fit the plan's terms (subclasses with codes).
    """
    if plan.kind is not PlanKind.MEDICAL:
        raise PlanNotMedical("The plan is not for treatments.", kind=plan.kind)
    return [
        Outcome(
            likelihood,
            cost_fen,
            _terms(plan, cost_fen, charge_day, now),
            _insured(plan, cost_fen, price.insurance_per_mille, charge_day, now),
        )
        for likelihood, cost_fen in price.costs_fen.items()
    ]


def _terms(plan: PlanVersion, cost_fen: int, charge_day: int, now: datetime) -> Terms:
    version = at_cost(plan, cost_fen)
    require_consistent(version)
    rate, score = rate_of(version), threshold_for(version)
    return Terms(version, schedule(version.parts, charge_day=charge_day, now=now), rate, score)


def _insured(
    plan: PlanVersion, cost_fen: int, per_mille: int | None, charge_day: int, now: datetime
) -> Insured | None:
    if per_mille is None:
        return None
    covered_fen = share_of(cost_fen, per_mille=per_mille)
    own_fen = cost_fen - covered_fen
    try:
        terms = _terms(plan, own_fen, charge_day, now) if own_fen else None
    except PlanInvalid:
        terms = None
    return Insured(covered_fen, own_fen, terms)
