"""
Who pays for what is bought in the shop: lots, in which order they are drawn, and the way back.

A lot is what one instalment brought into one purse.  Lots are used first in, first out, and
what comes back goes to the lot that was used last: so what is left of each follows from the
credits and from how much of their purse is free, and nothing more need be remembered.
Bonus goes first, then principal; a return gives principal back first, as far as principal
was taken, then bonus.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.wallet.contract.states import Category, RedemptionState
from services.wallet.domain.accounts import Purse
from services.wallet.domain.ledger import Ledger
from shared.ids import derived_id
from shared.money import share_of


@dataclass(frozen=True, slots=True)
class Credit:
    """What one instalment once brought into one purse, in fen."""

    agreement_id: UUID
    cause_id: UUID
    purse: Purse
    amount_fen: int
    credited_at: datetime


@dataclass(frozen=True, slots=True)
class Lot:
    """A credit, and what of it is free."""

    agreement_id: UUID
    cause_id: UUID
    purse: Purse
    amount_fen: int
    left_fen: int
    credited_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """What a redemption took from one agreement, in fen, and what of it went back."""

    agreement_id: UUID
    part_id: UUID
    n: int
    principal_fen: int
    bonus_fen: int
    fee_fen: int
    returned_principal_fen: int = 0
    returned_bonus_fen: int = 0
    returned_fee_fen: int = 0

    @property
    def return_id(self) -> UUID:
        """Return the cause of the transfers by which it goes back: there is one."""
        return derived_id("return", self.part_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """One consumed code: what was bought, and what became of it."""

    merchant_id: UUID
    redemption_id: UUID
    code_id: UUID
    customer_id: UUID
    amount_fen: int
    category: Category
    clerk: str
    accepted_at: datetime
    booked_at: datetime
    state: RedemptionState = RedemptionState.BOOKED
    bonus_fen: int = 0
    fee_fen: int = 0
    missing_fen: int = 0
    service_code: str | None = None
    store_id: UUID | None = None
    device_id: UUID | None = None
    return_id: UUID | None = None
    returned_fen: int = 0
    returned_bonus_fen: int = 0
    returned_at: datetime | None = None
    return_reason: str | None = None


def lots_of(ledgers: Iterable[Ledger], credits_: Iterable[Credit]) -> list[Lot]:
    """Return every credit with what is free of it, in the order in which they are drawn."""
    free = {
        (ledger.agreement_id, purse): amount_fen
        for ledger in ledgers
        for purse, amount_fen in (
            (Purse.PRINCIPAL, ledger.unspent_fen),
            (Purse.BONUS, ledger.bonus_unspent_fen),
        )
    }
    lots = []
    for credit in sorted(credits_, key=_order, reverse=True):
        key = (credit.agreement_id, credit.purse)
        left_fen = min(credit.amount_fen, free.get(key, 0))
        free[key] = free.get(key, 0) - left_fen
        lots.append(
            Lot(
                credit.agreement_id,
                credit.cause_id,
                credit.purse,
                credit.amount_fen,
                left_fen,
                credit.credited_at,
            )
        )
    return sorted(lots, key=lambda lot: (lot.purse is not Purse.BONUS, *_order(lot)))


def draw(
    lots: Sequence[Lot], amount_fen: int, *, redemption_id: UUID, fee_fen: int
) -> list[Part] | None:
    """
    Return what each agreement pays of *amount_fen*, or None if the lots do not suffice.

    Lots are drawn in their order.  The fee is laid on the parts pro rata, to the fen.
    """
    drawn: dict[UUID, dict[Purse, int]] = {}
    left_fen = amount_fen
    for lot in lots:
        take_fen = min(left_fen, lot.left_fen)
        if take_fen:
            purses = drawn.setdefault(lot.agreement_id, {Purse.BONUS: 0, Purse.PRINCIPAL: 0})
            purses[lot.purse] += take_fen
            left_fen -= take_fen
    if left_fen:
        return None
    parts, sum_fen = [], 0
    for n, (agreement_id, purses) in enumerate(drawn.items(), start=1):
        before_fen, sum_fen = sum_fen, sum_fen + sum(purses.values())
        parts.append(
            Part(
                agreement_id=agreement_id,
                part_id=derived_id("redemption part", redemption_id, agreement_id),
                n=n,
                principal_fen=purses[Purse.PRINCIPAL],
                bonus_fen=purses[Purse.BONUS],
                fee_fen=fee_fen * sum_fen // amount_fen - fee_fen * before_fen // amount_fen,
            )
        )
    return parts


def fee_of(amount_fen: int, *, per_mille: int) -> int:
    """Return the platform's share of a redemption; the merchant bears it."""
    return share_of(amount_fen, per_mille=per_mille)


def give_back(parts: Sequence[Part], amount_fen: int) -> list[Part]:
    """
    Return *parts* after *amount_fen* of them went back: principal first, the last drawn first.

    The fee of what goes back goes back with it, rounded down; of a whole part, all of it.

    Raises:
        ValueError: It is more than was taken, or not positive.
    """
    if not 0 < amount_fen <= sum(part.principal_fen + part.bonus_fen for part in parts):
        raise ValueError(f"Cannot return {amount_fen} fen")
    left_fen = amount_fen
    back: dict[int, dict[Purse, int]] = {part.n: {} for part in parts}
    backwards = sorted(parts, key=lambda part: -part.n)
    for purse in (Purse.PRINCIPAL, Purse.BONUS):
        for part in backwards:
            taken_fen = part.bonus_fen if purse is Purse.BONUS else part.principal_fen
            back[part.n][purse] = min(left_fen, taken_fen)
            left_fen -= back[part.n][purse]
    return [
        replace(
            part,
            returned_principal_fen=back[part.n][Purse.PRINCIPAL],
            returned_bonus_fen=back[part.n][Purse.BONUS],
            returned_fee_fen=part.fee_fen
            * sum(back[part.n].values())
            // (part.principal_fen + part.bonus_fen),
        )
        for part in sorted(parts, key=lambda part: part.n)
    ]


def spent(ledgers: Mapping[UUID, Ledger], parts: Iterable[Part]) -> list[Ledger]:
    """Return the ledgers that *parts* were drawn from, after that; by agreement."""
    return [
        replace(
            ledgers[part.agreement_id],
            spent_fen=ledgers[part.agreement_id].spent_fen + part.principal_fen,
            bonus_spent_fen=ledgers[part.agreement_id].bonus_spent_fen + part.bonus_fen,
        )
        for part in parts
    ]


def unspent(ledgers: Mapping[UUID, Ledger], parts: Iterable[Part]) -> list[Ledger]:
    """Return the ledgers that *parts* gave something back to, after that."""
    return [
        replace(
            ledgers[part.agreement_id],
            spent_fen=ledgers[part.agreement_id].spent_fen - part.returned_principal_fen,
            bonus_spent_fen=ledgers[part.agreement_id].bonus_spent_fen - part.returned_bonus_fen,
        )
        for part in parts
        if part.returned_principal_fen or part.returned_bonus_fen
    ]


def _order(of: Credit | Lot) -> tuple[datetime, str, str]:
    return (of.credited_at, str(of.agreement_id), str(of.cause_id))
