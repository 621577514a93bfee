"""The tables ``shipment_items`` and ``shipment_swaps``: what goes into a parcel."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from services.fulfillment.domain.contents import Item, Why
from services.fulfillment.domain.shipment import Shipment
from shared.db import Connection, Row

Key: TypeAlias = tuple[UUID, UUID]
"""Merchant and shipment."""


async def add(conn: Connection, packed: Sequence[tuple[Shipment, Sequence[Item]]]) -> None:
    """Write the contents of each shipment's present revision."""
    lines = [
        (shipment, position, item)
        for shipment, items in packed
        for position, item in enumerate(items, start=1)
    ]
    await conn.execute(
        """
        INSERT INTO shipment_items (merchant_id, shipment_id, revision, position, sku, name,
                                    quantity, supply_cost_fen, why, instead_of)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::text[],
                             $6::text[], $7::int[], $8::bigint[], $9::text[], $10::text[])
        """,
        [shipment.merchant_id for shipment, _, _ in lines],
        [shipment.shipment_id for shipment, _, _ in lines],
        [shipment.revision for shipment, _, _ in lines],
        [position for _, position, _ in lines],
        [item.sku for _, _, item in lines],
        [item.name for _, _, item in lines],
        [item.quantity for _, _, item in lines],
        [item.supply_cost_fen for _, _, item in lines],
        [item.why for _, _, item in lines],
        [item.instead_of for _, _, item in lines],
    )


async def current(conn: Connection, keys: Sequence[Key]) -> dict[UUID, tuple[Item, ...]]:
    """Return what is in each shipment now, by its id; one without contents is absent."""
    rows = await conn.fetch(
        """
        SELECT i.*
          FROM shipment_items i
          JOIN shipments s ON s.merchant_id = i.merchant_id AND s.shipment_id = i.shipment_id
                          AND s.revision = i.revision
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, shipment_id)) k
            ON k.merchant_id = i.merchant_id AND k.shipment_id = i.shipment_id
         ORDER BY i.shipment_id, i.position
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    found: dict[UUID, tuple[Item, ...]] = {}
    for row in rows:
        found[row["shipment_id"]] = (*found.get(row["shipment_id"], ()), _item(row))
    return found


async def wish(conn: Connection, key: Key, *, sku: str, by_sku: str, now: datetime) -> None:
    """Note what the customer wants instead of *sku*; the last wish counts."""
    await conn.execute(
        """
        INSERT INTO shipment_swaps (merchant_id, shipment_id, sku, by_sku, asked_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (merchant_id, shipment_id, sku) DO UPDATE
           SET by_sku = excluded.by_sku, asked_at = excluded.asked_at
        """,
        *key,
        sku,
        by_sku,
        now,
    )


async def wishes(conn: Connection, keys: Sequence[Key]) -> dict[UUID, dict[str, str]]:
    """Return the swaps wished for each shipment, by its id."""
    rows = await conn.fetch(
        """
        SELECT w.shipment_id, w.sku, w.by_sku
          FROM shipment_swaps w
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, shipment_id)) k USING (merchant_id, shipment_id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    found: dict[UUID, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row["shipment_id"], {})[row["sku"]] = row["by_sku"]
    return found


def _item(row: Row) -> Item:
    return Item(
        row["sku"],
        row["name"],
        row["quantity"],
        row["supply_cost_fen"],
        Why(row["why"]),
        row["instead_of"],
    )
