"""Numbers under which rails know our charges and refunds: pure functions of what they are about."""

from typing import Final
from uuid import UUID

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UUID_WIDTH: Final = 25  # 36**25 > 2**128
SEQ_MAX: Final = 36**2 - 1
ATTEMPT_MAX: Final = 36**3 - 1


def trade_no(agreement_id: UUID, seq: int, attempt_no: int) -> str:
    """
    Return the trade number of one attempt: 32 of ``[0-9A-Z]``, which every rail takes.

    Raises:
        ValueError: *seq* or *attempt_no* does not fit.
    """
    if not (0 <= seq <= SEQ_MAX and 1 <= attempt_no <= ATTEMPT_MAX):
        raise ValueError(f"No trade number for period {seq}, attempt {attempt_no}")
    return f"YF{_base36(agreement_id.int, _UUID_WIDTH)}{_base36(seq, 2)}{_base36(attempt_no, 3)}"


def refund_no(refund_id: UUID) -> str:
    """Return the refund number: 26 of ``[0-9A-Z]``."""
    return f"R{_base36(refund_id.int, _UUID_WIDTH)}"


def _base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
