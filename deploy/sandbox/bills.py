"""What the simulated rails' bills share: whose day a row is on, the fee, and what goes wrong."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from deploy.sandbox.kit import Doc, Fault, FaultKind
from deploy.sandbox.kit_books import Books
from shared.calendar import at_in_china, day_in_china
from shared.ids import new_id
from shared.money import share_of

FEE_PER_MILLE: Final = 6
"""What a rail keeps of a charge, in thousandths: 0.6 percent, as standard contracts have it."""

BOOKED_LATE: Final = timedelta(minutes=1)
"""Trades of the day's last minute stand in the next day's bill."""

READY_HOUR: Final = 9
"""Hour in China from which the bill of the day before can be fetched."""

LINKS: Final = 8
"""Download links kept at once; each is valid for half a minute of business time."""

LINK_AGE: Final = timedelta(seconds=30)

FAULTS: Final = 20
_OF_FILES: Final = frozenset(
    {
        FaultKind.MISSING_LINE,
        FaultKind.BROKEN_ROW,
        FaultKind.UNKNOWN_NUMBER,
        FaultKind.DUPLICATE,
        FaultKind.WRONG_AMOUNT,
        FaultKind.WRONG_TOTAL,
        FaultKind.BAD_SIGNATURE,
    }
)


@dataclass(frozen=True)
class Row:
    """One row of a bill, before it is written; amounts in fen."""

    trade_no: str
    out_trade_no: str
    account: str
    amount_fen: int
    fee_fen: int
    at: datetime
    refund_no: str = ""
    refund_trade_no: str = ""
    broken: bool = False


@dataclass(frozen=True)
class Bill:
    """The rows of a day, and how far its totals are from them in fen."""

    rows: tuple[Row, ...]
    off_fen: int = 0


def bill_day(moment: datetime) -> date:
    """Return the day in whose bill something of *moment* stands."""
    return day_in_china(moment + BOOKED_LATE)


def ready(day: date, now: datetime) -> bool:
    """Return whether the bill of *day* is made."""
    return now >= at_in_china(day + timedelta(days=1), READY_HOUR)


def charges_of(captures: Iterable[Doc], merchant: str, day: date) -> list[Row]:
    """Return the charges of a merchant's day, with the fee on each."""
    return [
        Row(
            row["trade_no"],
            row["out_trade_no"],
            row["account"],
            row["amount_fen"],
            share_of(row["amount_fen"], per_mille=FEE_PER_MILLE),
            datetime.fromisoformat(row["at"]),
        )
        for row in captures
        if row["merchant"] == merchant and bill_day(datetime.fromisoformat(row["at"])) == day
    ]


def faults_of(take: Callable[[], Fault | None]) -> list[Fault]:
    """Take every step of the scripts that is meant for this file."""
    found: list[Fault] = []
    while len(found) < FAULTS and (fault := take()) is not None:
        found.append(fault)
        if fault.kind not in _OF_FILES:
            break
    return found


def spoil(rows: list[Row], faults: Iterable[Fault]) -> Bill:
    """Return the bill with what the scripts want wrong in it; totals follow the rows."""
    off_fen = 0
    for fault in faults:
        match fault.kind:
            case FaultKind.MISSING_LINE:
                rows = rows[1:]
            case FaultKind.BROKEN_ROW:
                rows = [replace(rows[0], broken=True), *rows[1:]]
            case FaultKind.UNKNOWN_NUMBER:
                number = f"YF{new_id().hex[:28].upper()}"
                rows = [*rows, replace(rows[-1], out_trade_no=number, refund_no="", fee_fen=0)]
            case FaultKind.DUPLICATE:
                rows = [*rows, rows[0]]
            case FaultKind.WRONG_AMOUNT:
                rows = [replace(rows[0], amount_fen=rows[0].amount_fen + 1), *rows[1:]]
            case FaultKind.WRONG_TOTAL:
                off_fen += 1
            case _:
                continue
    return Bill(tuple(rows), off_fen)


class Links:
    """Download links, forgotten by themselves; a restart forgets them all."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Use the business clock *now*."""
        self._now = now
        self._files: dict[str, tuple[datetime, bytes]] = {}

    def add(self, file: bytes) -> str:
        """Keep *file* for a while; return its token."""
        while len(self._files) >= LINKS:
            del self._files[next(iter(self._files))]
        token = new_id().hex
        self._files[token] = (self._now() + LINK_AGE, file)
        return token

    def get(self, token: str) -> bytes | None:
        """Return the file, or ``None`` when the link is unknown or too old."""
        until, file = self._files.get(token, (None, b""))
        return file if until is not None and self._now() <= until else None


def refunds_of(
    books: Books, merchant: str, day: date, *, at: str, number: str, fee_back: bool
) -> list[Row]:
    """
    Return the refunds of a merchant's day as rows of negative fees or none.

    *at* names the field with the moment that counts, *number* the one with our refund number.
    """
    return [
        Row(
            row.get("transaction_id") or row["trade_no"],
            row["out_trade_no"],
            row["account"],
            row["amount_fen"],
            -share_of(row["amount_fen"], per_mille=FEE_PER_MILLE) if fee_back else 0,
            datetime.fromisoformat(row[at]),
            refund_no=row[number],
            refund_trade_no=row.get("refund_id", ""),
        )
        for row in books.all("refunds")
        if row["merchant"] == merchant and bill_day(datetime.fromisoformat(row[at])) == day
    ]
