"""What the merchant's staff must follow up, and what came of it."""

from datetime import datetime
from uuid import UUID

from services.billing.contract.dunning import Assignment, NewOutcome, TaskFilter, TaskView
from services.billing.deps import Deps
from services.billing.domain.contact_rules import Direction, Person
from services.billing.domain.errors import (
    ContactRefused,
    ContactThirdParty,
    DisputeRefundMissing,
    OutcomeUnfit,
    PromiseUnfit,
    TaskClosedAlready,
    TaskUnknown,
)
from services.billing.domain.task import Outcome, Result
from services.billing.routes.table import api
from services.billing.store import tasks
from services.billing.store.tasks import Wanted
from services.billing.usecases.record_outcome import Told, assign_task, record_outcome
from shared.web import Call, Page


@api.get("/v1/tasks", scope="billing:read", tags=("tasks",))
async def list_tasks(call: Call[Deps], query: TaskFilter) -> Page[TaskView]:
    """List what the merchant's staff must follow up, oldest first."""
    wanted = Wanted(
        waiting_only=query.waiting_only,
        kind=query.kind,
        assignee=query.assignee,
        agreement_id=query.agreement_id,
        overdue_at=call.deps.clock.now() if query.overdue_only else None,
        escalated_only=query.escalated_only,
    )
    async with call.deps.db.connection() as conn:
        rows = await tasks.page(
            conn,
            call.tenant_id,
            wanted,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[TaskView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.opened_at, row.task_id),
        view=TaskView.model_validate,
    )


@api.get("/v1/tasks/{task_id}", scope="billing:read", tags=("tasks",), problems=(TaskUnknown,))
async def get_task(call: Call[Deps], task_id: UUID) -> TaskView:
    """Show one task."""
    async with call.deps.db.connection() as conn:
        found = await tasks.find(conn, call.tenant_id, task_id)
    return TaskView.model_validate(found)


@api.put(
    "/v1/tasks/{task_id}/assignee",
    scope="billing:write",
    tags=("tasks",),
    problems=(TaskUnknown, TaskClosedAlready),
)
async def put_assignee(call: Call[Deps], task_id: UUID, body: Assignment) -> TaskView:
    """Give a task to a member of staff, or to another one."""
    async with call.deps.db.transaction() as conn:
        after = await assign_task(conn, call.tenant_id, task_id, body.assignee)
    return TaskView.model_validate(after)


@api.post(
    "/v1/tasks/{task_id}/outcome",
    scope="billing:write",
    tags=("tasks",),
    problems=(
        TaskUnknown,
        TaskClosedAlready,
        OutcomeUnfit,
        PromiseUnfit,
        ContactThirdParty,
        ContactRefused,
        DisputeRefundMissing,
    ),
)
async def post_outcome(call: Call[Deps], task_id: UUID, body: NewOutcome) -> TaskView:
    """Record what came of a task; a promise pauses the ladder, a hardship opens a claim."""
    after = await record_outcome(
        call.deps,
        call.tenant_id,
        task_id,
        Told(
            Result(Outcome(body.outcome), body.recorded_by, body.promised_on),
            contact_id=call.new_id("contact"),
            person=Person(body.person),
            direction=Direction(body.direction),
        ),
    )
    return TaskView.model_validate(after)
