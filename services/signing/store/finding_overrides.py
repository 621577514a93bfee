"""Findings that a compliance officer let pass; they are added to and never changed."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Override:
    """Who let which finding of which version pass, when and why."""

    plan_id: UUID
    version: int
    finding_id: UUID
    rule_id: str
    pointer: str
    phrase: str
    reason: str
    actor: str
    overridden_at: datetime


async def add(conn: Connection, override: Override) -> bool:
    """Add one; return False if the finding was overridden before."""
    row = await conn.fetchrow(
        """
        INSERT INTO finding_overrides (plan_id, version, finding_id, rule_id, pointer, phrase,
               reason, actor, overridden_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT DO NOTHING
        RETURNING finding_id
        """,
        override.plan_id,
        override.version,
        override.finding_id,
        override.rule_id,
        override.pointer,
        override.phrase,
        override.reason,
        override.actor,
        override.overridden_at,
    )
    return row is not None


async def of(conn: Connection, plan_id: UUID, version: int) -> list[Override]:
    """Return the overrides of a version, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM finding_overrides
         WHERE plan_id = $1 AND version = $2
         ORDER BY overridden_at, finding_id
        """,
        plan_id,
        version,
    )
    return [Override(**row) for row in rows]
