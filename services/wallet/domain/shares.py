"""Who gets what of a parcel that was paid."""

from dataclasses import dataclass
from typing import Final

from shared.money import share_of

WHOLE_PER_MILLE: Final = 1000


@dataclass(frozen=True, slots=True)
class Shares:
    """What the platform, the supplier and the merchant earn; together the whole, in fen."""

    fee_fen: int
    supply_fen: int
    merchant_fen: int


def split_sale(amount_fen: int, *, supply_cost_fen: int, fee_per_mille: int) -> Shares:
    """
    Split *amount_fen* so that the shares add up to it exactly.

    The platform's fee comes first, rounded half up; the supplier gets its cost as far as
    that leaves it; the merchant gets the rest.

    Raises:
        ValueError: An amount is negative, or the fee is not between 0 and 1000.
    """
    if amount_fen < 0 or supply_cost_fen < 0 or not 0 <= fee_per_mille <= WHOLE_PER_MILLE:
        raise ValueError(f"Cannot split {amount_fen} at {supply_cost_fen} and {fee_per_mille}")
    fee_fen = share_of(amount_fen, per_mille=fee_per_mille)
    supply_fen = min(supply_cost_fen, amount_fen - fee_fen)
    return Shares(fee_fen, supply_fen, amount_fen - fee_fen - supply_fen)
