"""Changes of agreements in their order, and what billing told of schedules and payments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.signing.contract import SignedInstalment
from services.signing.domain.agreement import Agreement
from services.signing.domain.changes import Current
from shared.db import Connection

NEXT_RESUMING: Final = "SELECT min(resumes_at) FROM agreements WHERE state = 'paused'"
"""When the next pause is over."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as it was decided."""

    agreement_id: UUID
    change_no: int
    kind: str
    detail: Mapping[str, object]
    actor: str
    reason: str
    evidence_ref: str
    changed_at: datetime


async def add(conn: Connection, change: Change) -> None:
    """Append one change of a locked agreement."""
    await conn.execute(
        """
        INSERT INTO agreement_changes (agreement_id, change_no, kind, detail, actor, reason,
                                       evidence_ref, changed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        change.agreement_id,
        change.change_no,
        change.kind,
        dict(change.detail),
        change.actor,
        change.reason,
        change.evidence_ref,
        change.changed_at,
    )


async def of(conn: Connection, agreement_id: UUID) -> list[Change]:
    """Return an agreement's changes in their order."""
    rows = await conn.fetch(
        "SELECT * FROM agreement_changes WHERE agreement_id = $1 ORDER BY change_no", agreement_id
    )
    return [Change(**row) for row in rows]


async def resuming(conn: Connection, *, now: datetime, limit: int) -> list[UUID]:
    """Return agreements whose pause is over, oldest first; locks nothing."""
    rows = await conn.fetch(
        """
        SELECT agreement_id FROM agreements
         WHERE state = 'paused' AND resumes_at <= $1
         ORDER BY resumes_at, agreement_id LIMIT $2
        """,
        now,
        limit,
    )
    return [row["agreement_id"] for row in rows]


async def current(conn: Connection, agreement: Agreement) -> Current:
    """Return an agreement's schedule as it stands, and which periods are paid."""
    lines = await conn.fetchval(
        "SELECT lines FROM current_schedules WHERE agreement_id = $1", agreement.agreement_id
    )
    paid = await conn.fetch(
        "SELECT seq FROM paid_periods WHERE agreement_id = $1", agreement.agreement_id
    )
    told = [SignedInstalment.model_validate(line) for line in lines or ()]
    return Current(told or agreement.instalments, frozenset(row["seq"] for row in paid))


async def note_schedule(
    conn: Connection, agreement_id: UUID, *, terms_no: int, lines: Sequence[Mapping[str, object]]
) -> None:
    """Keep the newest schedule that billing told; an older one changes nothing."""
    await conn.execute(
        """
        INSERT INTO current_schedules AS c (agreement_id, terms_no, lines)
        VALUES ($1, $2, $3)
            ON CONFLICT (agreement_id) DO UPDATE
           SET terms_no = excluded.terms_no, lines = excluded.lines
         WHERE c.terms_no < excluded.terms_no
        """,
        agreement_id,
        terms_no,
        list(lines),
    )


async def note_paid(conn: Connection, periods: Sequence[tuple[UUID, int, datetime]]) -> None:
    """Remember which periods are paid; repeats safely."""
    await conn.execute(
        """
        INSERT INTO paid_periods (agreement_id, seq, paid_at)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) ON CONFLICT DO NOTHING
        """,
        [period[0] for period in periods],
        [period[1] for period in periods],
        [period[2] for period in periods],
    )
