"""The tables ``contacts``, ``merchants`` and ``agreements``: whom messages are for."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import orjson

from services.notify.domain.contact import Agreement, Contact, Merchant
from shared.db import Connection
from shared.sealing import FieldCipher

Key: TypeAlias = tuple[UUID, UUID]
"""Merchant, and customer or agreement."""

_PLACE: Final = {"table": "contacts", "column": "details"}


async def save_contact(
    conn: Connection,
    key: Key,
    contact: Contact,
    *,
    cipher: FieldCipher,
    phone_index: str | None,
    told_at: datetime,
) -> None:
    """Write a customer's contact data, encrypted; older data than is known changes nothing."""
    text = orjson.dumps(asdict(contact)).decode()
    await conn.execute(
        """
        INSERT INTO contacts AS c (merchant_id, customer_id, details, phone_index, told_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (merchant_id, customer_id) DO UPDATE
           SET details = excluded.details, phone_index = excluded.phone_index,
               told_at = excluded.told_at
         WHERE c.told_at < excluded.told_at
        """,
        *key,
        cipher.encrypt(text, row=key[1], **_PLACE),
        phone_index,
        told_at,
    )


async def contacts(
    conn: Connection, keys: Sequence[Key], cipher: FieldCipher
) -> dict[Key, Contact]:
    """Return those of *keys* that are known, in the clear."""
    rows = await conn.fetch(
        """
        SELECT c.merchant_id, c.customer_id, c.details
          FROM contacts c
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, customer_id)) k USING (merchant_id, customer_id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    found = {}
    for row in rows:
        text = cipher.decrypt(row["details"], row=row["customer_id"], **_PLACE)
        found[row["merchant_id"], row["customer_id"]] = Contact(**orjson.loads(text))
    return found


async def knows(conn: Connection, merchant_id: UUID, customer_id: UUID) -> bool:
    """Return whether this merchant has contact data of this customer."""
    return bool(
        await conn.fetchval(
            "SELECT true FROM contacts WHERE merchant_id = $1 AND customer_id = $2",
            merchant_id,
            customer_id,
        )
    )


async def by_phone(conn: Connection, phone_index: str) -> list[Key]:
    """Return every (merchant, customer) with this phone, in order."""
    rows = await conn.fetch(
        """
        SELECT merchant_id, customer_id FROM contacts WHERE phone_index = $1 ORDER BY 1, 2
        """,
        phone_index,
    )
    return [(row["merchant_id"], row["customer_id"]) for row in rows]


async def save_merchant(conn: Connection, merchant: Merchant, *, told_at: datetime) -> None:
    """Write a merchant's names; older ones than are known change nothing."""
    await conn.execute(
        """
        INSERT INTO merchants AS m (merchant_id, display_name, service_phone, told_at)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT (merchant_id) DO UPDATE
           SET display_name = excluded.display_name, service_phone = excluded.service_phone,
               told_at = excluded.told_at
         WHERE m.told_at < excluded.told_at
        """,
        merchant.merchant_id,
        merchant.display_name,
        merchant.service_phone,
        told_at,
    )


async def merchants(conn: Connection, merchant_ids: Sequence[UUID]) -> dict[UUID, Merchant]:
    """Return those merchants that are known."""
    rows = await conn.fetch(
        """
        SELECT merchant_id, display_name, service_phone FROM merchants
         WHERE merchant_id = ANY($1)
        """,
        list(set(merchant_ids)),
    )
    return {row["merchant_id"]: Merchant(**row) for row in rows}


async def save_agreements(conn: Connection, agreements: Sequence[Agreement]) -> None:
    """Write what was signed; repeats safely, also after the end was told."""
    await conn.execute(
        """
        INSERT INTO agreements AS a (merchant_id, agreement_id, rail, plan_name)
        SELECT DISTINCT ON (1, 2) * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
         ORDER BY 1, 2
            ON CONFLICT (merchant_id, agreement_id) DO UPDATE
           SET rail = excluded.rail, plan_name = excluded.plan_name
        """,
        [agreement.merchant_id for agreement in agreements],
        [agreement.agreement_id for agreement in agreements],
        [agreement.rail for agreement in agreements],
        [agreement.plan_name for agreement in agreements],
    )


async def end_agreements(conn: Connection, keys: Sequence[Key], *, now: datetime) -> None:
    """Note that agreements have ended; the first end told stands."""
    await conn.execute(
        """
        INSERT INTO agreements AS a (merchant_id, agreement_id, ended_at)
        SELECT DISTINCT k.*, $3::timestamptz FROM unnest($1::uuid[], $2::uuid[]) AS k ORDER BY 1, 2
            ON CONFLICT (merchant_id, agreement_id) DO UPDATE
           SET ended_at = coalesce(a.ended_at, excluded.ended_at)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
        now,
    )


async def agreements(conn: Connection, keys: Sequence[Key]) -> dict[Key, Agreement]:
    """Return those of *keys* of which anything was told."""
    rows = await conn.fetch(
        """
        SELECT a.merchant_id, a.agreement_id, a.rail, a.plan_name,
               a.ended_at IS NOT NULL AS ended
          FROM agreements a
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, agreement_id)) k USING (merchant_id, agreement_id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(row["merchant_id"], row["agreement_id"]): Agreement(**row) for row in rows}
