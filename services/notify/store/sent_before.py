"""The table ``sent_before``: messages that went out and that a restored database forgot."""

from collections.abc import Sequence

from services.notify.contract.events import MessageAccepted, MessageUnknown
from services.notify.store.messages import Key
from shared.db import Connection, Row


async def add(conn: Connection, told: Sequence[MessageAccepted | MessageUnknown]) -> int:
    """Remember what was *told*; what surely went out counts first.  Return how many are new."""
    certain = [one for one in told if isinstance(one, MessageAccepted)]
    perhaps = [one for one in told if isinstance(one, MessageUnknown)]
    ordered = [*certain, *perhaps]
    numbers = [*(one.provider_message_id for one in certain), *(None for _ in perhaps)]
    moments = [*(one.accepted_at for one in certain), *(one.occurred_at for one in perhaps)]
    done = await conn.execute(
        """
        INSERT INTO sent_before
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
            ON CONFLICT DO NOTHING
        """,
        [one.merchant_id for one in ordered],
        [one.message_id for one in ordered],
        [one.provider for one in ordered],
        numbers,
        moments,
    )
    return int(done.rpartition(" ")[2])


async def of(conn: Connection, keys: Sequence[Key]) -> list[Row]:
    """Return what is remembered of messages: the columns of the table."""
    return await conn.fetch(
        """
        SELECT s.* FROM sent_before s
          JOIN unnest($1::uuid[], $2::uuid[]) AS k (merchant_id, message_id)
         USING (merchant_id, message_id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
