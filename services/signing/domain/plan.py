"""Plans and their versions: drafts change, published ones never."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.signing.contract import OverduePenalty, StageBundle
from services.signing.domain.errors import PlanInvalid, PlanPublishedAlready
from services.signing.domain.offer import (
    INTEREST,
    NO_OFFER,
    Offer,
    Part,
    Price,
    down_payment_fen,
    parts,
    require_offer,
)

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
class Clause:
    """One clause that the merchant adds to the agreement; a title may be empty."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class SalesText:
    """What the merchant says of a plan where it sells: a poster, a script, a page."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """
    The terms of a plan as they were at publication.

    ``total_fen`` is what all periods and the down payment add up to before anything of the
    offer is given; ``cash_price_fen`` what the same costs when paid at once; ``bundle_fen``
    what each period's parcel costs out of what the period brings; ``credit_floor`` the score
    it asks for.
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
    offer: Offer = NO_OFFER
    overdue_penalty: OverduePenalty | None = None
    clauses: Sequence[Clause] = ()
    sales_copy: Sequence[SalesText] = ()

    @property
    def price(self) -> Price:
        """Return what it costs before anything is given."""
        return Price(self.total_fen, self.cash_price_fen, self.periods)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return every instalment with its lines, the down payment first if there is one."""
        return parts(self.price, self.offer)

    @property
    def amounts_fen(self) -> list[int]:
        """Return what each period costs, without the down payment; free months cost 0."""
        return [part.amount_fen for part in self.parts if part.seq > 0]

    @property
    def down_payment_fen(self) -> int:
        """Return what the customer pays before the first period, 0 if nothing."""
        return down_payment_fen(self.price, self.offer)

    @property
    def financed_fen(self) -> int:
        """Return what is bought on credit: the cash price less the down payment."""
        return self.cash_price_fen - self.down_payment_fen

    @property
    def payable_fen(self) -> int:
        """Return what the customer pays in all."""
        return sum(part.amount_fen for part in self.parts)

    @property
    def interest_fen(self) -> int:
        """Return what paying in periods really costs, less what is free of interest."""
        lines = [line for part in self.parts for line in part.lines]
        return sum(line.amount_fen for line in lines if line.kind in INTEREST)

    @property
    def monthly_fen(self) -> int:
        """Return the amount of every period but the last, before anything is given."""
        first = next(part for part in self.parts if part.seq == 1)
        return sum(line.amount_fen for line in first.lines if line.amount_fen > 0)


def require_consistent(plan: PlanVersion) -> None:
    """
    Check that the figures of a plan fit each other before it is published.

    Raises:
        PlanInvalid: Too many periods, an item dearer than in the shop, a parcel that what a
            period brings cannot pay, an auto-ship plan without a parcel, or an offer that
            cannot be kept (subclasses with codes of their own).
    """
    if not 1 <= plan.periods <= MAX_PERIODS or plan.total_fen < plan.periods:
        raise PlanInvalid("Periods or total are out of bounds.", periods=plan.periods)
    require_offer(plan.price, plan.offer)
    if plan.bundle_fen > min(part.amount_fen + part.bonus_fen for part in plan.parts if part.seq):
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
