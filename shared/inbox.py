"""What a consumer has already heard, so that hearing it again changes nothing."""

from collections.abc import Sequence
from uuid import UUID

from shared.db import Connection


async def claim(conn: Connection, consumer: str, event_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of *event_ids* that *consumer* had not heard, and mark them as heard."""
    rows = await conn.fetch(
        """
        INSERT INTO inbox (consumer, event_id)
        SELECT DISTINCT $1, e FROM unnest($2::uuid[]) AS e ORDER BY 2
        ON CONFLICT DO NOTHING
        RETURNING event_id
        """,
        consumer,
        event_ids,
    )
    return {row["event_id"] for row in rows}
