"""Tasks close, and the others are told; a settled period needs no following up."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.billing.contract import TaskClosed
from services.billing.domain.task import ABOUT_ARREARS, Outcome, Task, TaskKind, close
from services.billing.store import dunning_cases, tasks
from shared import outbox
from shared.db import Connection
from shared.ids import derived_id

BY_ITSELF = "billing"


async def end_dunning(
    conn: Connection, instalment_ids: Sequence[UUID], outcome: Outcome, *, now: datetime
) -> None:
    """Close the cases of these instalments and what staff had to follow up; repeats safely."""
    if not instalment_ids:
        return
    await dunning_cases.close_of(conn, instalment_ids, reason=outcome.value, at=now)
    found = await tasks.open_of_instalments(conn, instalment_ids)
    await close_all(conn, [task for task in found if task.kind in ABOUT_ARREARS], outcome, now=now)


async def close_manual_checks(
    conn: Connection,
    agreement_ids: Sequence[UUID],
    outcome: Outcome,
    *,
    by: str = BY_ITSELF,
    now: datetime,
) -> None:
    """Close the checks that a risk flag asked for."""
    if agreement_ids:
        found = await tasks.open_of_agreements(conn, agreement_ids, [TaskKind.MANUAL_CHECK])
        await close_all(conn, found, outcome, by=by, now=now)


async def close_all(
    conn: Connection,
    open_tasks: Sequence[Task],
    outcome: Outcome,
    *,
    by: str = BY_ITSELF,
    now: datetime,
) -> None:
    """Close locked tasks and tell that they are closed."""
    closed = [close(task, outcome, by=by, now=now) for task in open_tasks]
    await tasks.save(conn, closed)
    await tell_closed(conn, closed, now=now)


async def tell_closed(conn: Connection, closed: Sequence[Task], *, now: datetime) -> None:
    """Tell that tasks need nobody any more."""
    await outbox.add(
        conn,
        *(
            TaskClosed(
                event_id=derived_id("task_closed", task.task_id, task.closed_at),
                occurred_at=now,
                task_id=task.task_id,
                kind=task.kind.value,
                instalment_id=task.instalment_id,
                outcome=task.outcome or Outcome.ENDED,
                promised_on=task.promised_on,
                agreement_id=task.agreement_id,
                merchant_id=task.merchant_id,
                customer_id=task.customer_id,
            )
            for task in closed
            if task.closed_at is not None
        ),
    )
