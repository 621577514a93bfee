"""The table ``deposits``: is a merchant's guarantee deposit as high as required."""

from datetime import datetime
from uuid import UUID

from shared.db import Connection


async def note(conn: Connection, merchant_id: UUID, *, short: bool, told_at: datetime) -> None:
    """Keep how a deposit stands; older news changes nothing."""
    await conn.execute(
        """
        INSERT INTO deposits AS d (merchant_id, short, told_at) VALUES ($1, $2, $3)
            ON CONFLICT (merchant_id) DO UPDATE
           SET short = EXCLUDED.short, told_at = EXCLUDED.told_at
         WHERE d.told_at <= EXCLUDED.told_at
        """,
        merchant_id,
        short,
        told_at,
    )


async def is_short(conn: Connection, merchant_id: UUID) -> bool:
    """Return whether the deposit is too low; of one never told about it is not."""
    return bool(
        await conn.fetchval("SELECT short FROM deposits WHERE merchant_id = $1", merchant_id)
    )
