"""What a shop has at its counter: codes asked for, devices, services at a fixed price."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.wallet.contract.states import Category
from services.wallet.domain.redemption_code import Code
from shared.db import Connection, Row

CODES_KEPT: Final = timedelta(days=1)
"""How long it is known which codes a customer asked for; codes themselves need no row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopService:
    """A service at a fixed price."""

    merchant_id: UUID
    service_code: str
    name: str
    category: Category
    price_fen: int
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A shop's device that may accept codes offline."""

    merchant_id: UUID
    device_id: UUID
    name: str
    public_key: bytes
    registered_at: datetime
    revoked_at: datetime | None = None


async def add_code(conn: Connection, code: Code, *, most: int, within: timedelta) -> bool:
    """
    Count a code; False if its customer has asked for *most* of them *within* this time.

    Older rows of the customer are forgotten on the way.  Asking at once is in turn.
    """
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('redemption code ' || $1::text, 0))",
        str(code.customer_id),
    )
    asked = await conn.fetchval(
        """
        SELECT count(*) FROM redemption_codes
         WHERE merchant_id = $1 AND customer_id = $2 AND issued_at > $3
        """,
        code.merchant_id,
        code.customer_id,
        code.issued_at - within,
    )
    if asked >= most:
        return False
    await conn.execute(
        """
        DELETE FROM redemption_codes
         WHERE merchant_id = $1 AND customer_id = $2 AND issued_at < $3
        """,
        code.merchant_id,
        code.customer_id,
        code.issued_at - CODES_KEPT,
    )
    await conn.execute(
        """
        INSERT INTO redemption_codes
               (merchant_id, code_id, customer_id, max_amount_fen, issued_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
        """,
        code.merchant_id,
        code.code_id,
        code.customer_id,
        code.max_amount_fen or None,
        code.issued_at,
        code.expires_at,
    )
    return True


async def put_service(conn: Connection, service: ShopService) -> None:
    """Write or replace a service; what was redeemed before keeps its price."""
    await conn.execute(
        """
        INSERT INTO shop_services (merchant_id, service_code, name, category, price_fen, active)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (merchant_id, service_code) DO UPDATE
           SET name = EXCLUDED.name, category = EXCLUDED.category,
               price_fen = EXCLUDED.price_fen, active = EXCLUDED.active
        """,
        service.merchant_id,
        service.service_code,
        service.name,
        service.category,
        service.price_fen,
        service.active,
    )


async def service(conn: Connection, merchant_id: UUID, service_code: str) -> ShopService | None:
    """Return one merchant's service, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM shop_services WHERE merchant_id = $1 AND service_code = $2",
        merchant_id,
        service_code,
    )
    return _service(row) if row else None


async def services(
    conn: Connection, merchant_id: UUID, *, limit: int, after: str | None
) -> list[ShopService]:
    """Return up to *limit* of a merchant's services after *after*, by code."""
    rows = await conn.fetch(
        """
        SELECT * FROM shop_services
         WHERE merchant_id = $1 AND ($2::text IS NULL OR service_code > $2)
         ORDER BY service_code LIMIT $3
        """,
        merchant_id,
        after,
        limit,
    )
    return [_service(row) for row in rows]


async def add_device(conn: Connection, device: Device) -> Device:
    """Register a device, or return the one that stands under its id."""
    await conn.execute(
        """
        INSERT INTO redemption_devices (merchant_id, device_id, name, public_key, registered_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
        """,
        device.merchant_id,
        device.device_id,
        device.name,
        device.public_key,
        device.registered_at,
    )
    stands = await find_device(conn, device.merchant_id, device.device_id)
    assert stands is not None, "just written"
    return stands


async def revoke_device(
    conn: Connection, merchant_id: UUID, device_id: UUID, *, now: datetime
) -> Device | None:
    """Let a device accept nothing from now on; repeats safely.  None if there is none."""
    row = await conn.fetchrow(
        """
        UPDATE redemption_devices SET revoked_at = coalesce(revoked_at, $3)
         WHERE merchant_id = $1 AND device_id = $2 RETURNING *
        """,
        merchant_id,
        device_id,
        now,
    )
    return Device(**row) if row else None


async def find_device(conn: Connection, merchant_id: UUID, device_id: UUID) -> Device | None:
    """Return one merchant's device, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM redemption_devices WHERE merchant_id = $1 AND device_id = $2",
        merchant_id,
        device_id,
    )
    return Device(**row) if row else None


async def devices(
    conn: Connection, merchant_id: UUID, *, limit: int, after: UUID | None
) -> Sequence[Device]:
    """Return up to *limit* of a merchant's devices with id above *after*."""
    rows = await conn.fetch(
        """
        SELECT * FROM redemption_devices
         WHERE merchant_id = $1 AND ($2::uuid IS NULL OR device_id > $2)
         ORDER BY device_id LIMIT $3
        """,
        merchant_id,
        after,
        limit,
    )
    return [Device(**row) for row in rows]


def _service(row: Row) -> ShopService:
    return ShopService(**{**row, "category": Category(row["category"])})
