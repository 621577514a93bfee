"""Each night: what is overdue is told to somebody above, and what is open is counted."""

from typing import Final

from prometheus_client import Gauge

from services.billing.contract import TaskEscalated
from services.billing.deps import Deps
from services.billing.store import tasks
from services.billing.usecases.handle_claims import lapse_offers
from shared import metrics, outbox
from shared.ids import derived_id

OPEN: Final = Gauge(
    "yuefu_tasks_open",
    "Tasks that wait for a person, by kind and age: up to 1d, 3d, 7d, 30d, or older.",
    ["kind", "age"],
    registry=metrics.REGISTRY,
)


async def look_after_tasks(deps: Deps) -> int:
    """Escalate overdue tasks, once each, let offers lapse, tell the figures; return how many."""
    moved = await lapse_offers(deps)
    while escalated := await _escalate(deps):
        moved += escalated
    async with deps.db.connection() as conn:
        ages = await tasks.open_ages(conn, now=deps.clock.now())
    OPEN.clear()
    for kind, age, number in ages:
        OPEN.labels(kind, age).set(number)
    return moved


async def _escalate(deps: Deps) -> int:
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        found = await tasks.claim_overdue(conn, now=now, limit=deps.terms.batch)
        await outbox.add(
            conn,
            *(
                TaskEscalated(
                    event_id=derived_id("task_escalated", task.task_id),
                    occurred_at=now,
                    task_id=task.task_id,
                    kind=task.kind.value,
                    instalment_id=task.instalment_id,
                    assignee=task.assignee,
                    due_at=task.due_at,
                    agreement_id=task.agreement_id,
                    merchant_id=task.merchant_id,
                    customer_id=task.customer_id,
                )
                for task in found
            ),
        )
    if found:
        deps.db.committed.ring()
    return len(found)
