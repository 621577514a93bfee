"""What an early end costs at most: one rule for who quotes it and for who carries it out."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, Protocol, assert_never

OF_UNPAID_PER_MILLE: Final = 100
"""A tenth of what is not yet due (the business's own promise; rule CR-11)."""

OF_LOSS_PER_MILLE: Final = 1300
"""A penalty above 130 % of the loss is excessive (contract interpretation, article 65)."""


class EndReason(StrEnum):
    """Why an agreement ends early; only the customer's own wish may cost anything (rule CR-12)."""

    CUSTOMER_WISH = "customer_wish"
    COOLING_OFF = "cooling_off"
    SEVEN_DAYS = "seven_days"
    PET_SICK = "pet_sick"
    PET_DISTEMPER = "pet_distemper"
    PET_DEAD = "pet_dead"
    PET_LOST = "pet_lost"
    INCAPABLE = "incapable"
    MERCHANT_FAULT = "merchant_fault"
    SHOP_CLOSED = "shop_closed"
    SHOP_MOVED = "shop_moved"
    TERMS_CHANGED = "terms_changed"
    OUT_OF_STOCK = "out_of_stock"
    OBLIGATIONS_TRANSFERRED = "obligations_transferred"
    LICENCE_LOST = "licence_lost"


class Cause(StrEnum):
    """On whose part the reason lies; it decides formula and interest."""

    CONSUMER = "consumer"
    NEUTRAL = "neutral"
    MERCHANT = "merchant"


class Line(Protocol):
    """One instalment of a schedule, as far as a penalty is concerned."""

    @property
    def seq(self) -> int:
        """Return the number of the period."""
        ...

    @property
    def due_on(self) -> date:
        """Return the agreed day."""
        ...

    @property
    def amount_fen(self) -> int:
        """Return the amount."""
        ...


@dataclass(frozen=True, slots=True)
class Penalty:
    """The lower of two legs, in fen; both are told, whichever counts."""

    of_unpaid_fen: int
    of_loss_fen: int
    free: bool

    @property
    def due_fen(self) -> int:
        """Return what is owed."""
        return 0 if self.free else min(self.of_unpaid_fen, self.of_loss_fen)


def not_yet_due_fen(lines: Iterable[Line], *, paid: Collection[int], today: date) -> int:
    """Return what is neither paid nor due by *today*; what is in doubt counts as paid."""
    return sum(line.amount_fen for line in lines if line.seq not in paid and line.due_on > today)


def penalty(reason: EndReason, *, cooling_off: bool, unpaid_fen: int, loss_fen: int) -> Penalty:
    """
    Return the penalty: the lower of 10 % of *unpaid_fen* and 130 % of *loss_fen*, or nothing.

    *loss_fen* is documented item by item, 0 if it is not.  Both legs are rounded down.

    Source: Civil Code, articles 584 and 585; contract interpretation, articles 64 and 65;
    prepayment interpretation, articles 12 to 14 (reasons that cost nothing).
    """
    return Penalty(
        unpaid_fen * OF_UNPAID_PER_MILLE // 1000,
        loss_fen * OF_LOSS_PER_MILLE // 1000,
        free=cooling_off or reason is not EndReason.CUSTOMER_WISH,
    )


def cause_of(reason: EndReason) -> Cause:
    """Return on whose part *reason* lies; a pet sold sick is the merchant's part."""
    match reason:
        case EndReason.CUSTOMER_WISH | EndReason.SEVEN_DAYS:
            return Cause.CONSUMER
        case EndReason.COOLING_OFF | EndReason.PET_DEAD | EndReason.PET_LOST | EndReason.INCAPABLE:
            return Cause.NEUTRAL
        case (
            EndReason.PET_SICK
            | EndReason.PET_DISTEMPER
            | EndReason.MERCHANT_FAULT
            | EndReason.SHOP_CLOSED
            | EndReason.SHOP_MOVED
            | EndReason.TERMS_CHANGED
            | EndReason.OUT_OF_STOCK
            | EndReason.OBLIGATIONS_TRANSFERRED
            | EndReason.LICENCE_LOST
        ):
            return Cause.MERCHANT
        case _:
            assert_never(reason)
