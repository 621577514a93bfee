"""Money that goes back while its agreement goes on, asked for by the merchant."""

from uuid import UUID

from services.wallet.contract.api import SettlementView
from services.wallet.contract.refunds import NewRefund
from services.wallet.contract.states import RefundReason
from services.wallet.deps import Deps
from services.wallet.domain.errors import (
    AgreementEnded,
    BookedOtherwise,
    LedgerUnknown,
    NothingToRefund,
    RefundAboveRest,
    SettlementUnknown,
)
from services.wallet.routes.table import api
from services.wallet.store import settlements
from services.wallet.usecases.ask_refund import ask_refund
from services.wallet.usecases.note_refusals import noting
from shared.web import Call


@api.post(
    "/v1/agreements/{agreement_id}/refunds",
    scope="wallet:refund",
    status=201,
    tags=("wallets",),
    problems=(LedgerUnknown, AgreementEnded, NothingToRefund, RefundAboveRest, BookedOtherwise),
)
async def post_refund(call: Call[Deps], agreement_id: UUID, body: NewRefund) -> SettlementView:
    """
    Give unspent principal back to the charges it came from, all of it or a part.

    Never bonus, never what is held for a parcel.  Billing sends it along the original routes:
    see its refunds by `settlement_id`.  Every refusal is kept.
    """
    async with noting(
        call.deps,
        merchant_id=call.tenant_id,
        action="refund",
        clerk=call.caller.key_id,
        amount_fen=body.amount_fen,
    ):
        asked = await ask_refund(
            call.deps,
            merchant_id=call.tenant_id,
            agreement_id=agreement_id,
            settlement_id=call.new_id("settlement"),
            amount_fen=body.amount_fen,
            reason=RefundReason(body.reason.value),
        )
    return SettlementView.model_validate(asked)


@api.get(
    "/v1/agreements/{agreement_id}/refunds/{settlement_id}",
    scope="wallet:read",
    tags=("wallets",),
    problems=(SettlementUnknown,),
)
async def get_refund(call: Call[Deps], agreement_id: UUID, settlement_id: UUID) -> SettlementView:
    """Show how far one request for money back has got."""
    async with call.deps.db.connection() as conn:
        asked = await settlements.of_agreement(conn, call.tenant_id, agreement_id)
    for one in asked:
        if one.settlement_id == settlement_id:
            return SettlementView.model_validate(one)
    raise SettlementUnknown("Nobody asked for this.", settlement_id=str(settlement_id))
