"""The table ``holds``: at most one per instalment."""

from collections.abc import Sequence
from uuid import UUID

from services.wallet.contract.states import HoldState
from services.wallet.domain.hold import Hold
from shared.db import Connection, Row

InstalmentKey = tuple[UUID, UUID]
"""Merchant and instalment."""


async def lock(conn: Connection, keys: Sequence[InstalmentKey]) -> dict[InstalmentKey, Hold]:
    """Return the holds of those of *keys* that have one, locked in the order of their keys."""
    rows = await conn.fetch(
        """
        SELECT h.*
          FROM holds h
          JOIN (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])
                  AS k (merchant_id, instalment_id)) k USING (merchant_id, instalment_id)
         ORDER BY h.merchant_id, h.instalment_id
           FOR UPDATE OF h
        """,
        [merchant_id for merchant_id, _ in keys],
        [instalment_id for _, instalment_id in keys],
    )
    return {(row["merchant_id"], row["instalment_id"]): _hold(row) for row in rows}


async def save(conn: Connection, holds: Sequence[Hold]) -> None:
    """Write back the ends of *holds*, which are locked."""
    await conn.execute(
        """
        UPDATE holds h
           SET state = n.state, captured_fen = n.captured_fen, shipment_id = n.shipment_id,
               closed_at = n.closed_at
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::uuid[],
                      $6::timestamptz[])
               AS n (merchant_id, hold_id, state, captured_fen, shipment_id, closed_at)
         WHERE h.merchant_id = n.merchant_id AND h.hold_id = n.hold_id
        """,
        [hold.merchant_id for hold in holds],
        [hold.hold_id for hold in holds],
        [hold.state for hold in holds],
        [hold.captured_fen for hold in holds],
        [hold.shipment_id for hold in holds],
        [hold.closed_at for hold in holds],
    )


async def find(conn: Connection, merchant_id: UUID, any_id: UUID) -> Hold | None:
    """Return one merchant's hold whose own id or instalment *any_id* is."""
    row = await conn.fetchrow(
        """
        SELECT * FROM holds WHERE merchant_id = $1 AND (hold_id = $2 OR instalment_id = $2)
        """,
        merchant_id,
        any_id,
    )
    return _hold(row) if row else None


async def page(
    conn: Connection,
    merchant_id: UUID,
    *,
    agreement_id: UUID | None,
    customer_id: UUID | None,
    state: HoldState | None,
    limit: int,
    after: UUID | None,
) -> list[Hold]:
    """Return up to *limit* of a merchant's holds with id above *after*, filtered."""
    rows = await conn.fetch(
        """
        SELECT * FROM holds
         WHERE merchant_id = $1
           AND ($2::uuid IS NULL OR agreement_id = $2)
           AND ($3::uuid IS NULL OR customer_id = $3)
           AND ($4::text IS NULL OR state = $4)
           AND ($5::uuid IS NULL OR hold_id > $5)
         ORDER BY hold_id LIMIT $6
        """,
        merchant_id,
        agreement_id,
        customer_id,
        state,
        after,
        limit,
    )
    return [_hold(row) for row in rows]


def _hold(row: Row) -> Hold:
    return Hold(**{**row, "state": HoldState(row["state"])})
