"""What an instalment's amount is made of."""

from collections.abc import Sequence
from typing import Final

from services.billing.domain.errors import LinesDiffer
from services.signing.contract import LineKind, SignedInstalment, SignedLine

GIVEN: Final = frozenset({LineKind.DISCOUNT, LineKind.FREE_MONTH, LineKind.FIRST_MONTH_HALF})
"""What the merchant gives away; it reaches the pet wallet as bonus."""

_INTEREST: Final = frozenset({LineKind.INTEREST, LineKind.INTEREST_FREE})


def lines_of(signed: SignedInstalment) -> tuple[SignedLine, ...]:
    """
    Return the lines of *signed*; an instalment without any is one line.

    Raises:
        LinesDiffer: They do not make its amount, or there is less than nothing to pay.
    """
    lines = signed.lines or (SignedLine(kind=LineKind.BASE, amount_fen=signed.amount_fen),)
    if sum(line.amount_fen for line in lines) != signed.amount_fen or signed.amount_fen < 0:
        raise LinesDiffer(
            "The lines do not make the amount.", seq=signed.seq, amount_fen=signed.amount_fen
        )
    return lines


def bonus_fen(lines: Sequence[SignedLine]) -> int:
    """Return what the merchant gives beside the amount."""
    return -sum(line.amount_fen for line in lines if line.kind in GIVEN)


def principal_fen(amount_fen: int, lines: Sequence[SignedLine]) -> int:
    """Return the part of *amount_fen* on which a penalty may be asked: not the interest in it."""
    interest_fen = sum(line.amount_fen for line in lines if line.kind in _INTEREST)
    return max(0, amount_fen - max(0, interest_fen))


EARLY_NOTE: Final = "early settlement"


def interest_ahead_fen(lines: Sequence[SignedLine]) -> int:
    """Return the interest in an amount, which is not asked when it is paid before its time."""
    return max(0, sum(line.amount_fen for line in lines if line.kind in _INTEREST))


def without_interest(lines: Sequence[SignedLine]) -> tuple[SignedLine, ...]:
    """Return *lines* with their interest taken off again, for an early settlement (rule CR-16)."""
    waived = SignedLine(
        kind=LineKind.INTEREST_FREE, amount_fen=-interest_ahead_fen(lines), note=EARLY_NOTE
    )
    return (*lines, waived)
