"""Mandates: what signing told us of them, the newest of each agreement counts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.billing.domain.mandate import Mandate, MandateState
from shared.db import Connection, Row


async def add(conn: Connection, mandate: Mandate) -> bool:
    """Add *mandate*; False if it stood already."""
    done = await conn.execute(
        """
        INSERT INTO mandates
        SELECT * FROM jsonb_populate_recordset(NULL::mandates, $1)
            ON CONFLICT (mandate_id) DO NOTHING
        """,
        [mandate],
    )
    return bool(done == "INSERT 0 1")


async def end(conn: Connection, mandate_id: UUID, state: MandateState, *, at: datetime) -> bool:
    """Let no charge pass any more; a closed mandate stays closed.  False: no such mandate yet."""
    done = await conn.execute(
        """
        UPDATE mandates
           SET state = CASE WHEN state = 'closed' THEN state ELSE $2 END,
               ended_at = coalesce(ended_at, $3)
         WHERE mandate_id = $1
        """,
        mandate_id,
        state.value,
        at,
    )
    return bool(done == "UPDATE 1")


async def newest(conn: Connection, agreement_ids: Sequence[UUID]) -> dict[UUID, Mandate]:
    """Return the newest mandate of each agreement that has one."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (agreement_id) *
          FROM mandates
         WHERE agreement_id = ANY($1::uuid[])
         ORDER BY agreement_id, granted_at DESC, mandate_id DESC
        """,
        agreement_ids,
    )
    return {row["agreement_id"]: _mandate(row) for row in rows}


def _mandate(row: Row) -> Mandate:
    values = dict(row)
    del values["ended_at"]
    return Mandate(**{**values, "state": MandateState(row["state"])})
