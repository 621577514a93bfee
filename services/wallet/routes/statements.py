"""Settlement statements: list, show, their lines, and sheets to download."""

from datetime import date
from uuid import UUID

from aiohttp import web

from services.wallet.contract.api import TransferView
from services.wallet.contract.merchant import (
    ExportQuery,
    SheetFormat,
    StatementFilter,
    StatementView,
)
from services.wallet.deps import Deps
from services.wallet.domain.errors import ExportTooLarge, StatementUnknown
from services.wallet.domain.sheet import file_name
from services.wallet.routes.table import api
from services.wallet.store import statements
from services.wallet.usecases.export_statement import (
    MOST_CSV,
    csv_chunks,
    find_statement,
    require_size,
    xlsx_bytes,
)
from shared.web import Call, Page, PageQuery

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@api.get("/v1/statements", scope="wallet:read", tags=("statements",))
async def list_statements(call: Call[Deps], query: StatementFilter) -> Page[StatementView]:
    """List the merchant's statements, newest first."""
    async with call.deps.db.connection() as conn:
        rows = await statements.page(
            conn,
            call.tenant_id,
            period=query.period,
            limit=query.limit + 1,
            before=query.after(date, UUID),
        )
    return Page[StatementView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.to_day, row.statement_id),
        view=StatementView.model_validate,
    )


@api.get(
    "/v1/statements/{statement_id}",
    scope="wallet:read",
    tags=("statements",),
    problems=(StatementUnknown,),
)
async def get_statement(call: Call[Deps], statement_id: UUID) -> StatementView:
    """Show one statement."""
    found = await find_statement(call.deps, call.tenant_id, statement_id)
    return StatementView.model_validate(found)


@api.get(
    "/v1/statements/{statement_id}/lines",
    scope="wallet:read",
    tags=("statements",),
    problems=(StatementUnknown,),
)
async def list_statement_lines(
    call: Call[Deps], statement_id: UUID, query: PageQuery
) -> Page[TransferView]:
    """List the transfers a statement is made of, by their causes; a month has its days'."""
    found = await find_statement(call.deps, call.tenant_id, statement_id)
    async with call.deps.db.connection() as conn:
        rows = await statements.lines(
            conn,
            call.tenant_id,
            found,
            limit=query.limit + 1,
            after=query.after(UUID, str),
        )
    return Page[TransferView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.cause_id, row.kind),
        view=TransferView.model_validate,
    )


@api.get(
    "/v1/statements/{statement_id}/export",
    scope="wallet:read",
    tags=("statements",),
    problems=(StatementUnknown, ExportTooLarge),
    timeout_s=55.0,
)
async def export_statement(
    call: Call[Deps], request: web.Request, statement_id: UUID, query: ExportQuery
) -> web.StreamResponse:
    """Download a statement with its lines as a sheet."""
    found = await find_statement(call.deps, call.tenant_id, statement_id)
    name = f'attachment; filename="{file_name(found, query.format)}"'
    if query.format is SheetFormat.XLSX:
        body = await xlsx_bytes(call.deps, found)
        return web.Response(body=body, content_type=XLSX, headers={"Content-Disposition": name})
    require_size(found, MOST_CSV)
    answer = web.StreamResponse(
        headers={"Content-Disposition": name, "Content-Type": "text/csv; charset=utf-8"}
    )
    await answer.prepare(request)
    async for chunk in csv_chunks(call.deps, found):
        await answer.write(chunk)
    await answer.write_eof()
    return answer
