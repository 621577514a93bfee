"""Instalments: what each job claims of them, and their set-based changes."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from services.billing.domain.errors import InstalmentUnknown, PayLinkUnknown
from services.billing.domain.instalment import Instalment, InstalmentState
from shared.db import Connection, Row

NEXT_TRY: Final = "SELECT min(next_try_at) FROM instalments WHERE next_try_at IS NOT NULL"
"""When the billing run has work next."""

NEXT_NOTICE: Final = "SELECT min(next_notice_at) FROM instalments WHERE next_notice_at IS NOT NULL"
"""When a customer is to be told next."""

NEXT_DUNNING: Final = (
    "SELECT min(next_dunning_at) FROM instalments WHERE next_dunning_at IS NOT NULL"
)
"""When a step of a dunning ladder is due next."""


async def add(conn: Connection, instalments: Sequence[Instalment]) -> None:
    """Add a new agreement's instalments."""
    await conn.execute(
        "INSERT INTO instalments SELECT * FROM jsonb_populate_recordset(NULL::instalments, $1)",
        list(instalments),
    )


async def save(conn: Connection, instalments: Sequence[Instalment]) -> None:
    """Write back what may change of instalments whose agreements are locked."""
    if not instalments:
        return
    await conn.execute(
        """
        UPDATE instalments AS i
           SET charge_on = n.charge_on, charge_at = n.charge_at, state = n.state,
               tries = n.tries, auto_tries = n.auto_tries, first_tried_at = n.first_tried_at,
               next_try_at = n.next_try_at, next_notice_at = n.next_notice_at,
               next_dunning_at = n.next_dunning_at, rung = n.rung,
               overdue_since = n.overdue_since, extended_until = n.extended_until,
               charge_id = n.charge_id, paid_at = n.paid_at
          FROM jsonb_populate_recordset(NULL::instalments, $1) AS n
         WHERE i.instalment_id = n.instalment_id
        """,
        list(instalments),
    )


async def claim_to_try(conn: Connection, *, now: datetime, limit: int) -> list[Instalment]:
    """
    Return up to *limit* instalments that are to be charged now, with their agreements locked.

    Agreements that another worker holds are skipped, not waited for.
    """
    rows = await conn.fetch(
        """
        SELECT i.*
          FROM instalments AS i
          JOIN agreements AS a USING (agreement_id)
         WHERE i.next_try_at <= $1
         ORDER BY i.next_try_at, i.instalment_id
         LIMIT $2
           FOR NO KEY UPDATE OF i, a SKIP LOCKED
        """,
        now,
        limit,
    )
    return [instalment(row) for row in rows]


async def claim_to_notice(conn: Connection, *, now: datetime, limit: int) -> list[Instalment]:
    """Return up to *limit* instalments whose customers are to be told now, agreements locked."""
    rows = await conn.fetch(
        """
        SELECT i.*
          FROM instalments AS i
          JOIN agreements AS a USING (agreement_id)
         WHERE i.next_notice_at <= $1
         ORDER BY i.next_notice_at, i.instalment_id
         LIMIT $2
           FOR NO KEY UPDATE OF i, a SKIP LOCKED
        """,
        now,
        limit,
    )
    return [instalment(row) for row in rows]


async def claim_to_dun(conn: Connection, *, now: datetime, limit: int) -> list[Instalment]:
    """Return up to *limit* overdue instalments whose next step is due, agreements locked."""
    rows = await conn.fetch(
        """
        SELECT i.*
          FROM instalments AS i
          JOIN agreements AS a USING (agreement_id)
         WHERE i.next_dunning_at <= $1
         ORDER BY i.next_dunning_at, i.instalment_id
         LIMIT $2
           FOR NO KEY UPDATE OF i, a SKIP LOCKED
        """,
        now,
        limit,
    )
    return [instalment(row) for row in rows]


async def by_ids(conn: Connection, instalment_ids: Sequence[UUID]) -> list[Instalment]:
    """Return the instalments as they stand."""
    rows = await conn.fetch(
        "SELECT * FROM instalments WHERE instalment_id = ANY($1::uuid[])", instalment_ids
    )
    return [instalment(row) for row in rows]


async def of_agreement(conn: Connection, agreement_id: UUID) -> list[Instalment]:
    """Return an agreement's instalments in order."""
    rows = await conn.fetch(
        "SELECT * FROM instalments WHERE agreement_id = $1 ORDER BY seq", agreement_id
    )
    return [instalment(row) for row in rows]


async def unpaid_between(
    conn: Connection, since: date, until: date, *, after: UUID, limit: int
) -> list[Instalment]:
    """Return up to *limit* unpaid instalments to be charged in these days, by id from *after*."""
    rows = await conn.fetch(
        """
        SELECT * FROM instalments
         WHERE charge_on BETWEEN $1 AND $2 AND instalment_id > $3
           AND state IN ('scheduled', 'noticed', 'due', 'collecting', 'overdue')
         ORDER BY instalment_id
         LIMIT $4
        """,
        since,
        until,
        after,
        limit,
    )
    return [instalment(row) for row in rows]


async def page(
    conn: Connection, merchant_id: UUID, agreement_id: UUID, *, after_seq: int, limit: int
) -> list[Instalment]:
    """Return a merchant's view of an agreement's instalments after *after_seq*, in order."""
    rows = await conn.fetch(
        """
        SELECT * FROM instalments
         WHERE merchant_id = $1 AND agreement_id = $2 AND seq > $3
         ORDER BY seq
         LIMIT $4
        """,
        merchant_id,
        agreement_id,
        after_seq,
        limit,
    )
    return [instalment(row) for row in rows]


async def find(conn: Connection, merchant_id: UUID, instalment_id: UUID) -> Instalment:
    """
    Return one instalment of this merchant.

    Raises:
        InstalmentUnknown: There is none, or it is another merchant's.
    """
    row = await conn.fetchrow(
        "SELECT * FROM instalments WHERE merchant_id = $1 AND instalment_id = $2",
        merchant_id,
        instalment_id,
    )
    if row is None:
        raise InstalmentUnknown("No such instalment.", instalment_id=instalment_id)
    return instalment(row)


async def find_by_token(conn: Connection, token: str) -> Instalment:
    """
    Return the instalment that a payment link is about.

    Raises:
        PayLinkUnknown: No link has this token.
    """
    row = await conn.fetchrow("SELECT * FROM instalments WHERE pay_token = $1", token)
    if row is None:
        raise PayLinkUnknown("No such payment link.")
    return instalment(row)


def instalment(row: Row) -> Instalment:
    """Return a row of ``instalments`` as a record."""
    return Instalment(**{**row, "state": InstalmentState(row["state"])})
