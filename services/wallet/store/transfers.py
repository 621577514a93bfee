"""The table ``transfers``: append-only, one row per cause and kind."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.wallet.contract.states import TransferKind
from services.wallet.domain.transfer import Transfer
from shared.db import Connection, Row

_COLUMNS: Final = """
    merchant_id, cause_id, kind, debit_account, credit_account, amount_fen,
    customer_id, agreement_id, occurred_at, trade_no
"""


async def add_new(conn: Connection, transfers: Sequence[Transfer]) -> list[Transfer]:
    """
    Write those of *transfers* whose cause has not booked its kind yet, and return them.

    The balances are not moved: see ``accounts.move``.  Of two with one key, only the
    first counts.  Rows are written in the order of their keys.
    """
    if not transfers:
        return []
    by_key = {(t.merchant_id, t.cause_id, t.kind): t for t in reversed(transfers)}
    rows = list(by_key.values())
    written = await conn.fetch(
        """
        INSERT INTO transfers
               (merchant_id, cause_id, kind, cause_kind, debit_account, credit_account, amount_fen,
                customer_id, agreement_id, trade_no, occurred_at)
        SELECT * FROM unnest(
               $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
               $7::bigint[], $8::uuid[], $9::uuid[], $10::text[], $11::timestamptz[])
         ORDER BY 1, 2, 3
        ON CONFLICT DO NOTHING
        RETURNING merchant_id, cause_id, kind
        """,
        [t.merchant_id for t in rows],
        [t.cause_id for t in rows],
        [t.kind for t in rows],
        [t.cause_kind for t in rows],
        [t.debit_account for t in rows],
        [t.credit_account for t in rows],
        [t.amount_fen for t in rows],
        [t.customer_id for t in rows],
        [t.agreement_id for t in rows],
        [t.trade_no for t in rows],
        [t.occurred_at for t in rows],
    )
    if len(written) == len(rows):
        return rows
    keys = {(row["merchant_id"], row["cause_id"], row["kind"]) for row in written}
    return [t for t in rows if (t.merchant_id, t.cause_id, t.kind) in keys]


async def of_causes(
    conn: Connection, merchant_id: UUID, cause_ids: Sequence[UUID]
) -> list[Transfer]:
    """Return what one merchant's *cause_ids* booked, oldest first."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM transfers
         WHERE merchant_id = $1 AND cause_id = ANY($2::uuid[])
         ORDER BY occurred_at, cause_id, kind
        """,  # noqa: S608 - the columns are a constant
        merchant_id,
        cause_ids,
    )
    return [_transfer(row) for row in rows]


async def of_customer(
    conn: Connection,
    merchant_id: UUID,
    customer_id: UUID,
    *,
    limit: int,
    before: tuple[datetime, str] | None,
) -> list[Transfer]:
    """
    Return up to *limit* transfers of one customer, newest first.

    *before* is the ``occurred_at`` and the ``tie`` of the last one seen.
    """
    moment, tie = before or (None, None)
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM transfers
         WHERE merchant_id = $1 AND customer_id = $2
           AND ($3::timestamptz IS NULL
                OR (occurred_at, cause_id::text || ' ' || kind) < ($3, $4::text))
         ORDER BY occurred_at DESC, cause_id::text || ' ' || kind DESC
         LIMIT $5
        """,  # noqa: S608 - the columns are a constant
        merchant_id,
        customer_id,
        moment,
        tie,
        limit,
    )
    return [_transfer(row) for row in rows]


def _transfer(row: Row) -> Transfer:
    return Transfer(**{**row, "kind": TransferKind(row["kind"])})
