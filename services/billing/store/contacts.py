"""Every contact with a customer about missed periods, and the receipts of its messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.billing.domain.contact_rules import Contact, ContactKind, Direction
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class MessageProof:
    """One channel's word about one message; either moment may be unknown."""

    cause_id: UUID
    cause: str
    channel: str
    merchant_id: UUID
    message_id: UUID
    accepted_at: datetime | None
    delivered_at: datetime | None


async def lock_customers(conn: Connection, customer_ids: Sequence[UUID]) -> None:
    """
    Let nobody else count or add contacts of these customers until the transaction ends.

    Take it after the agreements' locks, never before.
    """
    await conn.execute(
        """
        SELECT pg_advisory_xact_lock(hashtextextended('contact:' || customer_id, 0))
          FROM (SELECT DISTINCT c::text AS customer_id FROM unnest($1::uuid[]) AS c
                 ORDER BY 1) AS one
        """,
        customer_ids,
    )


async def add(conn: Connection, contacts: Sequence[Contact]) -> None:
    """Add contacts; those that stand already stay."""
    if not contacts:
        return
    await conn.execute(
        """
        INSERT INTO contacts SELECT * FROM jsonb_populate_recordset(NULL::contacts, $1)
            ON CONFLICT (contact_id) DO NOTHING
        """,
        list(contacts),
    )


async def stands(conn: Connection, contact_id: UUID) -> bool:
    """Return whether this contact is on record."""
    return bool(
        await conn.fetchval(
            "SELECT EXISTS (SELECT FROM contacts WHERE contact_id = $1)", contact_id
        )
    )


async def since(
    conn: Connection, customers: Sequence[tuple[UUID, UUID]], *, since: datetime
) -> list[Contact]:
    """Return the contacts of (merchant, customer) pairs from *since* on."""
    rows = await conn.fetch(
        """
        SELECT c.* FROM contacts AS c
          JOIN (SELECT DISTINCT m, p FROM unnest($1::uuid[], $2::uuid[]) AS n (m, p)) AS n
            ON c.merchant_id = n.m AND c.customer_id = n.p
         WHERE c.made_at >= $3
         ORDER BY c.made_at, c.contact_id
        """,
        [merchant_id for merchant_id, _ in customers],
        [customer_id for _, customer_id in customers],
        since,
    )
    return [_contact(row) for row in rows]


async def page(
    conn: Connection,
    merchant_id: UUID,
    agreement_id: UUID,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Contact]:
    """Return a merchant's contacts about one agreement after the one named, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM contacts
         WHERE merchant_id = $1 AND agreement_id = $2
           AND ($3::timestamptz IS NULL OR (made_at, contact_id) > ($3, $4))
         ORDER BY made_at, contact_id
         LIMIT $5
        """,
        merchant_id,
        agreement_id,
        *(after or (None, None)),
        limit,
    )
    return [_contact(row) for row in rows]


async def prove(conn: Connection, proofs: Sequence[MessageProof]) -> None:
    """Keep the earliest acceptance and delivery of each message by cause and channel."""
    if not proofs:
        return
    await conn.execute(
        """
        INSERT INTO message_proofs AS p
               (cause_id, cause, channel, merchant_id, message_id, accepted_at, delivered_at)
        SELECT cause_id, cause, channel, min(merchant_id::text)::uuid,
               max(message_id::text)::uuid, min(accepted_at), min(delivered_at)
          FROM jsonb_populate_recordset(NULL::message_proofs, $1)
         GROUP BY cause_id, cause, channel
         ORDER BY cause_id, cause, channel
            ON CONFLICT (cause_id, cause, channel) DO UPDATE
           SET accepted_at = least(p.accepted_at, excluded.accepted_at),
               delivered_at = least(p.delivered_at, excluded.delivered_at)
        """,
        list(proofs),
    )


def _contact(row: Row) -> Contact:
    return Contact(
        **{
            **row,
            "kind": ContactKind(row["kind"]),
            "direction": Direction(row["direction"]),
            "channels": tuple(row["channels"]),
        }
    )
