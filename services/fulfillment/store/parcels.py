"""The tables ``parcels`` and ``tracks``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from services.fulfillment.domain.parcel import Node, Parcel, ParcelState
from shared.db import Connection, Row

Key: TypeAlias = tuple[UUID, UUID]
"""Merchant and parcel."""


NEXT_DUE: Final = "SELECT min(due_at) FROM parcels WHERE due_at IS NOT NULL"
"""When a parcel is due."""


async def add(conn: Connection, parcel: Parcel) -> bool:
    """Write a new parcel; False if the shipment has one of this number."""
    done = await conn.execute(
        """
        INSERT INTO parcels (merchant_id, parcel_id, shipment_id, carrier, tracking_no, token,
                             state, sent_at, news_at, due_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT DO NOTHING
        """,
        parcel.merchant_id,
        parcel.parcel_id,
        parcel.shipment_id,
        parcel.carrier,
        parcel.tracking_no,
        parcel.token,
        parcel.state,
        parcel.sent_at,
        parcel.news_at,
        parcel.due_at,
    )
    return done == "INSERT 0 1"


async def claim_due(
    conn: Connection, *, now: datetime, limit: int, lease: timedelta
) -> list[Parcel]:
    """Take up to *limit* parcels that are due, and put them off by *lease*."""
    rows = await conn.fetch(
        """
        UPDATE parcels
           SET due_at = $1::timestamptz + $3::interval, fence = fence + 1
         WHERE (merchant_id, parcel_id) IN (
               SELECT merchant_id, parcel_id
                 FROM parcels
                WHERE due_at <= $1
                ORDER BY due_at
                LIMIT $2
                  FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        now,
        limit,
        lease,
    )
    return [_parcel(row) for row in rows]


async def shipment_of(conn: Connection, token: str) -> tuple[UUID, UUID, UUID] | None:
    """Return (merchant, shipment, parcel) at whose address a carrier calls, if any."""
    row = await conn.fetchrow(
        "SELECT merchant_id, shipment_id, parcel_id FROM parcels WHERE token = $1", token
    )
    return None if row is None else (row["merchant_id"], row["shipment_id"], row["parcel_id"])


async def of_shipment(conn: Connection, merchant_id: UUID, shipment_id: UUID) -> list[Parcel]:
    """Return the parcels of a shipment; who changes one has the shipment locked."""
    rows = await conn.fetch(
        """
        SELECT * FROM parcels
         WHERE merchant_id = $1 AND shipment_id = $2
         ORDER BY sent_at, parcel_id
        """,
        merchant_id,
        shipment_id,
    )
    return [_parcel(row) for row in rows]


async def save(conn: Connection, parcel: Parcel) -> None:
    """Write what has become of a parcel; its shipment is locked."""
    await conn.execute(
        """
        UPDATE parcels
           SET carrier = $3, state = $4, news_at = $5, due_at = $6, head_at = $7,
               subscribed_at = $8, tries = $9, stuck_at = $10, delivered_seen_at = $11
         WHERE merchant_id = $1 AND parcel_id = $2
        """,
        parcel.merchant_id,
        parcel.parcel_id,
        parcel.carrier,
        parcel.state,
        parcel.news_at,
        parcel.due_at,
        parcel.head_at,
        parcel.subscribed_at,
        parcel.tries,
        parcel.stuck_at,
        parcel.delivered_seen_at,
    )


async def add_nodes(conn: Connection, key: Key, nodes: Sequence[Node], *, now: datetime) -> None:
    """Write the lines of a track that are new; the same line is one, however often told."""
    await conn.execute(
        """
        INSERT INTO tracks (merchant_id, parcel_id, node_key, at, state, code, told, heard_at)
        SELECT $1, $2, n.*, $8
          FROM unnest($3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[]) AS n
            ON CONFLICT DO NOTHING
        """,
        *key,
        [node.key for node in nodes],
        [node.at for node in nodes],
        [node.state for node in nodes],
        [node.code for node in nodes],
        [node.text for node in nodes],
        now,
    )


async def track(conn: Connection, key: Key) -> list[Node]:
    """Return everything a carrier told of one parcel, the newest first."""
    rows = await conn.fetch(
        """
        SELECT at, state, code, told FROM tracks
         WHERE merchant_id = $1 AND parcel_id = $2
         ORDER BY at DESC, node_key
        """,
        *key,
    )
    return [
        Node(
            row["at"],
            ParcelState(row["state"]) if row["state"] else None,
            row["code"],
            row["told"],
        )
        for row in rows
    ]


async def oldest_stuck(conn: Connection) -> datetime | None:
    """Return since when the parcel that is silent for longest is known to be so."""
    moment: datetime | None = await conn.fetchval("SELECT min(stuck_at) FROM parcels")
    return moment


def _parcel(row: Row) -> Parcel:
    return Parcel(**{**row, "state": ParcelState(row["state"])})
