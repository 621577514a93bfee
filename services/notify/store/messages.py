"""The tables ``messages`` and ``message_history``: one message per cause, channel, customer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from services.notify.contract.states import Channel, Kind, MessageState
from services.notify.domain.message import Message
from shared.calendar import at_in_china, day_in_china
from shared.db import Connection, Row

Key: TypeAlias = tuple[UUID, UUID]
"""Merchant, and message, customer or instalment."""


NEXT_DUE: Final = "SELECT min(due_at) FROM messages WHERE state IN ('queued', 'submitted')"
"""When the next message is to be sent or found out about."""

NEXT_RECEIPT_DUE: Final = (
    "SELECT min(due_at) FROM messages WHERE state = 'accepted' AND due_at IS NOT NULL"
)
"""When the next missing receipt is to be asked for."""


async def add_new(conn: Connection, messages: Sequence[Message]) -> int:
    """Queue those of *messages* whose cause was not told on their channel; return how many."""
    if not messages:
        return 0
    done = await conn.execute(
        """
        INSERT INTO messages (merchant_id, message_id, cause, cause_id, channel, customer_id,
                              agreement_id, instalment_id, rail, template_key, kind, facts,
                              queued_at, send_by, due_at, state)
        SELECT *, 'queued'
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::uuid[],
                      $7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::jsonb[],
                      $13::timestamptz[], $14::timestamptz[], $15::timestamptz[])
            ON CONFLICT (merchant_id, cause_id, cause, channel, customer_id) DO NOTHING
        """,
        [m.merchant_id for m in messages],
        [m.message_id for m in messages],
        [m.cause for m in messages],
        [m.cause_id for m in messages],
        [m.channel for m in messages],
        [m.customer_id for m in messages],
        [m.agreement_id for m in messages],
        [m.instalment_id for m in messages],
        [m.rail for m in messages],
        [m.template_key for m in messages],
        [m.kind for m in messages],
        [m.facts for m in messages],
        [m.queued_at for m in messages],
        [m.send_by for m in messages],
        [m.due_at for m in messages],
    )
    return int(done.rpartition(" ")[2])


async def lock_due(conn: Connection, *, now: datetime, limit: int) -> list[Message]:
    """Return up to *limit* messages to send or to find out about, locked; others' are skipped."""
    rows = await conn.fetch(
        """
        SELECT * FROM messages
         WHERE state IN ('queued', 'submitted') AND due_at <= $1
         ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        now,
        limit,
    )
    return [_message(row) for row in rows]


async def lock_without_receipt(conn: Connection, *, now: datetime, limit: int) -> list[Message]:
    """Return up to *limit* accepted messages whose receipt is missing, locked."""
    rows = await conn.fetch(
        """
        SELECT * FROM messages
         WHERE state = 'accepted' AND due_at <= $1
         ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        now,
        limit,
    )
    return [_message(row) for row in rows]


async def lock(conn: Connection, keys: Sequence[Key]) -> dict[Key, Message]:
    """Return the messages of *keys*, locked in the order of their ids."""
    rows = await conn.fetch(
        """
        SELECT m.*
          FROM messages m
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, message_id)) k USING (merchant_id, message_id)
         ORDER BY m.merchant_id, m.message_id
           FOR UPDATE OF m
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(row["merchant_id"], row["message_id"]): _message(row) for row in rows}


async def by_provider_number(
    conn: Connection, provider: str, numbers: Sequence[str]
) -> dict[str, Key]:
    """Return the messages that *provider* knows under *numbers*."""
    rows = await conn.fetch(
        """
        SELECT provider_message_id, merchant_id, message_id FROM messages
         WHERE provider = $1 AND provider_message_id = ANY($2)
        """,
        provider,
        list(numbers),
    )
    return {row["provider_message_id"]: (row["merchant_id"], row["message_id"]) for row in rows}


async def unsettled(conn: Connection, provider: str, recipient_index: str) -> list[Message]:
    """Return the messages to one recipient whose answer is not known, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM messages
         WHERE provider = $1 AND recipient_index = $2 AND state = 'submitted'
         ORDER BY submitted_at, message_id
        """,
        provider,
        recipient_index,
    )
    return [_message(row) for row in rows]


async def save(
    conn: Connection, messages: Sequence[Message], *, now: datetime, quiet: bool = False
) -> None:
    """Write back locked *messages* and add to their history, unless *quiet*."""
    if not messages:
        return
    await conn.execute(
        """
        UPDATE messages m
           SET state = n.state, due_at = n.due_at, tries = n.tries, fence = n.fence,
               unclear = n.unclear, provider = n.provider,
               provider_message_id = n.provider_message_id,
               template_version = n.template_version, text = n.text,
               recipient_index = n.recipient_index, recipient_masked = n.recipient_masked,
               failure = n.failure, submitted_at = n.submitted_at, accepted_at = n.accepted_at,
               delivered_at = n.delivered_at
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::int[],
                      $6::bigint[], $7::bool[], $8::text[], $9::text[], $10::int[], $11::text[],
                      $12::text[], $13::text[], $14::text[], $15::timestamptz[],
                      $16::timestamptz[], $17::timestamptz[])
               AS n (merchant_id, message_id, state, due_at, tries, fence, unclear, provider,
                     provider_message_id, template_version, text, recipient_index,
                     recipient_masked, failure, submitted_at, accepted_at, delivered_at)
         WHERE m.merchant_id = n.merchant_id AND m.message_id = n.message_id
        """,
        [m.merchant_id for m in messages],
        [m.message_id for m in messages],
        [m.state for m in messages],
        [m.due_at for m in messages],
        [m.tries for m in messages],
        [m.fence for m in messages],
        [m.unclear for m in messages],
        [m.provider for m in messages],
        [m.provider_message_id for m in messages],
        [m.template_version for m in messages],
        [m.text for m in messages],
        [m.recipient_index for m in messages],
        [m.recipient_masked for m in messages],
        [m.failure for m in messages],
        [m.submitted_at for m in messages],
        [m.accepted_at for m in messages],
        [m.delivered_at for m in messages],
    )
    if not quiet:
        await _remember(conn, messages, now=now)


async def _remember(conn: Connection, messages: Sequence[Message], *, now: datetime) -> None:
    await conn.execute(
        """
        INSERT INTO message_history (merchant_id, message_id, at, state, provider, reason)
        SELECT k.merchant_id, k.message_id, $3, k.state, k.provider, k.reason
          FROM unnest($1::uuid[], $2::uuid[], $4::text[], $5::text[], $6::text[])
               AS k (merchant_id, message_id, state, provider, reason)
        """,
        [m.merchant_id for m in messages],
        [m.message_id for m in messages],
        now,
        [m.state for m in messages],
        [m.provider for m in messages],
        [m.failure for m in messages],
    )


async def sms_counts(
    conn: Connection, keys: Sequence[Key], *, now: datetime
) -> dict[Key, tuple[int, int, int]]:
    """Return per customer: SMS sent today, of those about unpaid periods, and these in 7 days."""
    rows = await conn.fetch(
        """
        SELECT m.merchant_id, m.customer_id,
               count(*) FILTER (WHERE m.submitted_at >= $3) AS today,
               count(*) FILTER (WHERE m.submitted_at >= $3 AND kind = 'dunning') AS dunning_today,
               count(*) FILTER (WHERE kind = 'dunning') AS dunning_week
          FROM messages m
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, customer_id)) k USING (merchant_id, customer_id)
         WHERE m.channel = 'sms' AND m.submitted_at > $4 AND m.queued_at > $5
           AND (m.state = 'submitted' OR m.accepted_at IS NOT NULL)
         GROUP BY 1, 2
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
        at_in_china(day_in_china(now), 0),
        now - timedelta(days=7),
        now - timedelta(days=14),
    )
    return {
        (row["merchant_id"], row["customer_id"]): (
            row["today"],
            row["dunning_today"],
            row["dunning_week"],
        )
        for row in rows
    }


async def paid(conn: Connection, keys: Sequence[Key]) -> set[Key]:
    """Return those (merchant, instalment) *keys* of which a receipt was queued."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT m.merchant_id, m.instalment_id
          FROM messages m
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, instalment_id)) k USING (merchant_id, instalment_id)
         WHERE m.cause = 'charge.collected'
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(row["merchant_id"], row["instalment_id"]) for row in rows}


async def get(conn: Connection, merchant_id: UUID, message_id: UUID) -> Message | None:
    """Return one merchant's message, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM messages WHERE merchant_id = $1 AND message_id = $2",
        merchant_id,
        message_id,
    )
    return _message(row) if row else None


async def page(
    conn: Connection,
    merchant_id: UUID,
    *,
    customer_id: UUID | None,
    cause_id: UUID | None,
    agreement_id: UUID | None,
    state: MessageState | None,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[Message]:
    """Return up to *limit* of a merchant's messages, newest first, before the one named."""
    rows = await conn.fetch(
        """
        SELECT * FROM messages
         WHERE merchant_id = $1
           AND ($2::uuid IS NULL OR customer_id = $2)
           AND ($3::uuid IS NULL OR cause_id = $3)
           AND ($4::uuid IS NULL OR agreement_id = $4)
           AND ($5::text IS NULL OR state = $5)
           AND ($6::timestamptz IS NULL OR (queued_at, message_id) < ($6, $7))
         ORDER BY queued_at DESC, message_id DESC LIMIT $8
        """,
        merchant_id,
        customer_id,
        cause_id,
        agreement_id,
        state,
        *(before or (None, None)),
        limit,
    )
    return [_message(row) for row in rows]


async def history(conn: Connection, merchant_id: UUID, message_id: UUID) -> list[Row]:
    """Return the moves of one message, in order: at, state, provider, reason."""
    return await conn.fetch(
        """
        SELECT at, state, provider, reason FROM message_history
         WHERE merchant_id = $1 AND message_id = $2 ORDER BY seq
        """,
        merchant_id,
        message_id,
    )


def _message(row: Row) -> Message:
    return Message(
        **{
            **row,
            "channel": Channel(row["channel"]),
            "kind": Kind(row["kind"]),
            "state": MessageState(row["state"]),
        }
    )
