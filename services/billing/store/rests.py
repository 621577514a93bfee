"""Rails that rest because they do not answer."""

from datetime import datetime

from shared.db import Connection


async def rest(conn: Connection, rail: str, *, until: datetime) -> None:
    """Start no automatic charge on *rail* before *until*."""
    await conn.execute(
        """
        INSERT INTO rail_rests AS r (rail, until_at) VALUES ($1, $2)
            ON CONFLICT (rail) DO UPDATE SET until_at = greatest(r.until_at, excluded.until_at)
        """,
        rail,
        until,
    )


async def resting(conn: Connection, *, now: datetime) -> set[str]:
    """Return the rails that rest now."""
    rows = await conn.fetch("SELECT rail FROM rail_rests WHERE until_at > $1", now)
    return {row["rail"] for row in rows}
