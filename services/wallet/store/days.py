"""Facts that come from outside once: days that were reconciled, parcels that arrived."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.billing.contract import DayReconciled
from services.fulfillment.contract import ShipmentDelivered
from shared.db import Connection


async def add_reconciled(conn: Connection, told: DayReconciled, *, now: datetime) -> bool:
    """Keep a reconciled day; False if it stands already."""
    done = await conn.execute(
        """
        INSERT INTO reconciled_days (merchant_id, reconciliation_id, rail, day, captured_fen,
                                     refunded_fen, fee_fen, booked_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
        """,
        told.merchant_id,
        told.reconciliation_id,
        told.rail,
        told.day,
        told.captured_fen,
        told.refunded_fen,
        told.fee_fen,
        now,
    )
    return done == "INSERT 0 1"


async def reconciled(conn: Connection, told: DayReconciled) -> tuple[int, int, int]:
    """Return what was captured, refunded and kept by the rail when this day was booked."""
    row = await conn.fetchrow(
        """
        SELECT captured_fen, refunded_fen, fee_fen FROM reconciled_days
         WHERE merchant_id = $1 AND reconciliation_id = $2
        """,
        told.merchant_id,
        told.reconciliation_id,
    )
    assert row is not None
    return row["captured_fen"], row["refunded_fen"], row["fee_fen"]


async def add_deliveries(conn: Connection, delivered: Sequence[ShipmentDelivered]) -> None:
    """Keep that parcels arrived; those that stand stay."""
    rows = sorted(
        {(e.merchant_id, e.instalment_id): e for e in delivered}.values(),
        key=lambda e: (e.merchant_id, e.instalment_id),
    )
    await conn.execute(
        """
        INSERT INTO deliveries (merchant_id, instalment_id, shipment_id, delivered_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[])
            ON CONFLICT DO NOTHING
        """,
        [event.merchant_id for event in rows],
        [event.instalment_id for event in rows],
        [event.shipment_id for event in rows],
        [event.occurred_at for event in rows],
    )


async def undelivered_fen(conn: Connection, merchant_id: UUID) -> int:
    """Return what a merchant has earned by parcels that are still under way, in fen."""
    total = await conn.fetchval(
        """
        SELECT sum(t.amount_fen)
          FROM holds h
          JOIN transfers t ON t.merchant_id = h.merchant_id AND t.cause_id = h.instalment_id
               AND t.kind IN ('captured', 'bonus_captured')
         WHERE h.merchant_id = $1 AND h.state = 'captured'
           AND NOT EXISTS (SELECT FROM deliveries d
                            WHERE d.merchant_id = h.merchant_id
                              AND d.instalment_id = h.instalment_id)
        """,
        merchant_id,
    )
    return int(total or 0)


async def latest(conn: Connection, merchant_id: UUID) -> datetime | None:
    """Return when a day of this merchant was booked last."""
    moment: datetime | None = await conn.fetchval(
        "SELECT max(booked_at) FROM reconciled_days WHERE merchant_id = $1", merchant_id
    )
    return moment
