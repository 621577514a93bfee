"""
The escrow equation: what is held for a merchant's customers and for itself is what is owed.

rail + supervised = wallets + refunds + merchant:payable + merchant:guarantee + platform:fee
+ suppliers + partners - advance - promotion - rail fees nobody has borne yet.

The left side is money at a licensed institution.  On the right stand those it belongs to;
less what is promised but not covered by money here: an advance was paid to the merchant by
the partner itself, a promotion is bonus the merchant gave away, and a rail's fee borne by the
platform has left the rail.  An account that stands on no side is an error by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.wallet.domain import accounts as chart


class Standing(StrEnum):
    """Where an account stands in the equation."""

    HELD = "held"
    OWED = "owed"
    UNCOVERED = "uncovered"


_PREFIXES: Final[Mapping[str, Standing]] = {
    "rail:": Standing.HELD,
    "wallet:": Standing.OWED,
    "refund:": Standing.OWED,
    "supplier:": Standing.OWED,
    "partner:": Standing.OWED,
    "rail_fee:": Standing.UNCOVERED,
}
_CODES: Final[Mapping[str, Standing]] = {
    chart.SUPERVISED: Standing.HELD,
    chart.MERCHANT_PAYABLE: Standing.OWED,
    chart.GUARANTEE: Standing.OWED,
    chart.PLATFORM_FEE: Standing.OWED,
    chart.ADVANCE: Standing.UNCOVERED,
    chart.PROMOTION: Standing.UNCOVERED,
}


@dataclass(frozen=True, slots=True)
class Escrow:
    """Both sides, in fen, and the accounts that belong to neither."""

    held_fen: int
    owed_fen: int
    strangers: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Return whether the equation holds."""
        return self.held_fen == self.owed_fen and not self.strangers


def standing(code: str) -> Standing | None:
    """Return where the account *code* stands; None if the equation does not know it."""
    return _CODES.get(code) or _PREFIXES.get(code.split(":", 1)[0] + ":")


def equation(balances: Mapping[str, int]) -> Escrow:
    """Return both sides for one merchant's *balances*, each on its account's normal side."""
    sides = dict.fromkeys(Standing, 0)
    strangers = []
    for code, balance_fen in balances.items():
        side = standing(code)
        if side is None:
            strangers.append(code)
        else:
            sides[side] += balance_fen
    owed_fen = sides[Standing.OWED] - sides[Standing.UNCOVERED]
    return Escrow(sides[Standing.HELD], owed_fen, tuple(sorted(strangers)))
