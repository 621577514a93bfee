"""The chain of evidence of each application; rows are only ever added."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from services.signing.domain.evidence import Entry, next_entry
from shared.db import Connection


async def append(
    conn: Connection,
    application_id: UUID,
    kind: str,
    payload: Mapping[str, object],
    *,
    actor: str,
    now: datetime,
) -> Entry:
    """Add one entry at the end of the chain; the application must be locked."""
    last = await conn.fetchrow(
        "SELECT * FROM evidence WHERE application_id = $1 ORDER BY seq DESC LIMIT 1",
        application_id,
    )
    entry = next_entry(
        None if last is None else Entry(**last),
        application_id=application_id,
        kind=kind,
        occurred_at=now,
        actor=actor,
        payload=payload,
    )
    await conn.execute(
        """
        INSERT INTO evidence (application_id, seq, kind, occurred_at, actor, payload,
                              payload_sha256, prev_hash, entry_hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        entry.application_id,
        entry.seq,
        entry.kind,
        entry.occurred_at,
        entry.actor,
        entry.payload,
        entry.payload_sha256,
        entry.prev_hash,
        entry.entry_hash,
    )
    return entry


async def chain(conn: Connection, application_id: UUID) -> list[Entry]:
    """Return all entries of an application, in order."""
    rows = await conn.fetch(
        "SELECT * FROM evidence WHERE application_id = $1 ORDER BY seq", application_id
    )
    return [Entry(**row) for row in rows]
