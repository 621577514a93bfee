"""The table ``shipments`` and its history."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from services.fulfillment.domain.growth import Stage
from services.fulfillment.domain.shipment import OPEN, Shipment, ShipmentState
from shared.db import Connection, Row

Key: TypeAlias = tuple[UUID, UUID]
"""Merchant and shipment."""

_DONE: Final = sorted(state.value for state in frozenset(ShipmentState) - OPEN)


async def add(conn: Connection, shipments: Sequence[Shipment], *, actor: str) -> set[UUID]:
    """Write new shipments; return the ids of those whose instalment had none yet."""
    rows = await conn.fetch(
        """
        WITH added AS (
            INSERT INTO shipments (merchant_id, shipment_id, instalment_id, agreement_id,
                                   customer_id, pet_id, hold_id, seq, hold_fen, state, ship_on,
                                   deliver_by, planned_at, since, due_at, reason)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[],
                                 $6::uuid[], $7::uuid[], $8::int[], $9::bigint[], $10::text[],
                                 $11::date[], $12::date[], $13::timestamptz[],
                                 $14::timestamptz[], $15::timestamptz[], $16::text[])
                ON CONFLICT (merchant_id, instalment_id) DO NOTHING
            RETURNING merchant_id, shipment_id, since, state, reason),
        told AS (
            INSERT INTO shipment_history (merchant_id, shipment_id, at, actor, to_state, reason)
            SELECT merchant_id, shipment_id, since, $17, state, reason FROM added)
        SELECT shipment_id FROM added
        """,
        [one.merchant_id for one in shipments],
        [one.shipment_id for one in shipments],
        [one.instalment_id for one in shipments],
        [one.agreement_id for one in shipments],
        [one.customer_id for one in shipments],
        [one.pet_id for one in shipments],
        [one.hold_id for one in shipments],
        [one.seq for one in shipments],
        [one.hold_fen for one in shipments],
        [one.state for one in shipments],
        [one.ship_on for one in shipments],
        [one.deliver_by for one in shipments],
        [one.planned_at for one in shipments],
        [one.since for one in shipments],
        [one.due_at for one in shipments],
        [one.reason for one in shipments],
        actor,
    )
    return {row["shipment_id"] for row in rows}


async def claim_due(
    conn: Connection,
    states: Collection[ShipmentState],
    *,
    now: datetime,
    limit: int,
    lease: timedelta,
) -> list[Shipment]:
    """
    Take up to *limit* due shipments in one of *states*, and put them off by *lease*.

    Shipments that another worker is taking are skipped, not waited for.  Who dies with
    them lets them become due again.
    """
    rows = await conn.fetch(
        """
        UPDATE shipments
           SET due_at = $2::timestamptz + $4::interval, fence = fence + 1
         WHERE (merchant_id, shipment_id) IN (
               SELECT merchant_id, shipment_id
                 FROM shipments
                WHERE state = ANY($1::text[]) AND due_at <= $2
                ORDER BY due_at
                LIMIT $3
                  FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        [state.value for state in states],
        now,
        limit,
        lease,
    )
    return sorted(map(_shipment, rows), key=lambda one: (one.merchant_id, one.shipment_id))


def next_due(states: Collection[ShipmentState]) -> str:
    """Return the question when a shipment in one of *states* is due next."""
    among = ", ".join(f"'{state.value}'" for state in states)
    return (
        "SELECT min(due_at) FROM shipments "  # noqa: S608 - states are words of ours
        f"WHERE state IN ({among}) AND due_at IS NOT NULL"
    )


async def lock(conn: Connection, keys: Sequence[Key]) -> dict[UUID, Shipment]:
    """Return the shipments of *keys* by id, locked in the order of their keys."""
    rows = await conn.fetch(
        """
        SELECT s.*
          FROM shipments s
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, shipment_id)) k USING (merchant_id, shipment_id)
         ORDER BY s.merchant_id, s.shipment_id
           FOR UPDATE OF s
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {row["shipment_id"]: _shipment(row) for row in rows}


async def seen(conn: Connection, keys: Sequence[Key]) -> dict[UUID, Shipment]:
    """Return the shipments of *keys* by id, as they are now, locking nothing."""
    rows = await conn.fetch(
        """
        SELECT s.*
          FROM shipments s
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, shipment_id)) k USING (merchant_id, shipment_id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {row["shipment_id"]: _shipment(row) for row in rows}


async def lock_of_agreement(
    conn: Connection, merchant_id: UUID, agreement_id: UUID
) -> list[Shipment]:
    """Return the shipments of an agreement, locked."""
    rows = await conn.fetch(
        """
        SELECT * FROM shipments
         WHERE merchant_id = $1 AND agreement_id = $2
         ORDER BY merchant_id, shipment_id
           FOR UPDATE
        """,
        merchant_id,
        agreement_id,
    )
    return [_shipment(row) for row in rows]


async def merchant_of(conn: Connection, shipment_id: UUID) -> UUID | None:
    """Return whose shipment this is; for those who know only our number of it."""
    merchant_id: UUID | None = await conn.fetchval(
        "SELECT merchant_id FROM shipments WHERE shipment_id = $1", shipment_id
    )
    return merchant_id


async def save(
    conn: Connection,
    before: Sequence[Shipment],
    after: Sequence[Shipment],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Write what was locked as *before*, and the moves it made, in the history."""
    if not after:
        return
    await conn.execute(
        """
        UPDATE shipments s
           SET state = n.state, ship_on = n.ship_on, deliver_by = n.deliver_by,
               since = n.since, due_at = n.due_at, stage = n.stage, revision = n.revision,
               tries = n.tries, order_no = n.order_no, wait_until = n.wait_until,
               reason = n.reason
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::date[], $5::date[],
                      $6::timestamptz[], $7::timestamptz[], $8::text[], $9::int[], $10::int[],
                      $11::text[], $12::date[], $13::text[])
               AS n (merchant_id, shipment_id, state, ship_on, deliver_by, since, due_at,
                     stage, revision, tries, order_no, wait_until, reason)
         WHERE s.merchant_id = n.merchant_id AND s.shipment_id = n.shipment_id
        """,
        [one.merchant_id for one in after],
        [one.shipment_id for one in after],
        [one.state for one in after],
        [one.ship_on for one in after],
        [one.deliver_by for one in after],
        [one.since for one in after],
        [one.due_at for one in after],
        [one.stage for one in after],
        [one.revision for one in after],
        [one.tries for one in after],
        [one.order_no for one in after],
        [one.wait_until for one in after],
        [one.reason for one in after],
    )
    former = {one.shipment_id: one for one in before}
    moved = [one for one in after if former[one.shipment_id].state is not one.state]
    await conn.execute(
        """
        INSERT INTO shipment_history (merchant_id, shipment_id, at, actor, from_state, to_state,
                                      reason)
        SELECT h.merchant_id, h.shipment_id, $6, $7, h.from_state, h.to_state, h.reason
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
               AS h (merchant_id, shipment_id, from_state, to_state, reason)
        """,
        [one.merchant_id for one in moved],
        [one.shipment_id for one in moved],
        [former[one.shipment_id].state for one in moved],
        [one.state for one in moved],
        [one.reason for one in moved],
        now,
        actor,
    )


async def hasten(conn: Connection, shipment: Shipment, *, to: datetime) -> None:
    """Make a locked shipment due at *to* at the latest."""
    await conn.execute(
        """
        UPDATE shipments SET due_at = least(due_at, $3)
         WHERE merchant_id = $1 AND shipment_id = $2
        """,
        shipment.merchant_id,
        shipment.shipment_id,
        to,
    )


async def find(conn: Connection, merchant_id: UUID, shipment_id: UUID) -> Shipment | None:
    """Return one shipment of a merchant."""
    row = await conn.fetchrow(
        "SELECT * FROM shipments WHERE merchant_id = $1 AND shipment_id = $2",
        merchant_id,
        shipment_id,
    )
    return None if row is None else _shipment(row)


async def listed(
    conn: Connection,
    merchant_id: UUID,
    *,
    agreement_id: UUID | None,
    customer_id: UUID | None,
    state: ShipmentState | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Shipment]:
    """Return a merchant's shipments in the order they were planned, filtered."""
    rows = await conn.fetch(
        """
        SELECT * FROM shipments
         WHERE merchant_id = $1
           AND ($2::uuid IS NULL OR agreement_id = $2)
           AND ($3::uuid IS NULL OR customer_id = $3)
           AND ($4::text IS NULL OR state = $4)
           AND ($5::timestamptz IS NULL OR (planned_at, shipment_id) > ($5, $6::uuid))
         ORDER BY planned_at, shipment_id
         LIMIT $7
        """,
        merchant_id,
        agreement_id,
        customer_id,
        state,
        *(after or (None, None)),
        limit,
    )
    return [_shipment(row) for row in rows]


async def history(
    conn: Connection, merchant_id: UUID, shipment_id: UUID
) -> list[tuple[datetime, str, str, str | None]]:
    """Return (moment, actor, state, reason) of every move of a shipment."""
    rows = await conn.fetch(
        """
        SELECT at, actor, to_state, reason FROM shipment_history
         WHERE merchant_id = $1 AND shipment_id = $2
         ORDER BY n
        """,
        merchant_id,
        shipment_id,
    )
    return [(row["at"], row["actor"], row["to_state"], row["reason"]) for row in rows]


async def oldest_per_state(conn: Connection) -> list[tuple[str, datetime]]:
    """Return since when the oldest shipment is in each state that must end."""
    rows = await conn.fetch(
        "SELECT state, min(since) AS since FROM shipments WHERE state <> ALL($1) GROUP BY state",
        _DONE,
    )
    return [(row["state"], row["since"]) for row in rows]


def _shipment(row: Row) -> Shipment:
    fields = dict(row)
    fields["state"] = ShipmentState(row["state"])
    fields["stage"] = Stage(row["stage"]) if row["stage"] else None
    return Shipment(**fields)
