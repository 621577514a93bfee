"""Customers whose identity was proven, and their pets; what tells who they are is encrypted."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.signing.domain.application import Pet
from services.signing.domain.errors import CustomerUnknown
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of one merchant; ``person`` is encrypted JSON."""

    customer_id: UUID
    merchant_id: UUID
    person: str
    id_index: str
    phone_index: str
    created_at: datetime
    changed_at: datetime


async def lock_by_id_index(
    conn: Connection, id_index: str, *, merchant_id: UUID
) -> Customer | None:
    """Return this merchant's customer with an identity number, for update."""
    row = await conn.fetchrow(
        "SELECT * FROM customers WHERE merchant_id = $1 AND id_index = $2 FOR UPDATE",
        merchant_id,
        id_index,
    )
    return None if row is None else Customer(**row)


async def add(conn: Connection, customer: Customer) -> bool:
    """Add a customer; return False if the person is one already."""
    row = await conn.fetchrow(
        """
        INSERT INTO customers (customer_id, merchant_id, person, id_index, phone_index,
                               created_at, changed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT DO NOTHING
        RETURNING customer_id
        """,
        customer.customer_id,
        customer.merchant_id,
        customer.person,
        customer.id_index,
        customer.phone_index,
        customer.created_at,
        customer.changed_at,
    )
    return row is not None


async def save_person(
    conn: Connection, customer_id: UUID, *, person: str, phone_index: str, now: datetime
) -> None:
    """Replace what a locked customer said of themselves."""
    await conn.execute(
        """
        UPDATE customers SET person = $2, phone_index = $3, changed_at = $4
         WHERE customer_id = $1
        """,
        customer_id,
        person,
        phone_index,
        now,
    )


async def read(conn: Connection, customer_id: UUID, *, merchant_id: UUID) -> Customer:
    """Return a customer of this merchant, or raise CustomerUnknown."""
    return _customer(
        await conn.fetchrow(
            "SELECT * FROM customers WHERE customer_id = $1 AND merchant_id = $2",
            customer_id,
            merchant_id,
        ),
        customer_id,
    )


async def lock(conn: Connection, customer_id: UUID, *, merchant_id: UUID) -> Customer:
    """Return a customer of this merchant for update, or raise CustomerUnknown."""
    return _customer(
        await conn.fetchrow(
            "SELECT * FROM customers WHERE customer_id = $1 AND merchant_id = $2 FOR UPDATE",
            customer_id,
            merchant_id,
        ),
        customer_id,
    )


async def add_pet(
    conn: Connection,
    pet_id: UUID,
    pet: Pet,
    *,
    merchant_id: UUID,
    customer_id: UUID,
    now: datetime,
) -> bool:
    """Add a customer's pet; return False if its id stood already."""
    row = await conn.fetchrow(
        """
        INSERT INTO pets (pet_id, merchant_id, customer_id, pet, created_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING
        RETURNING pet_id
        """,
        pet_id,
        merchant_id,
        customer_id,
        pet,
        now,
    )
    return row is not None


def _customer(row: Row | None, customer_id: UUID) -> Customer:
    if row is None:
        raise CustomerUnknown("No such customer.", customer_id=customer_id)
    return Customer(**row)
