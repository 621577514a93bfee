"""Every move of a merchant, application, mandate or agreement: who, when, why."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Move:
    """One move from a state to another."""

    thing: str
    from_state: str
    to_state: str
    actor: str
    reason: str
    moved_at: datetime


async def add(
    conn: Connection,
    thing: str,
    thing_id: UUID,
    *,
    from_state: str,
    to_state: str,
    actor: str,
    reason: str = "",
    now: datetime,
) -> None:
    """Remember one move; staying in a state is none."""
    if from_state == to_state:
        return
    await conn.execute(
        """
        INSERT INTO history (thing, thing_id, from_state, to_state, actor, reason, moved_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        thing,
        thing_id,
        from_state,
        to_state,
        actor,
        reason,
        now,
    )


async def of(conn: Connection, *thing_ids: UUID) -> list[Move]:
    """Return the moves of these things, oldest first."""
    rows = await conn.fetch(
        """
        SELECT thing, from_state, to_state, actor, reason, moved_at
          FROM history
         WHERE thing_id = ANY($1::uuid[])
         ORDER BY history_id
        """,
        thing_ids,
    )
    return [Move(**row) for row in rows]
