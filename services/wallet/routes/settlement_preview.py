"""What would go back if an agreement ended now, to the fen, by the function that settles it."""

from dataclasses import replace
from uuid import UUID

from pydantic import Field

from services.wallet.contract.states import EndedAs
from services.wallet.deps import Deps
from services.wallet.domain.errors import LedgerUnknown
from services.wallet.domain.ledger import settle
from services.wallet.routes.table import api
from services.wallet.store import ledgers
from shared.web import Call, Query, View


class PenaltyDue(Query):
    """The penalty of the end, as billing's preview tells it."""

    penalty_due_fen: int = Field(default=0, ge=0, le=10**12)


class SettlementPreview(View):
    """
    What an end now would come to; parcels that have not left are taken as cancelled.

    One that leaves meanwhile is paid for, and less goes back.  Bonus is never paid out.
    """

    agreement_id: UUID
    unspent_fen: int
    held_fen: int
    penalty_fen: int
    refund_fen: int
    bonus_lapsing_fen: int


@api.get(
    "/v1/agreements/{agreement_id}/settlement-preview",
    scope="wallet:read",
    tags=("wallets",),
    problems=(LedgerUnknown,),
)
async def preview_settlement(
    call: Call[Deps], agreement_id: UUID, query: PenaltyDue
) -> SettlementPreview:
    """Show what would go back to the customer, less the penalty; nothing is booked."""
    async with call.deps.db.connection() as conn:
        ledger = await ledgers.get(conn, call.tenant_id, agreement_id)
    if ledger is None:
        raise LedgerUnknown("No such agreement here.", agreement_id=str(agreement_id))
    ended = replace(
        ledger,
        ended_as=EndedAs.TERMINATED,
        penalty_due_fen=query.penalty_due_fen,
        open_holds=0,
        held_fen=0,
        bonus_held_fen=0,
    )
    done = settle(ended, now=call.deps.clock.now())
    return SettlementPreview(
        agreement_id=agreement_id,
        unspent_fen=ended.unspent_fen,
        held_fen=ledger.held_fen,
        penalty_fen=done.penalty_fen if done else 0,
        refund_fen=done.refund.amount_fen if done and done.refund else 0,
        bonus_lapsing_fen=done.lapsed_fen if done else 0,
    )
