"""Merchants and their stores."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from services.signing.contract import LegalKind, Payee
from services.signing.domain.errors import MerchantUnknown, StoreUnknown
from services.signing.domain.merchant import Merchant, MerchantState, Store
from services.signing.store import history
from shared.db import Connection, Row


async def add(conn: Connection, merchant: Merchant) -> bool:
    """Add *merchant*; return False if its id or licence stood already."""
    row = await conn.fetchrow(
        """
        INSERT INTO merchants (merchant_id, state, legal_name, display_name, legal_kind,
                               licence_no, service_phone, payees, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT DO NOTHING
        RETURNING merchant_id
        """,
        merchant.merchant_id,
        merchant.state,
        merchant.legal_name,
        merchant.display_name,
        merchant.legal_kind,
        merchant.licence_no,
        merchant.service_phone,
        [payee.model_dump(mode="json") for payee in merchant.payees],
        merchant.created_at,
    )
    return row is not None


async def read(conn: Connection, merchant_id: UUID) -> Merchant:
    """Return one merchant, or raise MerchantUnknown."""
    row = await conn.fetchrow("SELECT * FROM merchants WHERE merchant_id = $1", merchant_id)
    return _merchant(row, merchant_id)


async def find(conn: Connection, merchant_id: UUID) -> Merchant | None:
    """Return one merchant if it is there."""
    row = await conn.fetchrow("SELECT * FROM merchants WHERE merchant_id = $1", merchant_id)
    return None if row is None else _merchant(row, merchant_id)


async def find_many(conn: Connection, merchant_ids: Collection[UUID]) -> dict[UUID, Merchant]:
    """Return those of the merchants that are there, by id."""
    rows = await conn.fetch(
        "SELECT * FROM merchants WHERE merchant_id = ANY ($1::uuid[])", merchant_ids
    )
    return {row["merchant_id"]: _merchant(row, row["merchant_id"]) for row in rows}


async def lock(conn: Connection, merchant_id: UUID) -> Merchant:
    """Return one merchant for update, or raise MerchantUnknown."""
    row = await conn.fetchrow(
        "SELECT * FROM merchants WHERE merchant_id = $1 FOR UPDATE", merchant_id
    )
    return _merchant(row, merchant_id)


async def save_state(
    conn: Connection,
    merchant: Merchant,
    state: MerchantState,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> None:
    """Write the state of a locked merchant and add to its history."""
    await conn.execute(
        "UPDATE merchants SET state = $2, reason = $3 WHERE merchant_id = $1",
        merchant.merchant_id,
        state,
        reason,
    )
    await history.add(
        conn,
        "merchant",
        merchant.merchant_id,
        from_state=merchant.state,
        to_state=state,
        actor=actor,
        reason=reason,
        now=now,
    )


async def add_store(conn: Connection, store: Store) -> bool:
    """Add *store*; return False if its id stood already."""
    row = await conn.fetchrow(
        """
        INSERT INTO stores (store_id, merchant_id, name, city, address, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING
        RETURNING store_id
        """,
        store.store_id,
        store.merchant_id,
        store.name,
        store.city,
        store.address,
        store.created_at,
    )
    return row is not None


async def read_store(conn: Connection, store_id: UUID, *, merchant_id: UUID) -> Store:
    """Return a store of this merchant, or raise StoreUnknown."""
    row = await conn.fetchrow(
        "SELECT * FROM stores WHERE store_id = $1 AND merchant_id = $2", store_id, merchant_id
    )
    if row is None:
        raise StoreUnknown("No such store.", store_id=store_id)
    return Store(**row)


def _merchant(row: Row | None, merchant_id: UUID) -> Merchant:
    if row is None:
        raise MerchantUnknown("No such merchant.", merchant_id=merchant_id)
    return Merchant(
        merchant_id=row["merchant_id"],
        state=MerchantState(row["state"]),
        legal_name=row["legal_name"],
        display_name=row["display_name"],
        legal_kind=LegalKind(row["legal_kind"]),
        licence_no=row["licence_no"],
        service_phone=row["service_phone"],
        payees=[Payee.model_validate(payee) for payee in row["payees"]],
        created_at=row["created_at"],
        reason=row["reason"],
    )
