"""
The simulated aggregator's bill of a day: plain UTF-8 CSV, amounts in fen, totals in the last line.

Calls that fault scripts name: ``bill`` (the question for the address; decline:BILL_NOT_READY is a
bill that is not ready), ``bill_file`` (what is in it, see ``bills``; bad_signature is a hash of
something else) and ``bill_download``.  Accounts: the merchant number, or the day.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from aiohttp import web

from deploy.sandbox.bills import Bill, Links, Row, faults_of, ready, spoil
from deploy.sandbox.card_bank import Declined
from deploy.sandbox.kit import Doc, FaultKind, Sandbox, json_reply
from deploy.sandbox.kit_books import Books
from shared.calendar import day_in_china
from shared.money import share_of

COLUMNS: Final = ("kind", "order_no", "refund_no", "trade_no", "amount_fen", "fee_fen", "at")
FEE_PER_MILLE: Final = 4
"""What the aggregator keeps of a charge, in thousandths."""


class BillDesk:
    """Answers for bills in front of the books of one simulator."""

    def __init__(self, sandbox: Sandbox, merchant_no: str) -> None:
        """Serve the downloads of *sandbox*, too; whoever has a link may download."""
        self._sandbox = sandbox
        self._merchant_no = merchant_no
        self._links = Links(sandbox.now)
        sandbox.app.router.add_get("/v1/bills/{token}", self._download)

    def ask(self, day: date, base: str) -> Doc:
        """
        Return address and hash of a day's file.

        Raises:
            Declined: It is not made yet, or nothing happened on that day.
        """
        sandbox = self._sandbox
        if not ready(day, sandbox.now()):
            raise Declined("BILL_NOT_READY")
        rows = rows_of(sandbox.books, day)
        if not rows:
            raise Declined("NO_TRADES")
        faults = faults_of(lambda: sandbox.fault("bill_file", self._merchant_no, day.isoformat()))
        text = written(spoil(rows, faults))
        spoilt = any(fault.kind is FaultKind.BAD_SIGNATURE for fault in faults)
        digest = hashlib.sha256(text + (b"x" if spoilt else b"")).hexdigest()
        return {"download_url": f"{base}/v1/bills/{self._links.add(text)}", "sha256": digest}

    async def _download(self, request: web.Request) -> web.StreamResponse:
        async def act() -> web.StreamResponse:
            file = self._links.get(request.match_info["token"])
            if file is None:
                return json_reply({"code": "LINK_EXPIRED"}, status=404)
            return web.Response(body=file, content_type="text/csv", charset="utf-8")

        fault = self._sandbox.fault("bill_download", self._merchant_no)
        return await self._sandbox.disturb(request, fault, act)


def rows_of(books: Books, day: date) -> list[Row]:
    """Return the charges of a day, then the refunds that reached their cards on it."""
    charges = [
        _row(row, fee_fen=share_of(row["amount_fen"], per_mille=FEE_PER_MILLE))
        for row in books.all("captures")
        if _on(row["at"], day)
    ]
    refunds = [
        _row(row, refund_no=row["refund_no"])
        for row in books.all("refunds")
        if row["status"] == "SUCCEEDED" and _on(row["at"], day)
    ]
    return charges + refunds


def written(bill: Bill) -> bytes:
    """Return *bill* as the file's bytes."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(_lines(bill))
    return out.getvalue().encode()


def _lines(bill: Bill) -> Iterator[tuple[object, ...]]:
    yield COLUMNS
    for row in bill.rows:
        if row.broken:
            yield "charge", row.out_trade_no
            continue
        numbers = (row.out_trade_no, row.refund_no, row.trade_no)
        kind = "refund" if row.refund_no else "charge"
        yield kind, *numbers, row.amount_fen, row.fee_fen, row.at.isoformat()
    refunds = [row for row in bill.rows if row.refund_no]
    charges = [row for row in bill.rows if not row.refund_no]
    net = sum(row.amount_fen for row in charges) - sum(row.amount_fen for row in refunds)
    fee = sum(row.fee_fen for row in bill.rows)
    yield "total", len(charges), len(refunds), "", net + bill.off_fen, fee, ""


def _row(row: Doc, *, fee_fen: int = 0, refund_no: str = "") -> Row:
    return Row(
        row["trade_no"],
        row["out_trade_no"],
        row["account"],
        row["amount_fen"],
        fee_fen,
        datetime.fromisoformat(row["at"]),
        refund_no=refund_no,
    )


def _on(moment: str, day: date) -> bool:
    return day_in_china(datetime.fromisoformat(moment)) == day
