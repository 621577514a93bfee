"""Each night: refunds that have not reached the customer in time are told to a person."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.billing.deps import Deps
from services.billing.domain.refund import ASK_PERSON_AFTER, Refund, failure_of, hard_deadline
from services.billing.domain.task import TaskKind
from services.billing.store import agreements, refunds, tasks
from services.billing.usecases import announce
from shared.ids import derived_id

WARN_BEFORE: Final = timedelta(days=1)
"""How long before the legal deadline the second task is opened; it is due at the deadline."""


async def watch_refunds(deps: Deps) -> int:
    """
    Open a task for what waits beyond our target, another near the legal deadline (CT-17).

    Each once; a task that is overdue is escalated with all others.  Return how many.
    """
    opened, after = 0, None
    while True:
        now = deps.clock.now()
        async with deps.db.connection() as conn:
            found = await refunds.open_since(
                conn, before=now - ASK_PERSON_AFTER, after=after, limit=deps.terms.batch
            )
            wanted = [want for row in found for want in _wanted(*row, now=now)]
            known = await tasks.known(conn, [_task_id(kind, one) for kind, one, _ in wanted])
        for kind, one, due_at in wanted:
            if _task_id(kind, one) not in known:
                await _open(deps, kind, one, due_at)
                opened += 1
        if len(found) < deps.terms.batch:
            return opened
        after = found[-1][0].refund_id


def _wanted(
    one: Refund, reason: str, asked_at: datetime, *, now: datetime
) -> list[tuple[TaskKind, Refund, datetime]]:
    due_at = hard_deadline(asked_at, reason)
    wanted = [(TaskKind.REFUND_FAILED, one, due_at)]
    if now >= due_at - WARN_BEFORE:
        wanted.append((TaskKind.REFUND_LATE, one, due_at))
    return wanted


def _task_id(kind: TaskKind, one: Refund) -> UUID:
    return derived_id("task", kind, failure_of(one.refund_id, 0))


async def _open(deps: Deps, kind: TaskKind, one: Refund, due_at: datetime) -> None:
    async with deps.db.transaction() as conn:
        agreement = await agreements.lock(conn, one.agreement_id)
        await announce.open_task(
            conn,
            kind,
            failure_of(one.refund_id, 0),
            agreement,
            one.instalment_id,
            detail=f"{one.refund_no} {one.failure_code or 'not confirmed'}",
            now=deps.clock.now(),
            due_at=due_at,
        )
