"""The breakers of the rails, shared by all replicas; a rail without a row has never rested."""

from collections.abc import Sequence
from datetime import datetime

from services.billing.domain.breaker import Breaker, BreakerState
from shared.db import Connection, Row


async def lock(conn: Connection, rails: Sequence[str]) -> list[Breaker]:
    """Return the breakers of *rails* in the order of their names, locked."""
    await conn.execute(
        """
        INSERT INTO rail_rests (rail)
        SELECT rail FROM unnest($1::text[]) AS rail ORDER BY rail
            ON CONFLICT DO NOTHING
        """,
        rails,
    )
    rows = await conn.fetch(
        "SELECT * FROM rail_rests WHERE rail = ANY($1::text[]) ORDER BY rail FOR UPDATE", rails
    )
    return [_breaker(row) for row in rows]


async def every(conn: Connection) -> list[Breaker]:
    """Return the breakers of all rails that have one."""
    return [_breaker(row) for row in await conn.fetch("SELECT * FROM rail_rests ORDER BY rail")]


async def save(conn: Connection, breaker: Breaker) -> None:
    """Write back a locked breaker."""
    await conn.execute(
        """
        UPDATE rail_rests
           SET state = $2, failures = $3, opens = $4, opened_at = $5, until_at = $6, reason = $7
         WHERE rail = $1
        """,
        breaker.rail,
        breaker.state.value,
        breaker.failures,
        breaker.opens,
        breaker.opened_at,
        breaker.until_at,
        breaker.reason,
    )


async def claim_probe(conn: Connection, rail: str, *, now: datetime, until: datetime) -> bool:
    """
    Let one order of a resting rail through; False if another has just gone, or it is too soon.

    Who never tells what came of it leaves the next one *until* then.
    """
    done = await conn.execute(
        """
        UPDATE rail_rests SET state = 'half_open', until_at = $3
         WHERE rail = $1 AND state <> 'closed' AND until_at <= $2
        """,
        rail,
        now,
        until,
    )
    return bool(done == "UPDATE 1")


def _breaker(row: Row) -> Breaker:
    return Breaker(**{**row, "state": BreakerState(row["state"])})
