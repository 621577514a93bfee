"""A rail's bill of one day: its lines, its totals, and why a bill may be unusable."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class LineKind(StrEnum):
    """What a line is about."""

    CHARGE = "charge"
    REFUND = "refund"


class BillFault(StrEnum):
    """Why a bill cannot be used at all; the day stays open and is fetched again."""

    NO_BILL = "no_bill"
    NOT_FETCHED = "not_fetched"
    TOO_LARGE = "too_large"
    CONTENT_CHANGED = "content_changed"
    NOT_AN_ARCHIVE = "not_an_archive"
    UNKNOWN_ENCODING = "unknown_encoding"
    MISSING_HEADER = "missing_header"
    NO_TOTALS = "no_totals"
    WRONG_TOTAL = "wrong_total"
    TOO_MANY_BROKEN = "too_many_broken"


class RowFault(StrEnum):
    """Why one row cannot be read; it becomes a ticket of its own."""

    COLUMNS = "columns"
    AMOUNT = "amount"
    TIME = "time"
    KIND = "kind"
    NUMBER = "number"
    FOREIGN_ACCOUNT = "foreign_account"


BROKEN_MAX: Final = 100
"""More broken rows than this are no accident of a row: the bill is refused."""


class BillUnusable(Exception):
    """The bill as a whole cannot be used; *fault* says why, *detail* where."""

    def __init__(self, fault: BillFault, detail: str = "") -> None:
        """Refuse a bill for *fault*."""
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class RowBroken(Exception):
    """One row cannot be read."""

    def __init__(self, fault: RowFault) -> None:
        """Refuse a row for *fault*."""
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class BillLine:
    """
    One line; ``line_no`` counts the bill's rows from 1.

    ``trade_no`` is our number of the charge also where the line is about a refund, which
    ``refund_no`` names. ``amount_fen`` is never negative; ``fee_fen`` is what the rail keeps,
    negative where it gives a fee back. ``rail_no`` is the rail's own number.
    """

    line_no: int
    kind: LineKind
    trade_no: str
    refund_no: str | None
    rail_no: str
    amount_fen: int
    fee_fen: int
    at: datetime


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be read; what it says is not kept, for it may name people."""

    line_no: int
    fault: RowFault


@dataclass(frozen=True, slots=True)
class BillTotals:
    """What a bill says of itself, in counts and fen; None where this rail does not say it."""

    rows: int | None = None
    charges: int | None = None
    refunds: int | None = None
    captured_fen: int | None = None
    refunded_fen: int | None = None
    net_fen: int | None = None
    fee_fen: int | None = None


BillRow = BillLine | BrokenRow | BillTotals


@dataclass(slots=True)
class Tally:
    """What was counted while a bill was read."""

    lines: int = 0
    broken: int = 0
    charges: int = 0
    refunds: int = 0
    captured_fen: int = 0
    refunded_fen: int = 0
    fee_fen: int = 0
    totals: BillTotals | None = None

    def take(self, row: BillRow) -> None:
        """
        Count one row.

        Raises:
            BillUnusable: Too many rows are broken.
        """
        match row:
            case BillLine(kind=LineKind.CHARGE):
                self.lines += 1
                self.charges += 1
                self.captured_fen += row.amount_fen
                self.fee_fen += row.fee_fen
            case BillLine():
                self.lines += 1
                self.refunds += 1
                self.refunded_fen += row.amount_fen
                self.fee_fen += row.fee_fen
            case BrokenRow():
                self.broken += 1
                if self.broken > BROKEN_MAX:
                    raise BillUnusable(BillFault.TOO_MANY_BROKEN, str(row.line_no))
            case BillTotals():
                self.totals = row

    def check(self) -> None:
        """
        Compare what was counted with what the bill says of itself.

        With broken rows only the number of rows can agree; each of them is a ticket.

        Raises:
            BillUnusable: The totals differ, or there are none.
        """
        if self.totals is None:
            raise BillUnusable(BillFault.NO_TOTALS)
        said = self.totals
        pairs: dict[str, tuple[int | None, int]] = {"rows": (said.rows, self.lines + self.broken)}
        if not self.broken:
            pairs |= {
                "charges": (said.charges, self.charges),
                "refunds": (said.refunds, self.refunds),
                "captured_fen": (said.captured_fen, self.captured_fen),
                "refunded_fen": (said.refunded_fen, self.refunded_fen),
                "net_fen": (said.net_fen, self.captured_fen - self.refunded_fen),
                # Which sign rails give their fees is not documented; the amount is.
                "fee_fen": (_size(said.fee_fen), abs(self.fee_fen)),
            }
        for name, (stated, counted) in pairs.items():
            if stated is not None and stated != counted:
                raise BillUnusable(
                    BillFault.WRONG_TOTAL, f"{name}: {stated} stated, {counted} counted"
                )

    @property
    def missing_fen(self) -> int | None:
        """What the readable rows lack to the net total, in fen: what broken rows come to."""
        if self.totals is None:
            return None
        said = self.totals
        net = said.net_fen
        if net is None and said.captured_fen is not None and said.refunded_fen is not None:
            net = said.captured_fen - said.refunded_fen
        return None if net is None else net - (self.captured_fen - self.refunded_fen)


def _size(amount_fen: int | None) -> int | None:
    return None if amount_fen is None else abs(amount_fen)
