"""The tables ``skus``, ``substitutes`` and ``plan_bundles``: what can be sent, and for what."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from services.fulfillment.domain.contents import Sku, Substitute, Wanted
from services.fulfillment.domain.growth import Stage
from shared.db import Connection, Row

PlanKey: TypeAlias = tuple[UUID, UUID, int]
"""Merchant, plan and version."""
Bundles: TypeAlias = dict[Stage, tuple[Wanted, ...]]


async def add_sku(conn: Connection, merchant_id: UUID, sku: Sku, *, now: datetime) -> bool:
    """Write a new SKU; False if the merchant has one of this code."""
    done = await conn.execute(
        """
        INSERT INTO skus (merchant_id, sku, name, supply_cost_fen, supplier, ingredients,
                          allergens, active, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
            ON CONFLICT DO NOTHING
        """,
        merchant_id,
        *_values(sku),
        now,
    )
    return done == "INSERT 0 1"


async def change_sku(conn: Connection, merchant_id: UUID, sku: Sku, *, now: datetime) -> bool:
    """Write new particulars of a SKU; False if there is none."""
    done = await conn.execute(
        """
        UPDATE skus
           SET name = $3, supply_cost_fen = $4, supplier = $5, ingredients = $6,
               allergens = $7, active = $8, updated_at = $9
         WHERE merchant_id = $1 AND sku = $2
        """,
        merchant_id,
        *_values(sku),
        now,
    )
    return done == "UPDATE 1"


async def find_sku(conn: Connection, merchant_id: UUID, sku: str) -> Sku | None:
    """Return one SKU of a merchant."""
    row = await conn.fetchrow(
        "SELECT * FROM skus WHERE merchant_id = $1 AND sku = $2", merchant_id, sku
    )
    return None if row is None else _sku(row)


async def list_skus(
    conn: Connection, merchant_id: UUID, *, after: str | None, limit: int
) -> list[Sku]:
    """Return a merchant's SKUs by code, after the one named."""
    rows = await conn.fetch(
        """
        SELECT * FROM skus
         WHERE merchant_id = $1 AND ($2::text IS NULL OR sku > $2)
         ORDER BY sku
         LIMIT $3
        """,
        merchant_id,
        after,
        limit,
    )
    return [_sku(row) for row in rows]


async def catalogues(conn: Connection, merchants: Sequence[UUID]) -> dict[UUID, dict[str, Sku]]:
    """Return the whole catalogue of each of *merchants*."""
    rows = await conn.fetch("SELECT * FROM skus WHERE merchant_id = ANY($1::uuid[])", merchants)
    found: dict[UUID, dict[str, Sku]] = {merchant_id: {} for merchant_id in merchants}
    for row in rows:
        found[row["merchant_id"]][row["sku"]] = _sku(row)
    return found


async def add_substitute(conn: Connection, merchant_id: UUID, substitute: Substitute) -> bool:
    """Publish a substitute; False if it stands already, since whenever that was."""
    done = await conn.execute(
        """
        INSERT INTO substitutes (merchant_id, sku, substitute_sku, published_at)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING
        """,
        merchant_id,
        substitute.sku,
        substitute.by,
        substitute.published_at,
    )
    return done == "INSERT 0 1"


async def substitutes_of(
    conn: Connection, merchants: Sequence[UUID]
) -> dict[UUID, list[Substitute]]:
    """Return every substitute of each of *merchants*, the oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM substitutes
         WHERE merchant_id = ANY($1::uuid[])
         ORDER BY published_at, sku, substitute_sku
        """,
        merchants,
    )
    found: dict[UUID, list[Substitute]] = {merchant_id: [] for merchant_id in merchants}
    for row in rows:
        one = Substitute(row["sku"], row["substitute_sku"], row["published_at"])
        found[row["merchant_id"]].append(one)
    return found


async def add_plan(
    conn: Connection, key: PlanKey, bundles: Mapping[Stage, Sequence[Wanted]]
) -> None:
    """Write the bundles of a plan's version; it never changes, so repeats safely."""
    await conn.execute(
        """
        INSERT INTO plan_bundles (merchant_id, plan_id, version, bundles)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING
        """,
        *key,
        {stage.value: [_bundled(one) for one in bundle] for stage, bundle in bundles.items()},
    )


async def plans(conn: Connection, keys: Sequence[PlanKey]) -> dict[PlanKey, Bundles]:
    """Return the bundles of those of *keys* that are known."""
    rows = await conn.fetch(
        """
        SELECT p.*
          FROM plan_bundles p
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[], $3::int[])
                  AS k (merchant_id, plan_id, version)) k USING (merchant_id, plan_id, version)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
    )
    return {
        (row["merchant_id"], row["plan_id"], row["version"]): {
            Stage(stage): tuple(
                Wanted(one["sku"], one["quantity"], tuple(one["substitutes"])) for one in bundle
            )
            for stage, bundle in row["bundles"].items()
        }
        for row in rows
    }


def _bundled(one: Wanted) -> dict[str, object]:
    return {"sku": one.sku, "quantity": one.quantity, "substitutes": list(one.substitutes)}


def _values(sku: Sku) -> tuple[object, ...]:
    return (
        sku.sku,
        sku.name,
        sku.supply_cost_fen,
        sku.supplier,
        list(sku.ingredients),
        list(sku.allergens),
        sku.active,
    )


def _sku(row: Row) -> Sku:
    return Sku(
        row["sku"],
        row["name"],
        row["supply_cost_fen"],
        row["supplier"],
        tuple(row["ingredients"]),
        tuple(row["allergens"]),
        row["active"],
    )
