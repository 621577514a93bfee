"""A member of staff lets a refund be tried again."""

from uuid import UUID

import structlog

from services.billing.deps import Deps
from services.billing.domain.history import Actor, Move
from services.billing.domain.refund import Refund, retry
from services.billing.store import agreements, history, refunds
from services.billing.usecases.send_refunds import close_refund_tasks

log = structlog.get_logger()


async def retry_refund(deps: Deps, merchant_id: UUID, refund_id: UUID, *, by: str) -> Refund:
    """
    Ask the rail again, under the same number; the task that asked for it is closed.

    Repeats safely: what waits or is under way is only asked for sooner.

    Raises:
        RefundUnknown: There is no such refund, or it is another merchant's.
        RefundDone, RefundAboveRest, RefundWindowOver, RefundPartsExhausted: It cannot be.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        found = await refunds.find(conn, merchant_id, refund_id)
        await agreements.lock(conn, found.agreement_id)
        before = await refunds.lock(conn, refund_id)
        assert before is not None
        charge = await refunds.refundable_charge(conn, before.attempt_id, deps.permissions)
        after = retry(before, charge, now=now)
        await refunds.save(conn, after)
        if after.state is not before.state:
            move = Move(
                "refund",
                refund_id,
                after.instalment_id,
                before.state,
                after.state,
                Actor.STAFF,
                f"retried by {by}",
                now,
            )
            await history.add(conn, [move])
            await close_refund_tasks(conn, after, by=by, now=now)
    log.info("refund.retried", refund_id=str(refund_id))
    return after
