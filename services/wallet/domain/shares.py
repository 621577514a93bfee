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


def bonus_part(shares: Shares, bonus_fen: int) -> Shares:
    """
    Return how much of each share was paid by bonus, pro rata; together *bonus_fen* exactly.

    No part exceeds its share: the cuts are made on the running sum.

    Raises:
        ValueError: *bonus_fen* is not between 0 and the whole.
    """
    whole_fen = shares.fee_fen + shares.supply_fen + shares.merchant_fen
    if not 0 <= bonus_fen <= whole_fen:
        raise ValueError(f"No {bonus_fen} fen of bonus in {whole_fen}")
    if not bonus_fen:
        return Shares(0, 0, 0)
    fee_fen = shares.fee_fen * bonus_fen // whole_fen
    both_fen = (shares.fee_fen + shares.supply_fen) * bonus_fen // whole_fen
    return Shares(fee_fen, both_fen - fee_fen, bonus_fen - both_fen)
