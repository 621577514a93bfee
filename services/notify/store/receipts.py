"""The table ``receipts``: what providers say became of messages, perhaps too early."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.notify.domain.provider import Found, Receipt
from shared.db import Connection


async def one_at_a_time(conn: Connection, provider: str) -> None:
    """Let receipts and answers of *provider* be stored one after the other, so that they meet."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 7))", provider)


async def add(conn: Connection, receipt: Receipt, *, recipient_index: str, now: datetime) -> bool:
    """Keep a receipt; False if it says nothing new (delivered is never taken back)."""
    kept = await conn.fetchval(
        """
        INSERT INTO receipts AS r (provider, provider_message_id, recipient_index, template_code,
                                   delivered, code, at, received_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (provider, provider_message_id, recipient_index) DO UPDATE
           SET delivered = excluded.delivered, code = excluded.code, at = excluded.at
         WHERE excluded.delivered AND NOT r.delivered
        RETURNING true
        """,
        receipt.provider,
        receipt.provider_message_id,
        recipient_index,
        receipt.template_code,
        receipt.delivered,
        receipt.code,
        receipt.at,
        now,
    )
    return bool(kept)


async def place(
    conn: Connection, receipt: Receipt, *, recipient_index: str, key: tuple[UUID, UUID]
) -> None:
    """Note which message a receipt is about."""
    await conn.execute(
        """
        UPDATE receipts SET merchant_id = $4, message_id = $5
         WHERE provider = $1 AND provider_message_id = $2 AND recipient_index = $3
        """,
        receipt.provider,
        receipt.provider_message_id,
        recipient_index,
        *key,
    )


async def waiting(conn: Connection, provider: str, numbers: Sequence[str]) -> dict[str, Found]:
    """Return receipts that came before we knew their message, by the provider's number."""
    rows = await conn.fetch(
        """
        SELECT provider_message_id, delivered, code, at FROM receipts
         WHERE provider = $1 AND provider_message_id = ANY($2) AND message_id IS NULL
           FOR UPDATE
        """,
        provider,
        list(numbers),
    )
    return {
        row["provider_message_id"]: Found(row["delivered"], row["code"], row["at"]) for row in rows
    }


async def place_waiting(
    conn: Connection, provider: str, number: str, key: tuple[UUID, UUID]
) -> None:
    """Note which message the receipts of *number* are about, now that we know."""
    await conn.execute(
        """
        UPDATE receipts SET merchant_id = $3, message_id = $4
         WHERE provider = $1 AND provider_message_id = $2 AND message_id IS NULL
        """,
        provider,
        number,
        *key,
    )


async def waiting_for(
    conn: Connection,
    provider: str,
    recipient_index: str,
    template_code: str,
    *,
    since: datetime,
) -> tuple[str, Found] | None:
    """Return the oldest unplaced receipt of such a message to this recipient, with its number."""
    row = await conn.fetchrow(
        """
        SELECT provider_message_id, delivered, code, at FROM receipts
         WHERE provider = $1 AND recipient_index = $2 AND template_code = $3
           AND at >= $4 AND message_id IS NULL
         ORDER BY at LIMIT 1 FOR UPDATE
        """,
        provider,
        recipient_index,
        template_code,
        since,
    )
    if row is None:
        return None
    number = row["provider_message_id"]
    return number, Found(row["delivered"], row["code"], row["at"], number)
