"""Payments that the customer starts."""

from uuid import UUID

from services.billing.contract.api import (
    NewPayment,
    PayLinkView,
    PaymentView,
)
from services.billing.deps import Deps
from services.billing.domain.errors import (
    AmountDiffers,
    ChargeUnderWay,
    InstalmentUnknown,
    MandateUnknown,
    NothingToPay,
    PayLinkUnknown,
    PaymentRefused,
)
from services.billing.domain.instalment import UNPAID
from services.billing.routes.table import api
from services.billing.store import agreements, instalments
from services.billing.usecases.owed_now import owed_now
from services.billing.usecases.pay_now import PaymentUnclear, pay_now
from shared.web import Call


@api.post(
    "/v1/instalments/{instalment_id}/pay-link",
    scope="billing:write",
    tags=("payments",),
    problems=(InstalmentUnknown, NothingToPay),
)
async def make_pay_link(call: Call[Deps], instalment_id: UUID) -> PayLinkView:
    """Return the link by which the customer can pay this instalment: early, due or overdue."""
    async with call.deps.db.connection() as conn:
        found = await instalments.find(conn, call.tenant_id, instalment_id)
        (agreement,) = await agreements.by_ids(conn, [found.agreement_id])
        owed = await owed_now(conn, found, agreement, now=call.deps.clock.now())
    if found.state not in UNPAID or found.is_free:
        raise NothingToPay("Nothing is to be paid here.", state=found.state.value)
    return PayLinkView(
        instalment_id=found.instalment_id,
        amount_fen=owed.amount_fen,
        base_fen=owed.base_fen,
        penalty_fen=owed.penalty_fen,
        state=found.state.value,
        token=found.pay_token,
        pay_url=call.deps.terms.pay_url_base + found.pay_token,
    )


@api.post(
    "/v1/pay-links/{token}/payments",
    scope="billing:write",
    status=201,
    tags=("payments",),
    problems=(
        PayLinkUnknown,
        NothingToPay,
        AmountDiffers,
        ChargeUnderWay,
        MandateUnknown,
        PaymentRefused,
        PaymentUnclear,
    ),
)
async def start_payment(call: Call[Deps], token: str, body: NewPayment) -> PaymentView:
    """Open a payment of the whole instalment and return what the mini-program needs."""
    async with call.deps.db.connection() as conn:
        found = await instalments.find_by_token(conn, token)
    if call.caller.tenant_id not in {None, found.merchant_id}:
        raise PayLinkUnknown("No such payment link.")
    payment = await pay_now(call.deps, token, amount_fen=body.amount_fen)
    return PaymentView(
        attempt_id=payment.attempt.attempt_id,
        instalment_id=payment.attempt.instalment_id,
        trade_no=payment.attempt.trade_no,
        rail=payment.attempt.rail,
        amount_fen=payment.attempt.amount_fen,
        penalty_fen=payment.attempt.penalty_fen,
        expires_at=payment.attempt.expires_at,
        client=payment.client,
    )
