"""Mandates, written before the customer is sent to the rail."""

from datetime import datetime
from typing import Final
from uuid import UUID

from services.signing.contract import Rail
from services.signing.domain.errors import MandateUnknown
from services.signing.domain.mandate import Mandate, MandateState
from services.signing.store import history
from shared.db import Connection, Row

NEXT_DUE: Final = """
        SELECT least((SELECT min(due_at) FROM mandates WHERE due_at IS NOT NULL),
                     (SELECT min(due_at) FROM sign_flows WHERE due_at IS NOT NULL),
                     (SELECT min(due_at) FROM identity_checks WHERE due_at IS NOT NULL))
        """
"""When a provider should next be asked about anything that is open."""


_COLUMNS = """
    mandate_id, merchant_id, application_id, agreement_id, rail, product, external_no, payer_no,
    payee_no, ceiling_fen, first_due_on, total_fen, periods, state, serial, rail_agreement_no,
    valid_until, granted_at, ended_at, due_at, tries
"""


async def add(conn: Connection, mandate: Mandate, *, now: datetime) -> bool:
    """Add a pending mandate; False if the agreement has a live one or the id stood already."""
    row = await conn.fetchrow(
        """
        INSERT INTO mandates (mandate_id, merchant_id, application_id, agreement_id, rail, product,
               external_no, payer_no, payee_no, ceiling_fen, first_due_on, total_fen, periods,
               state, due_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
            ON CONFLICT DO NOTHING
        RETURNING mandate_id
        """,
        mandate.mandate_id,
        mandate.merchant_id,
        mandate.application_id,
        mandate.agreement_id,
        mandate.rail,
        mandate.product,
        mandate.external_no,
        mandate.payer_no,
        mandate.payee_no,
        mandate.ceiling_fen,
        mandate.first_due_on,
        mandate.total_fen,
        mandate.periods,
        mandate.state,
        mandate.due_at,
        now,
    )
    return row is not None


async def count_of(conn: Connection, agreement_id: UUID) -> int:
    """Return how many mandates an agreement has had."""
    number: int = await conn.fetchval(
        "SELECT count(*) FROM mandates WHERE agreement_id = $1", agreement_id
    )
    return number


async def newest_of(conn: Connection, agreement_id: UUID) -> Mandate | None:
    """Return an agreement's newest mandate; lock the application first to change it."""
    row = await conn.fetchrow(
        f"""
        SELECT {_COLUMNS} FROM mandates WHERE agreement_id = $1
         ORDER BY serial DESC LIMIT 1
        """,  # noqa: S608 - a constant list of columns
        agreement_id,
    )
    return None if row is None else _mandate(row)


async def find(conn: Connection, external_no: str) -> Mandate:
    """Return the mandate under our own number, or raise MandateUnknown."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM mandates WHERE external_no = $1",  # noqa: S608
        external_no,
    )
    if row is None:
        raise MandateUnknown("No mandate has this number.")
    return _mandate(row)


async def read(conn: Connection, mandate_id: UUID) -> Mandate:
    """Return a mandate that exists."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM mandates WHERE mandate_id = $1",  # noqa: S608
        mandate_id,
    )
    assert row is not None
    return _mandate(row)


async def customer_of(conn: Connection, mandate_id: UUID) -> UUID:
    """Return whose mandate it is; only an identified customer is ever asked for one."""
    customer_id: UUID = await conn.fetchval(
        """
        SELECT p.customer_id FROM mandates m JOIN applications p USING (application_id)
         WHERE m.mandate_id = $1
        """,
        mandate_id,
    )
    return customer_id


async def lock(conn: Connection, mandate_id: UUID) -> Mandate:
    """Return a mandate that exists, for update."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM mandates WHERE mandate_id = $1 FOR UPDATE",  # noqa: S608
        mandate_id,
    )
    assert row is not None
    return _mandate(row)


async def save(
    conn: Connection, before: Mandate, after: Mandate, *, actor: str, now: datetime
) -> None:
    """Write a locked mandate and add to its history."""
    await conn.execute(
        """
        UPDATE mandates
           SET state = $2, rail_agreement_no = $3, valid_until = $4, granted_at = $5,
               ended_at = $6, due_at = $7, tries = $8
         WHERE mandate_id = $1
        """,
        after.mandate_id,
        after.state,
        after.rail_agreement_no,
        after.valid_until,
        after.granted_at,
        after.ended_at,
        after.due_at,
        after.tries,
    )
    await history.add(
        conn,
        "mandate",
        after.mandate_id,
        from_state=before.state,
        to_state=after.state,
        actor=actor,
        now=now,
    )


async def due(conn: Connection, *, now: datetime, limit: int) -> list[Mandate]:
    """
    Claim mandates about which the rail should be asked, or which should be closed.

    A claim lasts half a minute; who died meanwhile leaves the row to the next.
    """
    rows = await conn.fetch(
        f"""
        UPDATE mandates SET due_at = $1::timestamptz + interval '30 seconds'
         WHERE mandate_id IN (SELECT mandate_id FROM mandates WHERE due_at <= $1
                               ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING {_COLUMNS}
        """,  # noqa: S608
        now,
        limit,
    )
    return [_mandate(row) for row in rows]


async def active(conn: Connection, *, after: UUID, limit: int) -> list[Mandate]:
    """Return active mandates in id order, after the one named."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM mandates WHERE state = 'active' AND mandate_id > $1
         ORDER BY mandate_id LIMIT $2
        """,  # noqa: S608
        after,
        limit,
    )
    return [_mandate(row) for row in rows]


def _mandate(row: Row) -> Mandate:
    return Mandate(**{**row, "rail": Rail(row["rail"]), "state": MandateState(row["state"])})
