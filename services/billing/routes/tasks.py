"""What the merchant's staff must follow up."""

from datetime import datetime
from uuid import UUID

from services.billing.contract.api import (
    TaskFilter,
    TaskView,
)
from services.billing.deps import Deps
from services.billing.routes.table import api
from services.billing.store import tasks
from shared.web import Call, Page


@api.get("/v1/tasks", scope="billing:read", tags=("tasks",))
async def list_tasks(call: Call[Deps], query: TaskFilter) -> Page[TaskView]:
    """List what the merchant's staff must follow up, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await tasks.page(
            conn,
            call.tenant_id,
            waiting_only=query.waiting_only,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[TaskView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.opened_at, row.task_id),
        view=TaskView.model_validate,
    )
