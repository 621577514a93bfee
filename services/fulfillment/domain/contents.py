"""What goes into a parcel: the bundle of the stage, wishes, allergies, substitutes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from services.fulfillment.domain.growth import ORDER, Stage


@dataclass(frozen=True, slots=True)
class Sku:
    """One thing the warehouse can send; *supply_cost_fen* is what it costs us."""

    sku: str
    name: str
    supply_cost_fen: int
    supplier: str
    ingredients: tuple[str, ...]
    allergens: tuple[str, ...]
    active: bool


@dataclass(frozen=True, slots=True)
class Substitute:
    """*by* may replace *sku* for those who signed after this was published."""

    sku: str
    by: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many of one SKU, as a plan's bundle says; *substitutes* are best first."""

    sku: str
    quantity: int
    substitutes: tuple[str, ...] = ()


class Why(StrEnum):
    """Why an item is in a parcel."""

    BUNDLE = "bundle"
    SWAP = "swap"
    ALLERGY = "allergy"
    SUBSTITUTE = "substitute"


@dataclass(frozen=True, slots=True)
class Item:
    """So many of one SKU in a parcel; *instead_of* is the bundle's SKU it replaces."""

    sku: str
    name: str
    quantity: int
    supply_cost_fen: int
    why: Why
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a parcel holds, and which SKUs of the bundle were left out for allergies."""

    items: tuple[Item, ...]
    omitted: tuple[str, ...] = ()

    @property
    def supply_cost_fen(self) -> int:
        """Return what the whole parcel costs us, in fen."""
        return sum(item.quantity * item.supply_cost_fen for item in self.items)


@dataclass(frozen=True, slots=True)
class Choice:
    """
    What may be chosen from: one merchant's catalogue, and one agreement's consents.

    *agreed*: the customer lets us choose a substitute; their own wish needs no such consent.
    """

    catalogue: Mapping[str, Sku]
    substitutes: Sequence[Substitute]
    signed_at: datetime
    allergies: tuple[str, ...] = ()
    agreed: bool = True

    def suits(self, sku: Sku) -> bool:
        """
        Return whether nothing in *sku* harms the pet.

        A word counts wherever it stands: who must not have chicken gets no chicken fat.
        """
        feared = {word for one in self.allergies if (word := _norm(one))}
        made_of = [_norm(word) for word in (*sku.allergens, *sku.ingredients)]
        return not any(fear in word for fear in feared for word in made_of)

    def ours_instead(self, sku: str) -> list[Sku]:
        """Return what we may send for *sku* without asking again, best first."""
        return self.allowed_instead(sku) if self.agreed else []

    def allowed_instead(self, sku: str) -> list[Sku]:
        """
        Return what may replace *sku*, best first: consented to, harmless, not dearer.

        The list of substitutes in force at the signature is part of what was signed;
        a later entry needs a later signature.
        """
        original = self.catalogue.get(sku)
        found = [
            self.catalogue[one.by]
            for one in self.substitutes
            if one.sku == sku and one.published_at <= self.signed_at and one.by in self.catalogue
        ]
        return [
            one
            for one in found
            if one.active
            and self.suits(one)
            and (original is None or one.supply_cost_fen <= original.supply_cost_fen)
        ]


def bundle_of(bundles: Mapping[Stage, Sequence[Wanted]], stage: Stage) -> Sequence[Wanted]:
    """
    Return the bundle for *stage*; a plan without it falls back to the nearest earlier one.

    A plan that begins later than *stage* gives its earliest bundle.
    """
    until = ORDER[: ORDER.index(stage) + 1]
    earlier = [bundles[one] for one in until if one in bundles]
    later = [bundles[one] for one in ORDER if one in bundles]
    return earlier[-1] if earlier else (later[0] if later else ())


def unknown_skus(
    bundle: Iterable[Wanted], swaps: Mapping[str, str], catalogue: Mapping[str, Sku]
) -> list[str]:
    """Return what the bundle needs and the catalogue does not have."""
    needed = {swaps.get(one.sku, one.sku) for one in bundle}
    return sorted(needed - set(catalogue))


def contents(bundle: Sequence[Wanted], swaps: Mapping[str, str], choice: Choice) -> Contents:
    """
    Return what to send: the bundle with the customer's *swaps*, safe for the pet.

    What would harm the pet is replaced by an allowed substitute, or left out.  Every
    SKU must be in the catalogue (see ``unknown_skus``).
    """
    items: list[Item] = []
    omitted: list[str] = []
    for wanted in bundle:
        item = _item(wanted, swaps.get(wanted.sku), choice.catalogue)
        if choice.suits(choice.catalogue[item.sku]):
            items.append(item)
            continue
        instead = choice.ours_instead(wanted.sku)
        if instead:
            items.append(_instead(item, instead[0], Why.ALLERGY))
        else:
            omitted.append(wanted.sku)
    return Contents(tuple(items), tuple(omitted))


def without_short(
    items: Sequence[Item], stock: Mapping[str, int], choice: Choice
) -> tuple[tuple[Item, ...] | None, list[tuple[str, str | None]]]:
    """
    Replace what the warehouse lacks by what it has and the agreement allows.

    Returns the new items, or None if something can only be waited for, and for each
    SKU that is short what replaces it (None: nothing does).
    """
    changed: list[Item] = []
    short: list[tuple[str, str | None]] = []
    for item in items:
        if stock.get(item.sku, 0) >= item.quantity:
            changed.append(item)
            continue
        fitting = [
            sku
            for sku in choice.ours_instead(item.instead_of or item.sku)
            if sku.sku != item.sku
            and sku.supply_cost_fen <= item.supply_cost_fen
            and stock.get(sku.sku, 0) >= item.quantity
        ]
        short.append((item.sku, fitting[0].sku if fitting else None))
        if fitting:
            changed.append(_instead(item, fitting[0], Why.SUBSTITUTE))
    return (tuple(changed) if len(changed) == len(items) else None), short


def swap_fault(
    sku: str, by: str, *, bundles: Mapping[Stage, Sequence[Wanted]], choice: Choice
) -> str | None:
    """
    Return why a customer may not have *by* instead of *sku*, or None if they may.

    Choice is among what was signed: substitutes of the SKU and the plan's other
    bundles, at the same or a lower price.
    """
    planned = {wanted.sku for bundle in bundles.values() for wanted in bundle}
    if sku not in planned:
        return "not-in-plan"
    old, new = choice.catalogue.get(sku), choice.catalogue.get(by)
    if old is None or new is None or not new.active:
        return "not-available"
    if not choice.suits(new):
        return "allergy"
    if new.supply_cost_fen > old.supply_cost_fen:
        return "dearer"
    if by not in planned and new not in choice.allowed_instead(sku):
        return "not-agreed"
    return None


def _item(wanted: Wanted, swapped: str | None, catalogue: Mapping[str, Sku]) -> Item:
    sku = catalogue[swapped or wanted.sku]
    item = Item(sku.sku, sku.name, wanted.quantity, sku.supply_cost_fen, Why.BUNDLE)
    return replace(item, why=Why.SWAP, instead_of=wanted.sku) if swapped else item


def _instead(item: Item, sku: Sku, why: Why) -> Item:
    return Item(
        sku.sku,
        sku.name,
        item.quantity,
        sku.supply_cost_fen,
        why,
        instead_of=item.instead_of or item.sku,
    )


def _norm(word: str) -> str:
    return word.strip().casefold()
