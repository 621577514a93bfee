"""Drafts as merchants send them: what they become, and how they may be wrong."""

from uuid import UUID

from services.signing.contract import OverduePenalty, StageBundle
from services.signing.contract.api import NewPlan
from services.signing.domain.errors import (
    DiscountTooLarge,
    DownPaymentTooLarge,
    FirstMonthNotFree,
    FreeMonthsInvalid,
    InterestFreeInvalid,
    OfferInvalid,
    OffersCollide,
    OverduePenaltyAboveCap,
    OverduePenaltyForbidden,
    PlanInvalid,
    PlanUnknown,
    RateAboveCap,
)
from services.signing.domain.offer import Offer
from services.signing.domain.plan import (
    Clause,
    LegalType,
    PlanKind,
    PlanVersion,
    PriceLine,
    SalesText,
    VersionState,
)

OFFER_PROBLEMS = (
    OfferInvalid,
    DownPaymentTooLarge,
    FreeMonthsInvalid,
    InterestFreeInvalid,
    OffersCollide,
    DiscountTooLarge,
)
"""How an offer cannot be kept; nothing can be said of the rest then."""

DRAFT_PROBLEMS = (
    PlanInvalid,
    RateAboveCap,
    *OFFER_PROBLEMS,
    FirstMonthNotFree,
    OverduePenaltyForbidden,
    OverduePenaltyAboveCap,
)


def known_version(version: int) -> int:
    """Versions are small numbers; anything else is unknown, not an overflow."""
    if not 0 < version < 2**31:
        raise PlanUnknown("No such version of a plan.", version=version)
    return version


def draft_of(body: NewPlan, *, merchant_id: UUID, plan_id: UUID) -> PlanVersion:
    """Return what a merchant sent as the draft that it is."""
    return PlanVersion(
        plan_id=plan_id,
        version=1,
        merchant_id=merchant_id,
        state=VersionState.DRAFT,
        name=body.name,
        species=body.species,
        kind=PlanKind(body.kind),
        legal_type=LegalType(body.legal_type),
        periods=body.periods,
        total_fen=body.sum_fen,
        cash_price_fen=body.cash_price_fen or body.sum_fen,
        auto_ship=body.auto_ship,
        bundle_fen=body.bundle_fen,
        bundles=[StageBundle.model_validate(bundle.model_dump()) for bundle in body.bundles],
        price_card=[PriceLine(**line.model_dump()) for line in body.price_card],
        credit_floor=body.credit_floor,
        use_of_money=body.use_of_money,
        gifts=body.gifts,
        offer=Offer(**body.offer.model_dump()),
        overdue_penalty=_penalty(body),
        clauses=[Clause(**clause.model_dump()) for clause in body.clauses],
        sales_copy=[SalesText(**text.model_dump()) for text in body.sales_copy],
    )


def _penalty(body: NewPlan) -> OverduePenalty | None:
    if body.overdue_penalty is None:
        return None
    return OverduePenalty.model_validate(body.overdue_penalty.model_dump())
