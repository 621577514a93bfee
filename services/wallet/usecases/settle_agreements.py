"""What an ended agreement has not spent leaves the wallet, to go back where it came from."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import structlog

from services.wallet.contract import RefundRequested
from services.wallet.contract.states import TransferKind
from services.wallet.domain import accounts as chart
from services.wallet.domain.ledger import Settled, Settlement, settle
from services.wallet.domain.transfer import Transfer
from services.wallet.store import ledgers, settlements
from services.wallet.store.ledgers import LedgerKey
from services.wallet.usecases.write_transfers import write_transfers
from shared import outbox
from shared.db import Connection
from shared.ids import new_id

log = structlog.get_logger()


async def settle_agreements(
    conn: Connection, keys: Sequence[LedgerKey], *, now: datetime
) -> list[Transfer]:
    """
    Settle those of *keys* that have ended, have no open hold and have money or bonus left.

    Returns the transfers, whose balances the caller moves.  Safe to repeat: what is
    settled has nothing left.
    """
    if not keys:
        return []
    books = await ledgers.lock(conn, keys)
    done = [settled for ledger in books.values() if (settled := settle(ledger, now=now))]
    return await book_settled(conn, done, now=now) if done else []


async def book_settled(
    conn: Connection, done: Sequence[Settled], *, now: datetime
) -> list[Transfer]:
    """
    Write what was taken out of locked ledgers, ask for the refunds, return the transfers.

    The caller moves the balances.
    """
    refunds = [settled.refund for settled in done if settled.refund]
    await ledgers.save(conn, [settled.ledger for settled in done])
    await settlements.add(conn, refunds)
    written = await write_transfers(
        conn, (move for settled in done for move in _moves(settled, now))
    )
    await outbox.add(conn, *(_requested(refund) for refund in refunds))
    for settled in done:
        log.info(
            "agreement.settled",
            agreement_id=str(settled.ledger.agreement_id),
            settlement_id=str(settled.settlement_id),
            penalty_fen=settled.penalty_fen,
            lapsed_fen=settled.lapsed_fen,
            refund_fen=settled.refund.amount_fen if settled.refund else 0,
        )
    return written


def _moves(settled: Settled, now: datetime) -> Iterator[Transfer]:
    yield _out(settled, TransferKind.PENALTY, chart.MERCHANT_PAYABLE, settled.penalty_fen, now)
    yield _out(settled, TransferKind.BONUS_LAPSED, chart.PROMOTION, settled.lapsed_fen, now)
    if settled.refund:
        to = chart.refund(settled.refund.rail)
        yield _out(settled, TransferKind.REFUND_REQUESTED, to, settled.refund.amount_fen, now)


def _out(settled: Settled, kind: TransferKind, to: str, amount_fen: int, now: datetime) -> Transfer:
    ledger = settled.ledger
    purse = chart.Purse.BONUS if kind is TransferKind.BONUS_LAPSED else chart.Purse.PRINCIPAL
    return Transfer(
        merchant_id=ledger.merchant_id,
        cause_id=settled.settlement_id,
        kind=kind,
        debit_account=chart.wallet(ledger.customer_id, purse),
        credit_account=to,
        amount_fen=amount_fen,
        customer_id=ledger.customer_id,
        agreement_id=ledger.agreement_id,
        occurred_at=now,
    )


def _requested(refund: Settlement) -> RefundRequested:
    return RefundRequested(
        event_id=new_id(),
        occurred_at=refund.requested_at,
        settlement_id=refund.settlement_id,
        agreement_id=refund.agreement_id,
        merchant_id=refund.merchant_id,
        customer_id=refund.customer_id,
        amount_fen=refund.amount_fen,
        reason=refund.reason,
    )
