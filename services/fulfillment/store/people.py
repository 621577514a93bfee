"""The tables ``pets`` and ``recipients``: whom parcels are for."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import orjson

from services.fulfillment.domain.agreement import Pet, Recipient
from shared.db import Connection
from shared.sealing import FieldCipher

Key: TypeAlias = tuple[UUID, UUID]
"""Merchant, and pet or customer."""

_PLACE: Final = {"table": "recipients", "column": "contact"}


async def save_pet(conn: Connection, pet: Pet, *, told_at: datetime) -> bool:
    """Write what is known of a pet; False if something newer is known already."""
    done = await conn.execute(
        """
        INSERT INTO pets AS p (merchant_id, pet_id, customer_id, species, size, born_on,
                               allergies, told_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (merchant_id, pet_id) DO UPDATE
           SET species = excluded.species, size = excluded.size, born_on = excluded.born_on,
               allergies = excluded.allergies, told_at = excluded.told_at
         WHERE p.told_at < excluded.told_at
        """,
        pet.merchant_id,
        pet.pet_id,
        pet.customer_id,
        pet.species,
        pet.size,
        pet.born_on,
        list(pet.allergies),
        told_at,
    )
    return done == "INSERT 0 1"


async def pets(conn: Connection, keys: Sequence[Key]) -> dict[Key, Pet]:
    """Return those of *keys* that are known."""
    rows = await conn.fetch(
        """
        SELECT p.*
          FROM pets p
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, pet_id)) k USING (merchant_id, pet_id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {
        (row["merchant_id"], row["pet_id"]): Pet(
            row["merchant_id"],
            row["pet_id"],
            row["customer_id"],
            row["species"],
            row["size"],
            row["born_on"],
            tuple(row["allergies"]),
        )
        for row in rows
    }


async def save_recipient(
    conn: Connection, key: Key, recipient: Recipient, cipher: FieldCipher, *, told_at: datetime
) -> None:
    """Write a customer's address, encrypted; an older one than is known changes nothing."""
    text = orjson.dumps(asdict(recipient)).decode()
    await conn.execute(
        """
        INSERT INTO recipients AS r (merchant_id, customer_id, contact, told_at)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT (merchant_id, customer_id) DO UPDATE
           SET contact = excluded.contact, told_at = excluded.told_at
         WHERE r.told_at < excluded.told_at
        """,
        *key,
        cipher.encrypt(text, **_PLACE, row=key[1]),
        told_at,
    )


async def recipients(
    conn: Connection, keys: Sequence[Key], cipher: FieldCipher
) -> dict[Key, Recipient]:
    """Return the addresses of those of *keys* that are known, decrypted."""
    rows = await conn.fetch(
        """
        SELECT r.merchant_id, r.customer_id, r.contact
          FROM recipients r
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, customer_id)) k USING (merchant_id, customer_id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {
        (row["merchant_id"], row["customer_id"]): Recipient(
            **orjson.loads(cipher.decrypt(row["contact"], **_PLACE, row=row["customer_id"]))
        )
        for row in rows
    }
