"""Plans and their versions: drafts change, published ones never."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.signing.contract import StageBundle
from services.signing.domain.errors import PlanInvalid, PlanPublishedAlready
from shared.money import split_evenly

MAX_PERIODS: Final = 24
"""Longer plans are refused; usual are 12 to 24, at least 1."""


class LegalType(StrEnum):
    """What a plan is in law; it fixes which rules apply."""

    PREPAID = "prepaid"
    INSTALMENT_SALE = "instalment_sale"


class PlanKind(StrEnum):
    """What a plan sells."""

    MONTHLY_FOOD = "monthly_food"
    MEDICAL = "medical"
    PREMIUM_GOODS = "premium_goods"
    MULTI_PET = "multi_pet"
    SERVICE = "service"


class VersionState(StrEnum):
    """A version is written, then stands."""

    DRAFT = "draft"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of the price card: what it costs in the shop, and what inside the plan."""

    name: str
    list_price_fen: int
    deal_price_fen: int


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """
    The terms of a plan as they were at publication.

    ``total_fen`` is what all periods add up to; ``cash_price_fen`` what the same costs
    when paid at once; ``bundle_fen`` what each period's parcel costs out of the period's
    amount; ``credit_floor`` the score it asks for.
    """

    plan_id: UUID
    version: int
    merchant_id: UUID
    state: VersionState
    name: str
    species: str
    kind: PlanKind
    legal_type: LegalType
    periods: int
    total_fen: int
    cash_price_fen: int
    auto_ship: bool
    bundle_fen: int
    bundles: Sequence[StageBundle]
    price_card: Sequence[PriceLine]
    credit_floor: int
    use_of_money: str
    gifts: str
    published_at: datetime | None = None

    @property
    def amounts_fen(self) -> list[int]:
        """Return each period's amount; the last one takes the rounding."""
        return split_evenly(self.total_fen, self.periods)

    @property
    def monthly_fen(self) -> int:
        """Return the amount of every period but the last."""
        return self.amounts_fen[0]


def require_consistent(plan: PlanVersion) -> None:
    """
    Check that the figures of a plan fit each other before it is published.

    Raises:
        PlanInvalid: Too many periods, an item dearer than in the shop, a parcel that a
            period's amount cannot pay, or an auto-ship plan without a parcel.
    """
    if not 1 <= plan.periods <= MAX_PERIODS or plan.total_fen < plan.periods:
        raise PlanInvalid("Periods or total are out of bounds.", periods=plan.periods)
    if plan.bundle_fen > min(plan.amounts_fen):
        raise PlanInvalid("The parcel costs more than a period brings.", bundle_fen=plan.bundle_fen)
    if plan.auto_ship and not (plan.bundles and plan.bundle_fen):
        raise PlanInvalid("An auto-ship plan needs bundles and their price.")
    for line in plan.price_card:
        if line.deal_price_fen > line.list_price_fen:
            raise PlanInvalid("Dearer in the plan than in the shop.", item=line.name)


def require_draft(plan: PlanVersion) -> None:
    """Raise PlanPublishedAlready if *plan* stands already."""
    if plan.state is VersionState.PUBLISHED:
        raise PlanPublishedAlready(
            "A published version does not change.", plan_id=plan.plan_id, version=plan.version
        )
