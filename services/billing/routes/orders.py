"""Paying several instalments, or all of them, at once."""

from uuid import UUID

from services.billing.contract.changes import (
    DueView,
    NewPaymentOrder,
    OrderLine,
    PayAllPreview,
    PaymentOrderView,
    QuoteView,
)
from services.billing.deps import Deps
from services.billing.domain.attempt import AttemptState
from services.billing.domain.errors import (
    AgreementUnknown,
    AmountDiffers,
    ChargeUnderWay,
    InstalmentsForeign,
    MandateUnknown,
    NothingToPay,
    OrderUnknown,
    PaymentRefused,
    QuoteOutdated,
    QuoteUnknown,
)
from services.billing.routes.table import api
from services.billing.store import orders
from services.billing.usecases.pay_now import PaymentUnclear
from services.billing.usecases.pay_several import (
    DueLine,
    all_due,
    pay_several,
    quote_settlement,
)
from shared.db import Connection
from shared.web import Call

_TAGS = ("payments",)


@api.get(
    "/v1/agreements/{agreement_id}/pay-all/preview",
    scope="billing:read",
    tags=_TAGS,
    problems=(AgreementUnknown,),
)
async def pay_all_preview(call: Call[Deps], agreement_id: UUID) -> PayAllPreview:
    """Show what all that is unpaid comes to now: no fee, no interest of days to come."""
    async with call.deps.db.connection() as conn:
        due = await all_due(conn, call.tenant_id, agreement_id, now=call.deps.clock.now())
    return PayAllPreview(
        agreement_id=agreement_id,
        total_fen=sum(line.amount_fen for line in due),
        lines=[_due(line) for line in due],
    )


@api.post(
    "/v1/agreements/{agreement_id}/settlement-quotes",
    scope="billing:write",
    status=201,
    tags=_TAGS,
    problems=(AgreementUnknown, NothingToPay),
)
async def make_quote(call: Call[Deps], agreement_id: UUID) -> QuoteView:
    """Quote the early settlement; the quote holds for 24 hours unless something is paid."""
    quote = await quote_settlement(call.deps, call.tenant_id, agreement_id)
    return QuoteView(
        quote_id=quote.quote_id,
        agreement_id=agreement_id,
        total_fen=quote.total_fen,
        lines=[DueView.model_validate(dict(line)) for line in quote.lines],
        quoted_at=quote.quoted_at,
        valid_until=quote.valid_until,
    )


@api.post(
    "/v1/agreements/{agreement_id}/payment-orders",
    scope="billing:write",
    status=201,
    tags=_TAGS,
    problems=(
        AgreementUnknown,
        InstalmentsForeign,
        NothingToPay,
        AmountDiffers,
        QuoteUnknown,
        QuoteOutdated,
        ChargeUnderWay,
        MandateUnknown,
        PaymentRefused,
        PaymentUnclear,
    ),
)
async def order_payments(
    call: Call[Deps], agreement_id: UUID, body: NewPaymentOrder
) -> PaymentOrderView:
    """Open one payment for each chosen instalment; a partial sum is refused with the exact one."""
    order = await pay_several(
        call.deps,
        call.tenant_id,
        agreement_id,
        instalment_ids=body.instalment_ids,
        quote_id=body.quote_id,
        total_fen=body.total_fen,
    )
    async with call.deps.db.connection() as conn:
        return await _order(conn, call.tenant_id, order.order_id)


@api.get(
    "/v1/payment-orders/{order_id}",
    scope="billing:read",
    tags=_TAGS,
    problems=(OrderUnknown,),
)
async def get_order(call: Call[Deps], order_id: UUID) -> PaymentOrderView:
    """Show how the payments of one order stand."""
    async with call.deps.db.connection() as conn:
        return await _order(conn, call.tenant_id, order_id)


async def _order(conn: Connection, merchant_id: UUID, order_id: UUID) -> PaymentOrderView:
    order = await orders.read(conn, merchant_id, order_id)
    rows = [dict(row) for row in await orders.lines(conn, order_id)]
    paid = [row for row in rows if row["state"] == AttemptState.SUCCEEDED]
    over = [row for row in rows if row["state"] == AttemptState.FAILED]
    if len(paid) == len(rows):
        state = "paid"
    elif len(paid) + len(over) < len(rows):
        state = "open"
    else:
        state = "partly_paid" if paid else "ended"
    return PaymentOrderView(
        order_id=order.order_id,
        agreement_id=order.agreement_id,
        quote_id=order.quote_id,
        total_fen=order.total_fen,
        paid_fen=sum(row["amount_fen"] for row in paid),
        state=state,
        ordered_at=order.ordered_at,
        payments=[OrderLine.model_validate(row) for row in rows],
    )


def _due(line: DueLine) -> DueView:
    return DueView(
        instalment_id=line.instalment.instalment_id,
        seq=line.instalment.seq,
        base_fen=line.base_fen,
        penalty_fen=line.penalty_fen,
        interest_waived_fen=line.interest_waived_fen,
        amount_fen=line.amount_fen,
    )
