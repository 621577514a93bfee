"""Payouts that are written are sent; those that nobody is sure about are asked about."""

import structlog

from services.wallet.contract import PayoutSettled
from services.wallet.contract.merchant_states import Beneficiary, PayoutState
from services.wallet.deps import Deps
from services.wallet.domain.order import Answer, Verdict
from services.wallet.domain.payout import Payout, hear, returned
from services.wallet.store import accounts, payouts
from services.wallet.usecases.settle_merchants import note_payout
from services.wallet.usecases.write_transfers import write_transfers
from shared import outbox
from shared.ids import derived_id

log = structlog.get_logger()


async def send_payouts(deps: Deps) -> int:
    """
    Work off the payouts that are due; return how many.

    What was prepared is sent; everything that may have been sent is only asked about, until
    the institution knows it or says that it never saw it.  Failure puts the money back.
    """
    async with deps.db.transaction(quiet=True) as conn:
        taken = await payouts.claim(conn, now=deps.clock.now())
    for payout in taken:
        await settle_payout(payout, await ask(payout, deps), deps)
    return len(taken)


async def ask(payout: Payout, deps: Deps) -> Answer:
    """Send a payout that was prepared, ask about any other; no transaction is open."""
    first = payout.state is PayoutState.PREPARED
    if payout.beneficiary is Beneficiary.PARTNER:
        return await (deps.partner.repay(payout) if first else deps.partner.query_repaid(payout))
    return await (deps.channel.pay(payout) if first else deps.channel.query(payout))


async def settle_payout(taken: Payout, answer: Answer, deps: Deps) -> None:
    """Record an answer; one that comes after the end changes nothing."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        before = await payouts.lock(conn, taken.merchant_id, taken.payout_id)
        assert before is not None, "payouts are never deleted"
        after = hear(before, answer, now=now)
        if after == before:
            return
        await payouts.save(conn, after)
        if after.next_at is None:
            await note_payout(conn, after, after.state, now=now)
            event = PayoutSettled(
                event_id=derived_id("payout.settled", after.payout_id),
                occurred_at=now,
                payout_id=after.payout_id,
                merchant_id=after.merchant_id,
                beneficiary=after.beneficiary,
                amount_fen=after.amount_fen,
                succeeded=after.state is PayoutState.SUCCEEDED,
                failure=after.failure,
            )
            await outbox.add(conn, event)
        if answer.verdict is Verdict.REFUSED:
            back = await write_transfers(conn, [returned(after, now=now)])
            await accounts.move(conn, back)
    log.info("payout.heard", payout_id=str(taken.payout_id), state=after.state)
