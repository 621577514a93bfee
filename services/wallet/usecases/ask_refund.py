"""A merchant or an operator gives part of an agreement's money back while it goes on."""

from uuid import UUID

import structlog

from services.wallet.contract.states import RefundReason
from services.wallet.deps import Deps
from services.wallet.domain.errors import BookedOtherwise, LedgerUnknown
from services.wallet.domain.ledger import Settlement, give_back
from services.wallet.store import accounts, ledgers, settlements
from services.wallet.usecases.settle_agreements import book_settled

log = structlog.get_logger()


async def ask_refund(
    deps: Deps,
    *,
    merchant_id: UUID,
    agreement_id: UUID,
    settlement_id: UUID,
    amount_fen: int,
    reason: RefundReason,
) -> Settlement:
    """
    Take unspent principal out of the wallet and ask billing to send it back.

    The same *settlement_id* repeats safely.  The ledger is locked: of two requests that do
    not fit together, one is granted.

    Raises:
        LedgerUnknown: This merchant has no such agreement with money.
        AgreementEnded, NothingToRefund, RefundAboveRest: It cannot be given; nothing moved.
        BookedOtherwise: The id stands for another request.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        books = await ledgers.lock(conn, [(merchant_id, agreement_id)])
        if not books:
            raise LedgerUnknown("No such agreement here.", agreement_id=str(agreement_id))
        stood = await settlements.lock(conn, merchant_id, settlement_id)
        if stood is not None:
            if (stood.agreement_id, stood.amount_fen) != (agreement_id, amount_fen):
                raise BookedOtherwise(
                    "This id stands for another refund.", settlement_id=str(settlement_id)
                )
            return stood
        taken = give_back(
            books[merchant_id, agreement_id],
            amount_fen,
            settlement_id=settlement_id,
            reason=reason,
            now=now,
        )
        await accounts.move(conn, await book_settled(conn, [taken], now=now))
    assert taken.refund is not None
    return taken.refund
