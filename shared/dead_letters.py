"""Events that could not be applied, kept until a person has looked and replayed them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db import Connection
from shared.errors import NotFound
from shared.ids import new_id


@dataclass(frozen=True)
class DeadLetter:
    """One event that one consumer gave up."""

    dead_letter_id: UUID
    consumer: str
    subject: str
    event_id: str
    body: bytes
    error: str
    tries: int
    died_at: datetime
    replayed_at: datetime | None


async def add(
    conn: Connection,
    *,
    consumer: str,
    subject: str,
    event_id: str,
    body: bytes,
    error: str,
    tries: int,
    now: datetime,
) -> None:
    """Keep an event that failed; one that fails again after a replay waits anew."""
    await conn.execute(
        """
        INSERT INTO dead_letters
               (dead_letter_id, consumer, subject, event_id, body, error, tries, died_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (consumer, event_id) DO UPDATE
           SET error = EXCLUDED.error, tries = dead_letters.tries + EXCLUDED.tries,
               died_at = EXCLUDED.died_at, replayed_at = NULL
        """,
        new_id(),
        consumer,
        subject,
        event_id,
        body,
        error,
        tries,
        now,
    )


async def page(
    conn: Connection, *, limit: int, after: UUID | None = None, waiting_only: bool = True
) -> list[DeadLetter]:
    """Return up to *limit* letters after *after* in order of id, those waiting or all."""
    rows = await conn.fetch(
        """
        SELECT * FROM dead_letters
         WHERE ($1::uuid IS NULL OR dead_letter_id > $1) AND (NOT $2 OR replayed_at IS NULL)
         ORDER BY dead_letter_id LIMIT $3
        """,
        after,
        waiting_only,
        limit,
    )
    return [DeadLetter(**row) for row in rows]


async def waiting(conn: Connection, dead_letter_id: UUID) -> DeadLetter:
    """
    Return one letter that nobody has replayed.

    Raises:
        NotFound: There is none with this id, or it was replayed already.
    """
    row = await conn.fetchrow(
        "SELECT * FROM dead_letters WHERE dead_letter_id = $1 AND replayed_at IS NULL",
        dead_letter_id,
    )
    if row is None:
        raise NotFound("No dead letter waits under this id.", dead_letter_id=str(dead_letter_id))
    return DeadLetter(**row)


async def mark_replayed(conn: Connection, dead_letter_id: UUID, *, now: datetime) -> None:
    """Record that the letter has been applied after all."""
    await conn.execute(
        "UPDATE dead_letters SET replayed_at = $2 WHERE dead_letter_id = $1", dead_letter_id, now
    )
