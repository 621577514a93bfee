"""Attempts: written before the rail is called, settled by whatever proves what happened."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from services.billing.domain.attempt import Attempt, AttemptKind, AttemptState
from services.billing.domain.debit_gate import ChargedBefore
from shared.db import Connection, Row
from shared.rails.classes import FailureClass

NEXT_QUERY: Final = "SELECT min(query_at) FROM attempts WHERE query_at IS NOT NULL"
"""When the rail is to be asked next."""


async def add(conn: Connection, attempts: Sequence[Attempt]) -> None:
    """Add attempts; the database refuses a second open one of an instalment."""
    await conn.execute(
        "INSERT INTO attempts SELECT * FROM jsonb_populate_recordset(NULL::attempts, $1)",
        list(attempts),
    )


async def save(conn: Connection, attempts: Sequence[Attempt]) -> None:
    """Write back what may change of attempts whose agreements are locked."""
    if not attempts:
        return
    await conn.execute(
        """
        UPDATE attempts AS a
           SET state = n.state, surplus = n.surplus, failure_class = n.failure_class,
               failure_code = n.failure_code, rail_trade_no = n.rail_trade_no,
               settled_at = n.settled_at, paid_at = n.paid_at, query_at = n.query_at,
               queries = n.queries
          FROM jsonb_populate_recordset(NULL::attempts, $1) AS n
         WHERE a.attempt_id = n.attempt_id
        """,
        list(attempts),
    )


async def keep_client(conn: Connection, attempt_id: UUID, client: Mapping[str, object]) -> None:
    """Keep what the mini-program needs, so that asking twice gives the same payment."""
    await conn.execute(
        "UPDATE attempts SET client = $2 WHERE attempt_id = $1", attempt_id, dict(client)
    )


async def claim_to_query(
    conn: Connection, *, now: datetime, until: datetime, limit: int
) -> list[Attempt]:
    """
    Return up to *limit* attempts that the rail is to be asked about; they rest *until* then.

    The lease is the query's own deadline: whoever does not settle in time has it done again.
    """
    rows = await conn.fetch(
        """
        UPDATE attempts
           SET query_at = $2, queries = queries + 1
         WHERE attempt_id IN (
               SELECT attempt_id FROM attempts
                WHERE query_at <= $1
                ORDER BY query_at, attempt_id
                LIMIT $3
                  FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        now,
        until,
        limit,
    )
    return [attempt(row) for row in rows]


async def by_ids(conn: Connection, attempt_ids: Sequence[UUID]) -> list[Attempt]:
    """Return the attempts as they stand."""
    rows = await conn.fetch(
        "SELECT * FROM attempts WHERE attempt_id = ANY($1::uuid[]) ORDER BY attempt_id",
        attempt_ids,
    )
    return [attempt(row) for row in rows]


async def find_by_trade_no(conn: Connection, trade_no: str) -> Attempt | None:
    """Return the attempt that a rail names, None if it is none of ours."""
    row = await conn.fetchrow("SELECT * FROM attempts WHERE trade_no = $1", trade_no)
    return None if row is None else attempt(row)


async def open_of(conn: Connection, instalment_ids: Sequence[UUID]) -> dict[UUID, Attempt]:
    """Return the open attempt of each instalment that has one."""
    rows = await conn.fetch(
        """
        SELECT * FROM attempts
         WHERE instalment_id = ANY($1::uuid[]) AND state IN ('prepared', 'sent', 'unknown')
        """,
        instalment_ids,
    )
    return {row["instalment_id"]: attempt(row) for row in rows}


async def charged_since(
    conn: Connection, agreement_ids: Sequence[UUID], first: date
) -> dict[UUID, list[ChargedBefore]]:
    """Return, by agreement, what we charged or may have charged since *first*, and what is open."""
    rows = await conn.fetch(
        """
        SELECT agreement_id, instalment_id, on_day, amount_fen,
               CASE WHEN query_at IS NOT NULL THEN created_at END AS open_since
          FROM attempts
         WHERE agreement_id = ANY($1::uuid[]) AND (on_day >= $2 OR query_at IS NOT NULL)
           AND kind = 'automatic' AND state <> 'failed'
        """,
        agreement_ids,
        first,
    )
    found: dict[UUID, list[ChargedBefore]] = {}
    for row in rows:
        values = dict(row)
        found.setdefault(values.pop("agreement_id"), []).append(ChargedBefore(**values))
    return found


async def renew(conn: Connection, attempt_id: UUID, *, expires_at: datetime) -> None:
    """Let an open order live until then: it is about to be sent again."""
    await conn.execute(
        "UPDATE attempts SET expires_at = $2 WHERE attempt_id = $1 AND query_at IS NOT NULL",
        attempt_id,
        expires_at,
    )


async def ask_later(conn: Connection, attempt_id: UUID, *, at: datetime) -> None:
    """Put an open order that cannot be settled now off until *at*."""
    await conn.execute(
        "UPDATE attempts SET query_at = $2 WHERE attempt_id = $1 AND query_at IS NOT NULL",
        attempt_id,
        at,
    )


def attempt(row: Row) -> Attempt:
    """Return a row of ``attempts`` as a record."""
    failure = row["failure_class"]
    return Attempt(
        **{
            **row,
            "kind": AttemptKind(row["kind"]),
            "state": AttemptState(row["state"]),
            "failure_class": None if failure is None else FailureClass(failure),
        }
    )


async def of_instalment(conn: Connection, instalment_id: UUID) -> list[Attempt]:
    """Return every attempt of an instalment, in order."""
    rows = await conn.fetch(
        "SELECT * FROM attempts WHERE instalment_id = $1 ORDER BY attempt_no", instalment_id
    )
    return [attempt(row) for row in rows]
