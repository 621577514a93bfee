"""Money is a whole number of fen; nothing here or elsewhere uses a float."""

import re
from typing import NewType

Fen = NewType("Fen", int)

_YUAN = re.compile(r"-?\d{1,15}\.\d{2}")


def split_evenly(total_fen: int, parts: int) -> list[int]:
    """
    Split *total_fen* into *parts* amounts in fen that add up to it exactly.

    All parts are equal but the last, which takes the rounding: 500000 fen in
    12 parts are eleven times 41666 and once 41674.

    Raises:
        ValueError: *parts* is not positive, or *total_fen* is negative.
    """
    if parts < 1 or total_fen < 0:
        raise ValueError(f"Cannot split {total_fen} fen into {parts} parts")
    each = total_fen // parts
    return [each] * (parts - 1) + [total_fen - each * (parts - 1)]


def share_of(amount_fen: int, *, per_mille: int) -> int:
    """Return *per_mille* thousandths of *amount_fen*, rounded half up to a fen."""
    return (amount_fen * per_mille + 500) // 1000


def yuan(amount_fen: int) -> str:
    """Return *amount_fen* as the rails write it: yuan with two decimals."""
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}{abs(amount_fen) // 100}.{abs(amount_fen) % 100:02d}"


def fen(amount_yuan: str) -> int:
    """
    Return the fen in *amount_yuan*, a decimal text such as ``88.00``.

    Raises:
        ValueError: The text is not a number with exactly two decimals.
    """
    if not _YUAN.fullmatch(amount_yuan):
        raise ValueError(f"Not an amount in yuan: {amount_yuan!r}")
    return int(amount_yuan.replace(".", ""))
