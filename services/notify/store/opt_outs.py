"""The tables ``opt_outs`` and ``replies``: what customers refuse, and what they wrote back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from services.notify.contract.states import Channel, Scope
from services.notify.domain.provider import Reply
from shared.db import Connection
from shared.sealing import FieldCipher

Key: TypeAlias = tuple[UUID, UUID, Channel]
"""Merchant, customer, channel."""

_PLACE: Final = {"table": "replies", "column": "content"}


async def refuse(
    conn: Connection,
    merchant_id: UUID,
    customer_id: UUID,
    channel: Channel,
    scope: Scope,
    *,
    source: str,
    now: datetime,
) -> bool:
    """Note a refusal; False if it stands already."""
    done = await conn.execute(
        """
        INSERT INTO opt_outs AS o (merchant_id, customer_id, channel, scope, source, since)
        VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (merchant_id, customer_id, channel, scope) DO UPDATE
           SET source = excluded.source, since = excluded.since, until = NULL
         WHERE o.until IS NOT NULL
        """,
        merchant_id,
        customer_id,
        channel,
        scope,
        source,
        now,
    )
    return done == "INSERT 0 1"


async def allow(
    conn: Connection,
    merchant_id: UUID,
    customer_id: UUID,
    channel: Channel,
    scope: Scope,
    *,
    now: datetime,
) -> None:
    """End a refusal, if one stands."""
    await conn.execute(
        """
        UPDATE opt_outs SET until = $5
         WHERE merchant_id = $1 AND customer_id = $2 AND channel = $3 AND scope = $4
           AND until IS NULL
        """,
        merchant_id,
        customer_id,
        channel,
        scope,
        now,
    )


async def of_customer(
    conn: Connection, merchant_id: UUID, customer_id: UUID
) -> set[tuple[Channel, Scope]]:
    """Return what one customer refuses now."""
    rows = await conn.fetch(
        """
        SELECT channel, scope FROM opt_outs
         WHERE merchant_id = $1 AND customer_id = $2 AND until IS NULL
        """,
        merchant_id,
        customer_id,
    )
    return {(Channel(row["channel"]), Scope(row["scope"])) for row in rows}


async def refused(conn: Connection, keys: Sequence[Key]) -> set[tuple[Key, Scope]]:
    """Return which of *keys* refuse what."""
    rows = await conn.fetch(
        """
        SELECT o.merchant_id, o.customer_id, o.channel, o.scope
          FROM opt_outs o
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])
                  AS k (merchant_id, customer_id, channel)) k
         USING (merchant_id, customer_id, channel)
         WHERE o.until IS NULL
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
    )
    return {
        ((row["merchant_id"], row["customer_id"], Channel(row["channel"])), Scope(row["scope"]))
        for row in rows
    }


async def add_reply(
    conn: Connection, reply: Reply, *, phone_index: str, refuses: bool, cipher: FieldCipher
) -> bool:
    """Keep what a customer wrote, encrypted; False if it was kept before."""
    done = await conn.execute(
        """
        INSERT INTO replies (provider, sequence_id, phone_index, content, refuses, replied_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
        """,
        reply.provider,
        reply.sequence_id,
        phone_index,
        cipher.encrypt(reply.content, row=reply.sequence_id, **_PLACE),
        refuses,
        reply.at,
    )
    return done == "INSERT 0 1"
