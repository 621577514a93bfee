"""What a plan gives and asks beside its even amounts, and the lines that follow for each period."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.signing.contract import LineKind, SignedLine
from services.signing.domain.errors import (
    DiscountTooLarge,
    DownPaymentTooLarge,
    FreeMonthsInvalid,
    InterestFreeInvalid,
    OfferInvalid,
    OffersCollide,
)
from shared.money import share_of, split_evenly

ROUNDINGS_FEN: Final = frozenset({1, 100})
"""
Periods are even to the fen, or to the whole yuan; the last one takes the rest.

Source: consumer law, article 20: what is called free of interest makes the price to the fen.
"""

REMEMBERED: Final = 1024
"""Price lists whose parts are kept: a quote needs them half a dozen times."""

GIVEN: Final = frozenset({LineKind.DISCOUNT, LineKind.FREE_MONTH, LineKind.FIRST_MONTH_HALF})
"""What the merchant gives away: it reaches the pet wallet as bonus."""

INTEREST: Final = frozenset({LineKind.INTEREST, LineKind.INTEREST_FREE})
"""What an instalment costs beyond the cash price, and what is let off of it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """
    What a plan version gives and asks; nothing by default.

    ``discount_fen`` is off each period, ``free_periods`` are the numbers of those that cost
    nothing, ``interest_free_months`` the first so many without interest.  A down payment is
    a share of the cash price or a fixed amount.  ``round_to_fen`` 100 makes periods whole
    yuan, half up.
    """

    discount_fen: int = 0
    free_periods: Sequence[int] = ()
    first_month_half: bool = False
    interest_free_months: int = 0
    down_payment_fen: int = 0
    down_payment_per_mille: int = 0
    round_to_fen: int = 1

    def __post_init__(self) -> None:
        """Hold the numbers in a tuple, so that what follows from an offer can be remembered."""
        object.__setattr__(self, "free_periods", tuple(self.free_periods))


NO_OFFER: Final = Offer()


@dataclass(frozen=True, slots=True)
class Price:
    """What all periods and the down payment cost before anything is given, in fen."""

    total_fen: int
    cash_price_fen: int
    periods: int

    @property
    def interest_fen(self) -> int:
        """Return what paying in periods costs more than paying at once."""
        return max(0, self.total_fen - self.cash_price_fen)


@dataclass(frozen=True, slots=True)
class Part:
    """One instalment without its date: ``seq`` 0 is the down payment; the lines make the sum."""

    seq: int
    lines: tuple[SignedLine, ...]

    @property
    def amount_fen(self) -> int:
        """Return what the customer pays."""
        return sum(line.amount_fen for line in self.lines)

    @property
    def bonus_fen(self) -> int:
        """Return what the merchant gives beside it."""
        return -sum(line.amount_fen for line in self.lines if line.kind in GIVEN)


def down_payment_fen(price: Price, offer: Offer) -> int:
    """Return the down payment: the fixed amount, or the share of the cash price, half up."""
    if offer.down_payment_fen:
        return offer.down_payment_fen
    return share_of(price.cash_price_fen, per_mille=offer.down_payment_per_mille)


def down_payment_per_mille(price: Price, offer: Offer) -> int:
    """Return the share of the cash price that is put down, rounded down."""
    if offer.down_payment_per_mille:
        return offer.down_payment_per_mille
    return offer.down_payment_fen * 1000 // price.cash_price_fen


@lru_cache(maxsize=REMEMBERED)
def parts(price: Price, offer: Offer) -> tuple[Part, ...]:
    """
    Return every instalment in order; before anything is given they add up to the total.

    The last period absorbs the rounding, of the amount and of the interest in it.
    """
    down_fen = down_payment_fen(price, offer)
    amounts = _split(price.total_fen - down_fen, price.periods, offer.round_to_fen)
    interest = split_evenly(price.interest_fen, price.periods)
    down = [Part(0, (SignedLine(kind=LineKind.BASE, amount_fen=down_fen, note="首付款"),))]
    periods = (
        Part(seq, _lines(seq, amount_fen - interest_fen, interest_fen, offer))
        for seq, (amount_fen, interest_fen) in enumerate(zip(amounts, interest, strict=True), 1)
    )
    return (*(down if down_fen else ()), *periods)


def require_offer(price: Price, offer: Offer) -> None:
    """
    Refuse an offer that cannot be kept, or that promises nothing.

    Raises:
        OfferInvalid: A number is negative, or the down payment is named twice.
        DownPaymentTooLarge: Nothing would be left for the periods.
        FreeMonthsInvalid: A number that is no period, or no period that is paid.
        InterestFreeInvalid: More months than there are, or there is no interest at all.
        OffersCollide: The first month is to be half and free.
        DiscountTooLarge: A period would cost nothing, or less.
    """
    _require_sane(price, offer)
    _require_months(price, offer)
    for part in parts(price, offer):
        free = part.seq in offer.free_periods
        if not free and (part.amount_fen <= 0 or part.lines[0].amount_fen <= 0):
            raise DiscountTooLarge(
                "A period would cost nothing.", seq=part.seq, amount_fen=part.amount_fen
            )


def _require_sane(price: Price, offer: Offer) -> None:
    numbers = (
        offer.discount_fen,
        offer.interest_free_months,
        offer.down_payment_fen,
        offer.down_payment_per_mille,
    )
    if min(numbers) < 0 or offer.round_to_fen not in ROUNDINGS_FEN:
        raise OfferInvalid("A number of the offer is out of bounds.")
    if offer.down_payment_fen and offer.down_payment_per_mille:
        raise OfferInvalid("A down payment is a share or an amount, not both.")
    down_fen = down_payment_fen(price, offer)
    if down_fen and down_fen > min(price.total_fen, price.cash_price_fen) - price.periods:
        raise DownPaymentTooLarge(
            "The down payment leaves nothing for the periods.",
            down_payment_fen=down_fen,
            total_fen=price.total_fen,
        )


def _require_months(price: Price, offer: Offer) -> None:
    free = set(offer.free_periods)
    strange = free - set(range(1, price.periods + 1))
    if strange or len(free) != len(offer.free_periods) or len(free) >= price.periods:
        raise FreeMonthsInvalid(
            "Free months are some of the periods, each once.", periods=price.periods
        )
    if offer.first_month_half and 1 in free:
        raise OffersCollide("The first month cannot be half and free.")
    months = offer.interest_free_months
    if months and (months > price.periods or not price.interest_fen):
        raise InterestFreeInvalid(
            "Nothing to be free of interest.", interest_free_months=months, periods=price.periods
        )


def _lines(seq: int, base_fen: int, interest_fen: int, offer: Offer) -> tuple[SignedLine, ...]:
    lines = [SignedLine(kind=LineKind.BASE, amount_fen=base_fen)]

    def take(kind: LineKind, amount_fen: int, note: str) -> None:
        if amount_fen:
            lines.append(SignedLine(kind=kind, amount_fen=amount_fen, note=note))

    free = seq in offer.free_periods
    take(LineKind.INTEREST, interest_fen, "")
    if free or seq <= offer.interest_free_months:
        take(LineKind.INTEREST_FREE, -interest_fen, f"第{seq}期免息")
    if free:
        take(LineKind.FREE_MONTH, -base_fen, f"第{seq}期免收")
        return tuple(lines)
    take(LineKind.DISCOUNT, -offer.discount_fen, "每期优惠")
    if seq == 1 and offer.first_month_half:
        asked_fen = sum(line.amount_fen for line in lines)
        take(LineKind.FIRST_MONTH_HALF, asked_fen // 2 - asked_fen, "首月半价")
    return tuple(lines)


def _split(total_fen: int, periods: int, unit_fen: int) -> list[int]:
    """Return even amounts in whole units, half up; the last one takes the rest."""
    if unit_fen == 1:
        return split_evenly(total_fen, periods)
    step = periods * unit_fen
    each = (2 * total_fen + step) // (2 * step) * unit_fen
    return [each] * (periods - 1) + [total_fen - each * (periods - 1)]
