"""What billing asks of a rail's bills, and what reading any of them shares."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from services.billing.domain.bill import (
    BillFault,
    BillRow,
    BillUnusable,
    RowBroken,
    RowFault,
)
from shared.calendar import CHINA

PACKED_MAX: Final = 1024**3
"""Bytes a bill may have as it is sent."""

UNPACKED_MAX: Final = 8 * 1024**3
"""Bytes a bill may have unpacked; a line has some 400."""

_NUMBER: Final = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
_YUAN: Final = re.compile(r"(-?)(\d{1,13})(?:\.(\d{1,8}))?")
_WIDE: Final = str.maketrans("（）　", "() ")


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bill is in this file, as it was sent, and is what the rail said it is."""

    file: Path


@dataclass(frozen=True, slots=True)
class NoBill:
    """The rail has no bill of that day: not yet, or nothing happened."""

    code: str


@dataclass(frozen=True, slots=True)
class NotFetched:
    """Nobody can say whether there is one; ask again later."""

    code: str


class BillSource(Protocol):
    """The bills of our account at one rail."""

    @property
    def account_no(self) -> str:
        """Return our account, by which bills of two accounts are kept apart."""
        ...

    async def fetch(self, day: date, directory: Path) -> Fetched | NoBill | NotFetched:
        """
        Download the bill of *day* into *directory*; asking again is always safe.

        Raises:
            BillUnusable: What came is not what the rail announced.
        """
        ...

    def read(self, file: Path) -> Iterator[BillRow]:
        """
        Yield the rows of a bill, one after another, and its totals; blocks while it reads.

        Raises:
            BillUnusable: It is not a bill of this rail.
        """
        ...


class Columns:
    """Where each wanted column of a header stands, by name."""

    def __init__(self, header: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> None:
        """
        Find, for each key of *wanted*, the first of its names that *header* has.

        Raises:
            BillUnusable: One is missing.
        """
        names = [name_of(text) for text in header]
        self.width = len(names)
        self.at: dict[str, int] = {}
        for key, choices in wanted.items():
            found = next((names.index(name) for name in choices if name in names), None)
            if found is None:
                raise BillUnusable(BillFault.MISSING_HEADER, choices[0])
            self.at[key] = found


def name_of(header: str) -> str:
    """Return a header as all editions of a bill write it: half-width brackets, no blanks."""
    return "".join(header.lstrip("\ufeff").translate(_WIDE).split())


@lru_cache(maxsize=65536)
def amount_fen(text: str) -> int:
    """
    Return the fen in a bill's amount of yuan, rounded half up where it has more decimals.

    Raises:
        RowBroken: It is no amount.
    """
    found = _YUAN.fullmatch(text)
    if found is None or not text.isascii():
        raise RowBroken(RowFault.AMOUNT)
    sign, whole, decimals = found.groups()
    digits = f"{decimals or '':0<3}"
    size = int(whole) * 100 + int(digits[:2]) + (1 if digits[2] >= "5" else 0)
    return -size if sign else size


def number_of(text: str) -> str:
    """
    Return *text* if it can be a number of an order.

    Raises:
        RowBroken: It cannot.
    """
    if not _NUMBER.fullmatch(text):
        raise RowBroken(RowFault.NUMBER)
    return text


def moment_of(text: str) -> datetime:
    """
    Return the instant that Beijing's clocks showed as *text*.

    Raises:
        RowBroken: It is no time.
    """
    try:
        return datetime.fromisoformat(text).replace(tzinfo=CHINA).astimezone(UTC)
    except ValueError as error:
        raise RowBroken(RowFault.TIME) from error
