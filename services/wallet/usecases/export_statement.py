"""A statement leaves the platform as a sheet: CSV for any size, XLSX for what Excel bears."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

import xlsxwriter

from services.wallet.deps import Deps
from services.wallet.domain.errors import ExportTooLarge, StatementUnknown
from services.wallet.domain.sheet import head_rows, line_row
from services.wallet.domain.statement import Statement
from services.wallet.store import statements

BOM: Final = "\ufeff"
"""By which Excel knows that a CSV is UTF-8."""
CHUNK: Final = 1000
MOST_XLSX: Final = 50_000
MOST_CSV: Final = 1_000_000


async def find_statement(deps: Deps, merchant_id: UUID, statement_id: UUID) -> Statement:
    """
    Return one merchant's statement.

    Raises:
        StatementUnknown: It has no such statement.
    """
    async with deps.db.connection() as conn:
        found = await statements.get(conn, merchant_id, statement_id)
    if found is None:
        raise StatementUnknown("No such statement.", statement_id=str(statement_id))
    return found


def require_size(statement: Statement, most: int) -> None:
    """
    Let a sheet of at most *most* lines pass.

    Raises:
        ExportTooLarge: It has more lines.
    """
    if statement.transfers > most:
        raise ExportTooLarge(
            "The statement has too many lines for this format.",
            lines=statement.transfers,
            most=most,
        )


async def csv_chunks(deps: Deps, statement: Statement) -> AsyncIterator[bytes]:
    """Yield a statement as CSV, a chunk of lines at a time; no connection is kept between."""
    yield (BOM + _csv(head_rows(statement))).encode()
    async for rows in _row_chunks(deps, statement):
        yield _csv(rows).encode()


async def xlsx_bytes(deps: Deps, statement: Statement) -> bytes:
    """
    Return a statement as a workbook of one sheet; amounts stay texts, exact to the fen.

    Raises:
        ExportTooLarge: It has more than ``MOST_XLSX`` lines.
    """
    require_size(statement, MOST_XLSX)
    target = io.BytesIO()
    workbook = xlsxwriter.Workbook(
        target,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    sheet = workbook.add_worksheet("结算单")
    sheet.set_column(0, 7, 24)
    row = 0
    for cells in head_rows(statement):
        sheet.write_row(row, 0, cells)
        row += 1
    async for rows in _row_chunks(deps, statement):
        for cells in rows:
            sheet.write_row(row, 0, cells)
            row += 1
    workbook.close()
    return target.getvalue()


async def _row_chunks(deps: Deps, statement: Statement) -> AsyncIterator[Sequence[tuple[str, ...]]]:
    after: tuple[UUID, str] | None = None
    while True:
        async with deps.db.connection() as conn:
            lines = await statements.lines(
                conn, statement.merchant_id, statement, limit=CHUNK, after=after
            )
        if lines:
            yield [line_row(line) for line in lines]
            after = (lines[-1].cause_id, lines[-1].kind)
        if len(lines) < CHUNK:
            return


def _csv(rows: Sequence[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
