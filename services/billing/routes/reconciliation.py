"""Rails' bills, day by day, and the differences that somebody must explain."""

from datetime import date, datetime
from uuid import UUID

from services.billing.contract.reconciliation import (
    BillDayFilter,
    BillDayStory,
    BillDayView,
    NewResolution,
    OutcomeView,
    ReconciliationView,
    TicketFilter,
    TicketMoveView,
    TicketStory,
    TicketView,
)
from services.billing.deps import Deps
from services.billing.domain.bill_day import Resolution
from services.billing.domain.errors import (
    BillDayUnknown,
    ResolutionForbidden,
    TicketResolved,
    TicketUnknown,
)
from services.billing.routes.table import api
from services.billing.store import bill_days, bill_lines, bill_tickets, history, reconciliations
from services.billing.usecases.resolve_ticket import Said, resolve_ticket
from shared.web import Call, Page, PageQuery
from shared.web.call import TenantForeign


@api.get("/v1/bill-days", scope="ops:read", tags=("reconciliation",))
async def list_bill_days(call: Call[Deps], query: BillDayFilter) -> Page[BillDayView]:
    """
    List days of bills, the earliest first.

    They hold all merchants' money together: for the operator's own key alone.
    """
    if call.caller.tenant_id is not None:
        raise TenantForeign("Days of bills belong to no tenant.")
    async with call.deps.db.connection() as conn:
        rows = await bill_days.page(
            conn,
            rail=query.rail,
            open_only=query.open_only,
            after=query.after(date, UUID),
            limit=query.limit + 1,
        )
    return Page[BillDayView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.day, row.day_id),
        view=BillDayView.model_validate,
    )


@api.get(
    "/v1/bill-days/{day_id}",
    scope="ops:read",
    tags=("reconciliation",),
    problems=(BillDayUnknown,),
)
async def get_bill_day(call: Call[Deps], day_id: UUID) -> BillDayStory:
    """Show how far a day has come, what its bill says and what is open in it."""
    async with call.deps.db.connection() as conn:
        day = await bill_days.find(conn, day_id)
        if day is None or call.caller.tenant_id is not None:
            raise BillDayUnknown("No such day.", day_id=day_id)
        sums = await bill_lines.outcomes(conn, day_id)
        open_tickets = await bill_tickets.open_by_kind(conn, day_id)
    return BillDayStory(
        day=BillDayView.model_validate(day),
        outcomes=[
            OutcomeView(kind=kind, outcome=outcome, lines=lines, amount_fen=fen, fee_fen=fee)
            for kind, outcome, lines, fen, fee in sums
        ],
        open_tickets=open_tickets,
    )


@api.get("/v1/reconciliations", scope="billing:read", tags=("reconciliation",))
async def list_reconciliations(call: Call[Deps], query: PageQuery) -> Page[ReconciliationView]:
    """List what closed days came to for this merchant, in the order they were closed."""
    async with call.deps.db.connection() as conn:
        rows = await reconciliations.page(
            conn, call.tenant_id, after=query.after(datetime, UUID), limit=query.limit + 1
        )
    return Page[ReconciliationView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.closed_at, row.reconciliation_id),
        view=ReconciliationView.model_validate,
    )


@api.get("/v1/bill-tickets", scope="billing:read", tags=("reconciliation",))
async def list_tickets(call: Call[Deps], query: TicketFilter) -> Page[TicketView]:
    """List differences, oldest first; the operator sees also those of no merchant."""
    async with call.deps.db.connection() as conn:
        rows = await bill_tickets.page(
            conn,
            merchant_id=call.caller.tenant_id,
            day_id=query.day_id,
            open_only=query.open_only,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[TicketView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.opened_at, row.ticket_id),
        view=TicketView.model_validate,
    )


@api.get(
    "/v1/bill-tickets/{ticket_id}",
    scope="billing:read",
    tags=("reconciliation",),
    problems=(TicketUnknown,),
)
async def get_ticket(call: Call[Deps], ticket_id: UUID) -> TicketStory:
    """Show a difference with its history."""
    async with call.deps.db.connection() as conn:
        found = await bill_tickets.find(conn, ticket_id, merchant_id=call.caller.tenant_id)
        if found is None:
            raise TicketUnknown("No such difference.", ticket_id=ticket_id)
        moves = await history.of_thing(conn, ticket_id)
    return TicketStory(
        ticket=TicketView.model_validate(found),
        history=[TicketMoveView.model_validate(dict(row)) for row in moves],
    )


@api.post(
    "/v1/bill-tickets/{ticket_id}/resolution",
    scope="billing:write",
    tags=("reconciliation",),
    problems=(TicketUnknown, TicketResolved, ResolutionForbidden),
)
async def post_resolution(call: Call[Deps], ticket_id: UUID, body: NewResolution) -> TicketView:
    """Say how a difference ended; the day closes by itself after its last one."""
    said = Said(Resolution(body.resolution), body.reason.strip(), by=call.caller.key_id)
    async with call.deps.db.transaction() as conn:
        ticket = await resolve_ticket(
            conn, call.caller.tenant_id, ticket_id, said, now=call.deps.clock.now()
        )
    return TicketView.model_validate(ticket)
