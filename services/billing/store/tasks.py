"""What people have to follow up."""

from datetime import datetime
from uuid import UUID

from services.billing.domain.task import Task, TaskKind
from shared.db import Connection, Row


async def add(conn: Connection, task: Task) -> bool:
    """Add *task*; False if it stood already."""
    done = await conn.execute(
        """
        INSERT INTO tasks SELECT * FROM jsonb_populate_recordset(NULL::tasks, $1)
            ON CONFLICT (task_id) DO NOTHING
        """,
        [task],
    )
    return bool(done == "INSERT 0 1")


async def page(
    conn: Connection,
    merchant_id: UUID,
    *,
    waiting_only: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Task]:
    """Return a merchant's tasks after the one named, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM tasks
         WHERE merchant_id = $1
           AND (NOT $2 OR closed_at IS NULL)
           AND ($3::timestamptz IS NULL OR (opened_at, task_id) > ($3, $4))
         ORDER BY opened_at, task_id
         LIMIT $5
        """,
        merchant_id,
        waiting_only,
        *(after or (None, None)),
        limit,
    )
    return [_task(row) for row in rows]


async def close_of_instalments(conn: Connection, instalment_ids: list[UUID], at: datetime) -> None:
    """Close what was to be followed up about instalments that are settled now."""
    await conn.execute(
        """
        UPDATE tasks SET closed_at = $2
         WHERE instalment_id = ANY($1::uuid[]) AND closed_at IS NULL
           AND kind IN ('follow_up', 'lawful_procedure')
        """,
        instalment_ids,
        at,
    )


def _task(row: Row) -> Task:
    return Task(**{**row, "kind": TaskKind(row["kind"])})
