"""What must hold of all messages together."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.db import Connection

STUCK_AFTER: Final = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Breach:
    """One message of which something does not hold."""

    check: str
    merchant_id: UUID
    message_id: UUID


async def breaches(conn: Connection, *, now: datetime) -> list[Breach]:
    """Return every message that is stuck, was forgotten, or whose receipt is nowhere."""
    rows = await conn.fetch(
        """
        SELECT 'stuck' AS check, merchant_id, message_id FROM messages
         WHERE state IN ('queued', 'submitted') AND due_at < $1
         UNION ALL
        SELECT 'beyond_its_time', merchant_id, message_id FROM messages
         WHERE state = 'queued' AND due_at > send_by
         UNION ALL
        SELECT 'not_in_history', m.merchant_id, m.message_id FROM messages m
         WHERE m.accepted_at > $2
           AND NOT EXISTS (SELECT 1 FROM message_history h
                            WHERE h.merchant_id = m.merchant_id AND h.message_id = m.message_id)
         UNION ALL
        SELECT 'receipt_ignored', m.merchant_id, m.message_id
          FROM receipts r JOIN messages m USING (merchant_id, message_id)
         WHERE r.delivered AND m.state <> 'delivered'
         ORDER BY 1, 2, 3
        """,
        now - STUCK_AFTER,
        now - timedelta(days=2),
    )
    return [Breach(**row) for row in rows]
