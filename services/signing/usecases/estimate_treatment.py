"""What a treatment will come to in a plan's periods, before it begins."""

from dataclasses import dataclass
from uuid import UUID

from services.signing.contract import Rail
from services.signing.deps import Deps
from services.signing.domain.medical_estimate import Outcome, ProcedurePrice, estimate
from services.signing.domain.merchant import payee_of
from services.signing.domain.plan import PlanVersion
from services.signing.domain.schedule import require_chargeable
from services.signing.store import procedure_prices


@dataclass(frozen=True, slots=True)
class Asked:
    """Which treatment, in which plan's periods, on which rail and day."""

    procedure: str
    species: str
    plan_id: UUID
    plan_version: int
    rail: Rail
    charge_day: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The line of the list, the plan, and the three outcomes."""

    price: ProcedurePrice
    plan: PlanVersion
    outcomes: list[Outcome]


async def estimate_treatment(deps: Deps, asked: Asked, *, merchant_id: UUID) -> Estimate:
    """
    Return low, likely and high with every period; writes nothing.

    Raises:
        ProcedureUnknown, PlanUnknown: Not this merchant's.
        PlanNotMedical, PlanInvalid, RateAboveCap, RailNotForMerchant, ChargeDayNotOnRail,
            AmountAboveRail: One of the three could not be signed so.
    """
    async with deps.db.connection() as conn:
        price = await procedure_prices.read(
            conn, asked.procedure, asked.species, merchant_id=merchant_id
        )
    merchant = await deps.quotes.merchant(merchant_id)
    plan = await deps.quotes.plan(asked.plan_id, asked.plan_version, merchant_id=merchant_id)
    payee_of(merchant, asked.rail, offers=deps.offers)
    outcomes = estimate(plan, price, charge_day=asked.charge_day, now=deps.clock.now())
    require_chargeable(
        asked.rail,
        charge_day=asked.charge_day,
        amounts_fen=[fen for one in outcomes for fen in one.terms.plan.amounts_fen],
        offers=deps.offers,
    )
    return Estimate(price, plan, outcomes)
