"""What people have to follow up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.billing.domain.errors import TaskUnknown
from services.billing.domain.task import Outcome, Task, TaskKind
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks to list; None means any."""

    waiting_only: bool = True
    kind: str | None = None
    assignee: str | None = None
    agreement_id: UUID | None = None
    overdue_at: datetime | None = None
    escalated_only: bool = False


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
    wanted: Wanted,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Task]:
    """Return a merchant's tasks after the one named, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM tasks
         WHERE merchant_id = $1
           AND (NOT $2 OR closed_at IS NULL)
           AND ($3::text IS NULL OR kind = $3)
           AND ($4::text IS NULL OR assignee = $4)
           AND ($5::uuid IS NULL OR agreement_id = $5)
           AND ($6::timestamptz IS NULL OR (closed_at IS NULL AND due_at < $6))
           AND (NOT $7 OR escalated_at IS NOT NULL)
           AND ($8::timestamptz IS NULL OR (opened_at, task_id) > ($8, $9))
         ORDER BY opened_at, task_id
         LIMIT $10
        """,
        merchant_id,
        wanted.waiting_only,
        wanted.kind,
        wanted.assignee,
        wanted.agreement_id,
        wanted.overdue_at,
        wanted.escalated_only,
        *(after or (None, None)),
        limit,
    )
    return [_task(row) for row in rows]


async def find(conn: Connection, merchant_id: UUID, task_id: UUID) -> Task:
    """
    Return one task of this merchant as it stands.

    Raises:
        TaskUnknown: There is none, or it is another merchant's.
    """
    row = await conn.fetchrow(
        "SELECT * FROM tasks WHERE merchant_id = $1 AND task_id = $2", merchant_id, task_id
    )
    if row is None:
        raise TaskUnknown("No such task.", task_id=task_id)
    return _task(row)


async def lock(conn: Connection, merchant_id: UUID, task_id: UUID) -> Task:
    """
    Return one task of this merchant, locked until the transaction ends.

    Whoever needs its agreement's lock takes that first.

    Raises:
        TaskUnknown: There is none, or it is another merchant's.
    """
    row = await conn.fetchrow(
        "SELECT * FROM tasks WHERE merchant_id = $1 AND task_id = $2 FOR NO KEY UPDATE",
        merchant_id,
        task_id,
    )
    if row is None:
        raise TaskUnknown("No such task.", task_id=task_id)
    return _task(row)


async def save(conn: Connection, tasks: Sequence[Task]) -> None:
    """Write back what may change of locked tasks."""
    if not tasks:
        return
    await conn.execute(
        """
        UPDATE tasks AS t
           SET due_at = n.due_at, closed_at = n.closed_at, assignee = n.assignee,
               outcome = n.outcome, promised_on = n.promised_on,
               recorded_by = n.recorded_by, calls = n.calls, escalated_at = n.escalated_at
          FROM jsonb_populate_recordset(NULL::tasks, $1) AS n
         WHERE t.task_id = n.task_id
        """,
        list(tasks),
    )


async def open_of_instalments(conn: Connection, instalment_ids: Sequence[UUID]) -> list[Task]:
    """Return what is to be followed up about these instalments, locked."""
    rows = await conn.fetch(
        """
        SELECT * FROM tasks
         WHERE instalment_id = ANY($1::uuid[]) AND closed_at IS NULL
         ORDER BY task_id
           FOR NO KEY UPDATE
        """,
        instalment_ids,
    )
    return [_task(row) for row in rows]


async def open_by_ids(conn: Connection, task_ids: Sequence[UUID]) -> list[Task]:
    """Return those of these tasks that nobody has closed, locked."""
    rows = await conn.fetch(
        """
        SELECT * FROM tasks WHERE task_id = ANY($1::uuid[]) AND closed_at IS NULL
         ORDER BY task_id FOR NO KEY UPDATE
        """,
        task_ids,
    )
    return [_task(row) for row in rows]


async def known(conn: Connection, task_ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these tasks were ever opened."""
    rows = await conn.fetch("SELECT task_id FROM tasks WHERE task_id = ANY($1::uuid[])", task_ids)
    return {row["task_id"] for row in rows}


async def open_of_agreements(
    conn: Connection, agreement_ids: Sequence[UUID], kinds: Sequence[TaskKind]
) -> list[Task]:
    """Return the open tasks of these kinds about these agreements, locked."""
    rows = await conn.fetch(
        """
        SELECT * FROM tasks
         WHERE agreement_id = ANY($1::uuid[]) AND kind = ANY($2::text[]) AND closed_at IS NULL
         ORDER BY task_id
           FOR NO KEY UPDATE
        """,
        agreement_ids,
        [kind.value for kind in kinds],
    )
    return [_task(row) for row in rows]


async def claim_overdue(conn: Connection, *, now: datetime, limit: int) -> list[Task]:
    """Return up to *limit* open tasks that are overdue and not escalated, marked so now."""
    rows = await conn.fetch(
        """
        UPDATE tasks SET escalated_at = $1
         WHERE task_id IN (
               SELECT task_id FROM tasks
                WHERE closed_at IS NULL AND escalated_at IS NULL AND due_at < $1
                ORDER BY due_at, task_id
                LIMIT $2
                  FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        now,
        limit,
    )
    return sorted((_task(row) for row in rows), key=lambda task: (task.due_at, task.task_id))


async def of_agreement(conn: Connection, agreement_id: UUID) -> list[Task]:
    """Return every task about an agreement, oldest first."""
    rows = await conn.fetch(
        "SELECT * FROM tasks WHERE agreement_id = $1 ORDER BY opened_at, task_id", agreement_id
    )
    return [_task(row) for row in rows]


async def open_ages(conn: Connection, *, now: datetime) -> list[tuple[str, str, int]]:
    """Return (kind, age, how many) of what is open; ages are 1d, 3d, 7d, 30d and older."""
    rows = await conn.fetch(
        """
        SELECT kind,
               CASE WHEN opened_at > $1::timestamptz - interval '1 day' THEN '1d'
                    WHEN opened_at > $1::timestamptz - interval '3 days' THEN '3d'
                    WHEN opened_at > $1::timestamptz - interval '7 days' THEN '7d'
                    WHEN opened_at > $1::timestamptz - interval '30 days' THEN '30d'
                    ELSE 'older' END AS age,
               count(*) AS number
          FROM tasks
         WHERE closed_at IS NULL
         GROUP BY 1, 2
         ORDER BY 1, 2
        """,
        now,
    )
    return [(row["kind"], row["age"], row["number"]) for row in rows]


def _task(row: Row) -> Task:
    outcome = row["outcome"]
    return Task(
        **{
            **row,
            "kind": TaskKind(row["kind"]),
            "outcome": None if outcome is None else Outcome(outcome),
        }
    )
