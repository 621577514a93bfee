"""The rail sent money back, or refused to."""

import structlog

from services.billing.contract import RefundFailed, RefundSucceeded
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.errors import (
    BookedOtherwise,
    RefundExceedsRequest,
    SettlementUnknown,
)
from services.wallet.domain.ledger import Settlement
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, settlements, transfers
from shared.db import Connection

log = structlog.get_logger()


async def book_refund(
    conn: Connection,
    refunded: RefundSucceeded,
    deps: Deps,  # noqa: ARG001
) -> None:
    """
    Book money that is back at its rail, once per refund; several may make one request.

    Money that arrived twice and never reached a wallet has no request and is not ours.

    Raises:
        SettlementUnknown: The request is not ours, or not here yet.
        RefundExceedsRequest: More would have gone back than was asked for.
        BookedOtherwise: This refund was booked before with another amount.
    """
    if refunded.settlement_id is None:
        return
    asked = await settlements.lock(conn, refunded.merchant_id, refunded.settlement_id)
    if asked is None:
        raise SettlementUnknown(
            "Nobody asked for this refund.", settlement_id=str(refunded.settlement_id)
        )
    transfer = _refunded(asked, refunded)
    if not await transfers.add_new(conn, [transfer]):
        await _check_repeat(conn, transfer)
        return
    if asked.refunded_fen + refunded.amount_fen > asked.amount_fen:
        raise RefundExceedsRequest(
            "More went back than was asked for.",
            settlement_id=str(asked.settlement_id),
            asked_fen=asked.amount_fen,
            refunded_fen=asked.refunded_fen,
            amount_fen=refunded.amount_fen,
        )
    await settlements.add_refunded(
        conn, asked.merchant_id, asked.settlement_id, refunded.amount_fen
    )
    await accounts.move(conn, [transfer])
    log.info("refund.booked", refund_id=str(refunded.refund_id), amount_fen=refunded.amount_fen)


async def note_failed_refund(conn: Connection, failed: RefundFailed, deps: Deps) -> None:
    """
    Keep why a refund failed; its money stays in the refund account for a person.

    One that was booked meanwhile has not failed any more: it was tried again.

    Raises:
        SettlementUnknown: The request is not ours, or not here yet.
    """
    if failed.settlement_id is None:
        return
    if await transfers.of_causes(conn, failed.merchant_id, [failed.refund_id]):
        return
    noted = await settlements.note_failure(
        conn, failed.merchant_id, failed.settlement_id, failed.reason, now=deps.clock.now()
    )
    if not noted:
        raise SettlementUnknown(
            "Nobody asked for this refund.", settlement_id=str(failed.settlement_id)
        )
    log.warning("refund.failed", refund_id=str(failed.refund_id), amount_fen=failed.amount_fen)


def _refunded(asked: Settlement, refunded: RefundSucceeded) -> Transfer:
    return Transfer(
        merchant_id=asked.merchant_id,
        cause_id=refunded.refund_id,
        kind=TransferKind.REFUNDED,
        debit_account=chart.refund(asked.rail),
        credit_account=chart.rail(refunded.rail),
        amount_fen=refunded.amount_fen,
        customer_id=asked.customer_id,
        agreement_id=asked.agreement_id,
        occurred_at=refunded.occurred_at,
    )


async def _check_repeat(conn: Connection, transfer: Transfer) -> None:
    stood = await transfers.of_causes(conn, transfer.merchant_id, [transfer.cause_id])
    if [t.amount_fen for t in stood] != [transfer.amount_fen]:
        raise BookedOtherwise(
            "This refund was booked with another amount.", refund_id=str(transfer.cause_id)
        )
