"""The tables ``agreements`` and ``stage_changes``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from services.fulfillment.domain.agreement import Agreement
from services.fulfillment.domain.growth import Stage, StageChange
from shared.db import Connection, Row

Key: TypeAlias = tuple[UUID, UUID]
"""Merchant and agreement."""


NEXT_STAGE_DUE: Final = "SELECT min(stage_due_at) FROM agreements"
"""When a stage is to be looked at."""


async def add(conn: Connection, agreement: Agreement, *, stage_due_at: datetime | None) -> bool:
    """Write a signed agreement; False if it stood already."""
    done = await conn.execute(
        """
        INSERT INTO agreements (merchant_id, agreement_id, customer_id, pet_id, plan_id,
                                plan_version, signed_at, substitutes_agreed, stage_due_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT DO NOTHING
        """,
        agreement.merchant_id,
        agreement.agreement_id,
        agreement.customer_id,
        agreement.pet_id,
        agreement.plan_id,
        agreement.plan_version,
        agreement.signed_at,
        agreement.substitutes_agreed,
        stage_due_at,
    )
    return done == "INSERT 0 1"


async def share(conn: Connection, keys: Sequence[Key]) -> dict[Key, Agreement]:
    """
    Return those of *keys* that are known, and keep them from ending until we commit.

    So a shipment planned now is seen by who ends the agreement afterwards.
    """
    rows = await conn.fetch(
        """
        SELECT a.*
          FROM agreements a
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, agreement_id)) k USING (merchant_id, agreement_id)
         ORDER BY a.merchant_id, a.agreement_id
           FOR SHARE OF a
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(row["merchant_id"], row["agreement_id"]): _agreement(row) for row in rows}


async def find(conn: Connection, keys: Sequence[Key]) -> dict[Key, Agreement]:
    """Return those of *keys* that are known."""
    rows = await conn.fetch(
        """
        SELECT a.*
          FROM agreements a
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, agreement_id)) k USING (merchant_id, agreement_id)
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    return {(row["merchant_id"], row["agreement_id"]): _agreement(row) for row in rows}


async def end(conn: Connection, key: Key, *, reason: str, now: datetime) -> bool:
    """Note that an agreement has ended; False if it is unknown.  Repeats safely."""
    done = await conn.execute(
        """
        UPDATE agreements
           SET ended_at = coalesce(ended_at, $4), end_reason = coalesce(end_reason, $3),
               stage_due_at = NULL
         WHERE merchant_id = $1 AND agreement_id = $2
        """,
        *key,
        reason,
        now,
    )
    return done == "UPDATE 1"


async def look_at_stage(conn: Connection, merchant_id: UUID, pet_id: UUID, *, at: datetime) -> None:
    """Have the stage of every live agreement of a pet that is followed looked at, at *at*."""
    await conn.execute(
        """
        UPDATE agreements
           SET stage_due_at = $3
         WHERE merchant_id = $1 AND pet_id = $2 AND ended_at IS NULL
           AND EXISTS (SELECT FROM stage_changes s
                        WHERE s.merchant_id = agreements.merchant_id
                          AND s.agreement_id = agreements.agreement_id)
        """,
        merchant_id,
        pet_id,
        at,
    )


async def claim_stage_due(
    conn: Connection, *, now: datetime, limit: int, retry: timedelta
) -> list[Agreement]:
    """Take agreements whose stage is to be looked at; each gets a later moment for now."""
    rows = await conn.fetch(
        """
        UPDATE agreements
           SET stage_due_at = $1::timestamptz + $3::interval
         WHERE (merchant_id, agreement_id) IN (
               SELECT merchant_id, agreement_id
                 FROM agreements
                WHERE stage_due_at <= $1
                ORDER BY stage_due_at
                LIMIT $2
                  FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        now,
        limit,
        retry,
    )
    return [_agreement(row) for row in rows]


async def set_stage_due(conn: Connection, due: Sequence[tuple[Key, datetime | None]]) -> None:
    """Say when the stage of each agreement is to be looked at next."""
    await conn.execute(
        """
        UPDATE agreements a
           SET stage_due_at = d.due_at
          FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[])
               AS d (merchant_id, agreement_id, due_at)
         WHERE a.merchant_id = d.merchant_id AND a.agreement_id = d.agreement_id
           AND a.ended_at IS NULL
        """,
        [key[0] for key, _ in due],
        [key[1] for key, _ in due],
        [moment for _, moment in due],
    )


async def add_changes(
    conn: Connection, changes: Sequence[tuple[Key, StageChange]], *, now: datetime
) -> None:
    """Write changes of stage; one of the same day is replaced by the later word."""
    await conn.execute(
        """
        INSERT INTO stage_changes (merchant_id, agreement_id, from_day, from_stage, to_stage,
                                   announced_at)
        SELECT c.*, $6
          FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::text[], $5::text[]) AS c
            ON CONFLICT (merchant_id, agreement_id, from_day) DO UPDATE
           SET to_stage = excluded.to_stage, announced_at = excluded.announced_at
        """,
        [key[0] for key, _ in changes],
        [key[1] for key, _ in changes],
        [change.from_day for _, change in changes],
        [change.from_stage for _, change in changes],
        [change.to_stage for _, change in changes],
        now,
    )


async def changes(conn: Connection, keys: Sequence[Key]) -> dict[Key, list[StageChange]]:
    """Return the stages of each of *keys*, the earliest first."""
    rows = await conn.fetch(
        """
        SELECT s.*
          FROM stage_changes s
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, agreement_id)) k USING (merchant_id, agreement_id)
         ORDER BY s.from_day
        """,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    found: dict[Key, list[StageChange]] = {}
    for row in rows:
        before = Stage(row["from_stage"]) if row["from_stage"] else None
        change = StageChange(before, Stage(row["to_stage"]), row["from_day"])
        found.setdefault((row["merchant_id"], row["agreement_id"]), []).append(change)
    return found


def _agreement(row: Row) -> Agreement:
    return Agreement(
        row["merchant_id"],
        row["agreement_id"],
        row["customer_id"],
        row["pet_id"],
        row["plan_id"],
        row["plan_version"],
        row["signed_at"],
        row["substitutes_agreed"],
        row["end_reason"],
    )
