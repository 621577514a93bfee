"""
Alipay's bill of a day's trades: a ZIP with two CSV files in GB18030, details and totals.

Source: Alipay open docs, alipay.data.dataservice.bill.downloadurl.query, bill_type ``trade``.
"""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date
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
    PACKED_MAX,
    UNPACKED_MAX,
    Columns,
    Fetched,
    NoBill,
    NotFetched,
    amount_fen,
    moment_of,
    name_of,
    number_of,
)
from shared.rails import alipay_calls as calls
from shared.rails.alipay import AlipayClient
from shared.rails.outcome import Ok, Refused, Unknown

_KINDS: Final = {"交易": LineKind.CHARGE, "退款": LineKind.REFUND}
_DETAIL: Final = {
    "rail_no": ("支付宝交易号",),
    "trade_no": ("商户订单号",),
    "kind": ("业务类型",),
    "at": ("完成时间",),
    "amount": ("订单金额(元)",),
    "refund_no": ("退款批次号/请求号", "退款批次号"),
    "fee": ("服务费(元)",),
}
_TOTALS: Final = {
    "charges": ("交易订单总笔数",),
    "refunds": ("退款订单总笔数",),
    "amount": ("订单金额(元)",),
    "fee": ("服务费(元)",),
}
_WHOLE: Final = "合计"
_NAMES: Final = "gb18030"
_UTF8_MARK: Final = b"\xef\xbb\xbf"


class AlipayBills:
    """Bills of one app; reads them row by row."""

    def __init__(self, client: AlipayClient) -> None:
        """Ask through *client*."""
        self._client = client

    @property
    def account_no(self) -> str:
        """Return the app's id."""
        return self._client.config.app_id

    async def fetch(self, day: date, directory: Path) -> Fetched | NoBill | NotFetched:
        """Ask for the address and download at once: it is valid for 30 seconds."""
        outcome = await calls.bill_url(self._client, day=day)
        match outcome:
            case Refused():
                code = outcome.code.rpartition(".")[2].upper()
                return NoBill(code) if code == "BILL_NOT_EXIST" else NotFetched(code)
            case Unknown():
                return NotFetched(outcome.reason.value)
            case Ok():
                url = str(outcome.data.get("bill_download_url") or "")
        file = directory / "alipay.zip"
        failed = await self._client.download(url, file, limit_bytes=PACKED_MAX)
        return Fetched(file) if failed is None else NotFetched(failed.reason.value)

    def read(self, file: Path) -> Iterator[BillRow]:
        """Yield every detail row and the totals, whichever file comes first."""
        try:
            with zipfile.ZipFile(file, metadata_encoding=_NAMES) as archive:
                members = [one for one in archive.infolist() if not one.is_dir()]
                if sum(one.file_size for one in members) > UNPACKED_MAX:
                    raise BillUnusable(BillFault.TOO_LARGE)
                yield from self._members(archive, members)
        except zipfile.BadZipFile as error:
            raise BillUnusable(BillFault.NOT_AN_ARCHIVE, str(error)) from error
        except (zlib.error, EOFError) as error:
            raise BillUnusable(BillFault.CONTENT_CHANGED, type(error).__name__) from error
        except UnicodeDecodeError as error:
            raise BillUnusable(BillFault.UNKNOWN_ENCODING, str(error.start)) from error

    def _members(
        self, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]
    ) -> Iterator[BillRow]:
        details = 0
        for member in members:
            lines = _lines(archive, member)
            header = next(lines, [])
            names = {name_of(text) for text in header}
            if "支付宝交易号" in names:
                details += 1
                yield from _detail_rows(lines, Columns(header, _DETAIL))
            elif "交易订单总笔数" in names:
                yield _totals(lines, Columns(header, _TOTALS))
            else:
                raise BillUnusable(BillFault.MISSING_HEADER, "支付宝交易号")
        if details != 1:
            raise BillUnusable(BillFault.MISSING_HEADER, "支付宝交易号")


def _lines(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[list[str]]:
    """Yield the fields of each line that is neither blank nor a comment; no row spans lines."""
    with archive.open(member) as raw:
        encoding = "utf-8-sig" if raw.read(len(_UTF8_MARK)) == _UTF8_MARK else _NAMES
    with archive.open(member) as raw:
        for line in io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline=None):
            if line.startswith("#") or not line.strip():
                continue
            if '"' in line:
                yield [field.strip() for field in next(csv.reader([line]))]
            else:
                yield [field.strip() for field in line.split(",")]


def _detail_rows(lines: Iterator[list[str]], columns: Columns) -> Iterator[BillRow]:
    for line_no, fields in enumerate(lines, 1):
        try:
            yield _line(line_no, fields, columns)
        except RowBroken as error:
            yield BrokenRow(line_no, error.fault)


def _line(line_no: int, fields: list[str], columns: Columns) -> BillLine:
    if len(fields) != columns.width and fields[columns.width :] != [""]:
        raise RowBroken(RowFault.COLUMNS)
    at = columns.at
    kind = _KINDS.get(fields[at["kind"]])
    if kind is None:
        raise RowBroken(RowFault.KIND)
    amount, fee = amount_fen(fields[at["amount"]]), amount_fen(fields[at["fee"]] or "0")
    refund = kind is LineKind.REFUND
    if (amount < 0) is not refund and amount != 0:
        raise RowBroken(RowFault.AMOUNT)
    return BillLine(
        line_no=line_no,
        kind=kind,
        trade_no=number_of(fields[at["trade_no"]]),
        refund_no=number_of(fields[at["refund_no"]]) if refund else None,
        rail_no=number_of(fields[at["rail_no"]]),
        amount_fen=abs(amount),
        # The sign of this column is not documented: a charge costs, a refund gives back.
        fee_fen=-abs(fee) if refund else abs(fee),
        at=moment_of(fields[at["at"]]),
    )


def _totals(lines: Iterator[list[str]], columns: Columns) -> BillTotals:
    """Return the row of the whole, or else the sum of all stores' rows."""
    at, rows = columns.at, list(lines)
    whole = [row for row in rows if _WHOLE in row[:2]] or rows
    try:
        return BillTotals(
            charges=sum(int(row[at["charges"]]) for row in whole),
            refunds=sum(int(row[at["refunds"]]) for row in whole),
            net_fen=sum(amount_fen(row[at["amount"]]) for row in whole),
            fee_fen=sum(amount_fen(row[at["fee"]] or "0") for row in whole),
        )
    except (ValueError, IndexError, RowBroken) as error:
        raise BillUnusable(BillFault.NO_TOTALS, type(error).__name__) from error
