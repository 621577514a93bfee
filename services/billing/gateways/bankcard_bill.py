"""
The aggregator's bill of a day's card trades: plain UTF-8 CSV, amounts in fen, totals at the end.

Our own profile of such a bill, as ``shared.rails.card`` says, to be fitted to the contract.
"""

import csv
import hashlib
import io
from asyncio import to_thread
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from services.billing.domain.bill import (
    BillFault,
    BillLine,
    BillRow,
    BillTotals,
    BillUnusable,
    BrokenRow,
    LineKind,
    RowBroken,
    RowFault,
)
from services.billing.gateways.bill_source import (
    UNPACKED_MAX,
    Columns,
    Fetched,
    NoBill,
    NotFetched,
    number_of,
)
from shared.rails.card import CardClient, read_time
from shared.rails.outcome import Ok, Refused, Unknown

_COLUMNS: Final = {
    name: (name,)
    for name in ("kind", "order_no", "refund_no", "trade_no", "amount_fen", "fee_fen", "at")
}
_KINDS: Final = {"charge": LineKind.CHARGE, "refund": LineKind.REFUND}
_TOTAL: Final = "total"
_NO_BILL: Final = frozenset({"BILL_NOT_READY", "NO_TRADES"})


class BankCardBills:
    """Bills of one merchant number; reads them row by row."""

    def __init__(self, client: CardClient) -> None:
        """Ask through *client*."""
        self._client = client

    @property
    def account_no(self) -> str:
        """Return the merchant number."""
        return self._client.config.merchant_no

    async def fetch(self, day: date, directory: Path) -> Fetched | NoBill | NotFetched:
        """Ask for address and hash, download at once, and compare the hash."""
        outcome = await self._client.call("bill", {"day": day.isoformat()})
        match outcome:
            case Refused(code) if code in _NO_BILL:
                return NoBill(code)
            case Refused(code):
                return NotFetched(code)
            case Unknown():
                return NotFetched(outcome.reason.value)
            case Ok():
                said = outcome.data
        file = directory / "bankcard.csv"
        url = str(said.get("download_url") or "")
        failed = await self._client.download(url, file, limit_bytes=UNPACKED_MAX)
        if failed is not None:
            return NotFetched(failed.reason.value)
        if await to_thread(_sha256, file) != str(said.get("sha256", "")).lower():
            raise BillUnusable(BillFault.CONTENT_CHANGED, "sha256")
        return Fetched(file)

    def read(self, file: Path) -> Iterator[BillRow]:
        """Yield every row, and the totals at the end."""
        try:
            with file.open(encoding="utf-8-sig", errors="strict", newline="") as text:
                yield from _rows(text)
        except UnicodeDecodeError as error:
            raise BillUnusable(BillFault.UNKNOWN_ENCODING, str(error.start)) from error


def _rows(text: io.TextIOWrapper) -> Iterator[BillRow]:
    lines = csv.reader(text)
    columns = Columns(next(lines, []), _COLUMNS)
    for line_no, fields in enumerate(lines, 1):
        if fields[:1] == [_TOTAL]:
            yield _totals(fields, columns)
            continue
        try:
            yield _line(line_no, fields, columns)
        except RowBroken as error:
            yield BrokenRow(line_no, error.fault)


def _line(line_no: int, fields: list[str], columns: Columns) -> BillLine:
    if len(fields) != columns.width:
        raise RowBroken(RowFault.COLUMNS)
    at = columns.at
    kind = _KINDS.get(fields[at["kind"]])
    if kind is None:
        raise RowBroken(RowFault.KIND)
    refund = kind is LineKind.REFUND
    return BillLine(
        line_no=line_no,
        kind=kind,
        trade_no=number_of(fields[at["order_no"]]),
        refund_no=number_of(fields[at["refund_no"]]) if refund else None,
        rail_no=number_of(fields[at["trade_no"]]),
        amount_fen=_fen(fields[at["amount_fen"]]),
        fee_fen=_fee(fields[at["fee_fen"]]),
        at=_moment(fields[at["at"]]),
    )


def _totals(fields: list[str], columns: Columns) -> BillTotals:
    """Return the last line: its number columns hold the counts of charges and of refunds."""
    at = columns.at
    try:
        return BillTotals(
            charges=int(fields[at["order_no"]]),
            refunds=int(fields[at["refund_no"]]),
            net_fen=int(fields[at["amount_fen"]]),
            fee_fen=int(fields[at["fee_fen"]]),
        )
    except (ValueError, IndexError) as error:
        raise BillUnusable(BillFault.NO_TOTALS, type(error).__name__) from error


def _fen(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise RowBroken(RowFault.AMOUNT)
    return int(text)


def _fee(text: str) -> int:
    """Return what a row cost us; below zero where a refund gave it back."""
    return -_fen(text[1:]) if text.startswith("-") else _fen(text)


def _moment(text: str) -> datetime:
    moment = read_time(text)
    if moment is None:
        raise RowBroken(RowFault.TIME)
    return moment.astimezone(UTC)


def _sha256(file: Path) -> str:
    with file.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()
