"""
WeChat Pay's bill of a day's trades: packed UTF-8 text whose fields start with a backtick.

Source: WeChat Pay docs, v3 ``/v3/bill/tradebill`` and the format of the trade bill.
"""

import gzip
import hashlib
import io
import zlib
from asyncio import to_thread
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, assert_never

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
from shared.rails import wechatpay_calls as calls
from shared.rails.outcome import Ok, Refused, Unknown
from shared.rails.wechatpay import WechatPayClient

_NO_BILL: Final = frozenset({"NO_STATEMENT_EXIST", "NO_BILL_EXIST"})
_KINDS: Final = {"SUCCESS": LineKind.CHARGE, "REFUND": LineKind.REFUND}
_DETAIL: Final = {
    "at": ("交易时间",),
    "account": ("商户号",),
    "rail_no": ("微信订单号",),
    "trade_no": ("商户订单号",),
    "kind": ("交易状态",),
    "amount": ("订单金额", "总金额"),
    "refund_no": ("商户退款单号",),
    "refund_rail_no": ("微信退款单号",),
    "refund_amount": ("申请退款金额", "退款金额"),
    "fee": ("手续费",),
}
_TOTALS: Final = {
    "rows": ("总交易单数",),
    "captured": ("订单总金额", "总交易额"),
    "refunded": ("申请退款总金额", "退款总金额", "总退款金额"),
    "fee": ("手续费总金额",),
}
_PIECE: Final = 1024 * 1024


class WechatPayBills:
    """Bills of one merchant number; reads them row by row."""

    def __init__(self, client: WechatPayClient) -> None:
        """Ask through *client*."""
        self._client = client

    @property
    def account_no(self) -> str:
        """Return the merchant number."""
        return self._client.config.mchid

    async def fetch(self, day: date, directory: Path) -> Fetched | NoBill | NotFetched:
        """Ask for address and hash, download at once, and compare the hash."""
        outcome = await calls.trade_bill(self._client, day=day)
        match outcome:
            case Refused():
                code = outcome.code
                return NoBill(code) if code in _NO_BILL else NotFetched(code)
            case Unknown():
                return NotFetched(outcome.reason.value)
            case Ok():
                said = outcome.data
            case _:
                assert_never(outcome)
        file = directory / "wechatpay.gz"
        url = str(said.get("download_url") or "")
        failed = await self._client.download(url, file, limit_bytes=PACKED_MAX)
        if failed is not None:
            return NotFetched(failed.reason.value)
        if await to_thread(_sha1, file) != str(said.get("hash_value", "")).lower():
            raise BillUnusable(BillFault.CONTENT_CHANGED, "hash")
        return Fetched(file)

    def read(self, file: Path) -> Iterator[BillRow]:
        """Yield every row, and the totals at the end."""
        try:
            with gzip.open(file) as raw:
                text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="strict", newline=None)
                yield from self._rows(text)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise BillUnusable(BillFault.NOT_AN_ARCHIVE, type(error).__name__) from error
        except UnicodeDecodeError as error:
            raise BillUnusable(BillFault.UNKNOWN_ENCODING, str(error.start)) from error

    def _rows(self, text: io.TextIOWrapper) -> Iterator[BillRow]:
        """Headers carry no backtick; which part begins, their words tell."""
        columns: Columns | None = None
        totals: Columns | None = None
        line_no = 0
        for line in text:
            whole = line.rstrip("\r\n")
            if not whole.strip():
                continue
            if whole.startswith("`"):
                if totals is not None:
                    yield _totals(_fields(whole), totals)
                    continue
                if columns is None:
                    raise BillUnusable(BillFault.MISSING_HEADER, "微信订单号")
                line_no += 1
                yield self._row(line_no, whole, columns)
            elif columns is not None and "总交易单数" in whole:
                totals = Columns(whole.split(","), _TOTALS)
            elif columns is None and "微信订单号" in name_of(whole):
                columns = Columns(whole.split(","), _DETAIL)
            elif columns is not None and totals is None:
                line_no += 1
                yield BrokenRow(line_no, RowFault.COLUMNS)
            else:
                raise BillUnusable(BillFault.MISSING_HEADER, "微信订单号")

    def _row(self, line_no: int, line: str, columns: Columns) -> BillLine | BrokenRow:
        try:
            return self._line(line_no, _fields(line), columns)
        except RowBroken as error:
            return BrokenRow(line_no, error.fault)

    def _line(self, line_no: int, fields: list[str], columns: Columns) -> BillLine:
        if len(fields) != columns.width:
            raise RowBroken(RowFault.COLUMNS)
        at = columns.at
        kind = _KINDS.get(fields[at["kind"]])
        if kind is None:
            raise RowBroken(RowFault.KIND)
        if fields[at["account"]] != self.account_no:
            raise RowBroken(RowFault.FOREIGN_ACCOUNT)
        refund = kind is LineKind.REFUND
        amount = amount_fen(fields[at["refund_amount" if refund else "amount"]])
        if amount < 0:
            raise RowBroken(RowFault.AMOUNT)
        fee = abs(amount_fen(fields[at["fee"]]))
        return BillLine(
            line_no=line_no,
            kind=kind,
            trade_no=number_of(fields[at["trade_no"]]),
            refund_no=number_of(fields[at["refund_no"]]) if refund else None,
            rail_no=number_of(fields[at["refund_rail_no" if refund else "rail_no"]]),
            amount_fen=amount,
            fee_fen=-fee if refund else fee,
            at=moment_of(fields[at["at"]]),
        )


def _fields(line: str) -> list[str]:
    """Only a comma with a backtick behind it separates: names of goods have commas too."""
    return [field.strip() for field in line[1:].split(",`")]


def _totals(fields: list[str], columns: Columns) -> BillTotals:
    at = columns.at
    try:
        return BillTotals(
            rows=int(fields[at["rows"]].partition(".")[0]),
            captured_fen=amount_fen(fields[at["captured"]]),
            refunded_fen=amount_fen(fields[at["refunded"]]),
            fee_fen=amount_fen(fields[at["fee"]]),
        )
    except (ValueError, IndexError, RowBroken) as error:
        raise BillUnusable(BillFault.NO_TOTALS, type(error).__name__) from error


def _sha1(file: Path) -> str:
    """Return the hash of the unpacked content, as the rail computes it; no secret hangs on it."""
    digest, size = hashlib.sha1(usedforsecurity=False), 0
    try:
        with gzip.open(file) as raw:
            while piece := raw.read(_PIECE):
                size += len(piece)
                if size > UNPACKED_MAX:
                    raise BillUnusable(BillFault.TOO_LARGE)
                digest.update(piece)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BillUnusable(BillFault.NOT_AN_ARCHIVE, type(error).__name__) from error
    return digest.hexdigest()
