"""Time stamps of agreements: wanted, asked for, granted; a granted one never changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.db import Connection

NEXT_DUE: Final = "SELECT min(due_at) FROM time_stamps WHERE due_at IS NOT NULL"
"""When an authority should next be asked."""


@dataclass(frozen=True, slots=True)
class WantedStamp:
    """One statement that waits for its stamp; *tries* counts this one, too."""

    agreement_id: UUID
    statement: str
    tries: int


async def want(conn: Connection, agreement_id: UUID, statement: str, *, now: datetime) -> None:
    """Remember that *statement* shall be stamped; repeats safely."""
    await conn.execute(
        """
        INSERT INTO time_stamps (agreement_id, statement, wanted_at, due_at)
        VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING
        """,
        agreement_id,
        statement,
        now,
    )


async def claim_due(
    conn: Connection, *, now: datetime, limit: int, lease: timedelta
) -> list[WantedStamp]:
    """Note, before the authority is asked, that it is; after *lease* anybody may ask again."""
    rows = await conn.fetch(
        """
        UPDATE time_stamps SET state = 'asked', tries = tries + 1, due_at = $1 + $3::interval
         WHERE agreement_id IN (SELECT agreement_id FROM time_stamps WHERE due_at <= $1
                                 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING agreement_id, statement, tries
        """,
        now,
        limit,
        lease,
    )
    return [WantedStamp(**row) for row in rows]


async def put_off(conn: Connection, agreement_id: UUID, *, problem: str, until: datetime) -> None:
    """Note why there is no stamp yet, and when to ask again."""
    await conn.execute(
        """
        UPDATE time_stamps SET problem = $2, due_at = $3
         WHERE agreement_id = $1 AND state <> 'granted'
        """,
        agreement_id,
        problem,
        until,
    )


async def grant(
    conn: Connection, agreement_id: UUID, *, answer: bytes, roots: str, stamped_at: datetime
) -> None:
    """Keep the first answer that holds, with the certificates it was checked against."""
    await conn.execute(
        """
        UPDATE time_stamps
           SET state = 'granted', problem = '', due_at = NULL, answer = $2, roots = $3,
               stamped_at = $4
         WHERE agreement_id = $1 AND state <> 'granted'
        """,
        agreement_id,
        answer,
        roots,
        stamped_at,
    )
