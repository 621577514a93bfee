"""Send unspent money back to the charges that it came from, newest first."""

from typing import Final

from services.billing.deps import Deps
from services.billing.domain.history import Actor, Move
from services.billing.domain.refund import Refund, Refundable, RefundState, allocate, forbidden
from services.billing.domain.task import TaskKind
from services.billing.domain.trade_no import refund_no
from services.billing.store import agreements, history, refunds
from services.billing.usecases import announce
from services.billing.usecases.send_refunds import announce_failed
from services.wallet.contract import RefundRequested
from shared.db import Connection
from shared.ids import derived_id

SAID: Final = {"seven_days": "七日无理由退款", "after_sales": "售后退款", "goodwill": "商家退款"}
"""What the customer reads at the rail, by the reason of the request."""


async def refund_settlement(conn: Connection, asked: RefundRequested, deps: Deps) -> None:
    """
    Plan the refunds of one request; repeats safely.

    Never more goes back than was collected; what no charge can give is left to a person, and
    so is what its rail takes back no more: that fails at once, for all to see.

    Raises:
        AgreementUnknown: The agreement is not here yet; the event comes again.
    """
    now = deps.clock.now()
    agreement = await agreements.lock(conn, asked.agreement_id)
    if not await refunds.add_settlement(
        conn,
        asked.settlement_id,
        agreement_id=asked.agreement_id,
        merchant_id=asked.merchant_id,
        amount_fen=asked.amount_fen,
        reason=asked.reason,
        now=now,
    ):
        return
    charges = await refunds.refundable(conn, asked.agreement_id, deps.permissions)
    shares = allocate(asked.amount_fen, charges, now=now)
    planned = [_refund(asked, charge, share, deps) for charge, share in shares]
    await refunds.add(conn, planned)
    await history.add(
        conn,
        [
            Move(
                "refund",
                one.refund_id,
                one.instalment_id,
                "",
                one.state,
                Actor.WALLET,
                one.failure_code or asked.reason,
                now,
            )
            for one in planned
        ],
    )
    for one in planned:
        if one.state is RefundState.FAILED:
            await announce_failed(conn, one, agreement, now=now)
    left_fen = asked.amount_fen - sum(share for _, share in shares)
    if left_fen > 0:
        await announce.open_task(
            conn,
            TaskKind.REFUND_WITHOUT_CHARGE,
            asked.settlement_id,
            agreement,
            None,
            detail=f"{left_fen} fen of settlement {asked.settlement_id}",
            now=now,
        )


def _refund(asked: RefundRequested, charge: Refundable, amount_fen: int, deps: Deps) -> Refund:
    refund_id = derived_id("refund", asked.settlement_id, charge.attempt_id)
    now = deps.clock.now()
    refused = forbidden(charge, now=now)
    return Refund(
        refund_id=refund_id,
        refund_no=refund_no(refund_id),
        attempt_id=charge.attempt_id,
        instalment_id=charge.instalment_id,
        agreement_id=asked.agreement_id,
        merchant_id=asked.merchant_id,
        customer_id=asked.customer_id,
        settlement_id=asked.settlement_id,
        rail=charge.rail,
        amount_fen=amount_fen,
        reason=SAID.get(asked.reason, "未使用本金退回"),
        state=RefundState.FAILED if refused else RefundState.WAITING,
        created_at=now,
        next_at=None if refused else now,
        settled_at=now if refused else None,
        failure_code=refused or None,
    )
