"""The chain over transfers: each night's seal covers what none before it covered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.wallet.store.proofs import Difference
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Seal:
    """One link: how many transfers it covers, what they sum up to, and its digest."""

    merchant_id: UUID
    seq: int
    transfers: int
    total_fen: int
    digest: bytes
    sealed_at: datetime


_SEAL: Final = """
WITH last AS (
     SELECT seq, digest FROM seals WHERE merchant_id = $1 ORDER BY seq DESC LIMIT 1),
fresh AS MATERIALIZED (
     SELECT t.cause_id, t.kind, t.amount_fen, transfer_digest(t) AS digest
       FROM transfers t
      WHERE t.merchant_id = $1
        AND NOT EXISTS (SELECT FROM sealed_transfers s
                         WHERE s.merchant_id = $1 AND s.cause_id = t.cause_id
                           AND s.kind = t.kind)),
sealed AS (
     INSERT INTO seals (merchant_id, seq, transfers, total_fen, previous, digest, sealed_at)
     SELECT $1, coalesce((SELECT seq FROM last), 0) + 1, count(*), sum(amount_fen),
            coalesce((SELECT digest FROM last), ''::bytea),
            sha256(coalesce((SELECT digest FROM last), ''::bytea)
                   || string_agg(digest, ''::bytea ORDER BY cause_id, kind)), $2
       FROM fresh HAVING count(*) > 0
     RETURNING seq),
members AS (
     INSERT INTO sealed_transfers (merchant_id, cause_id, kind, seq, digest)
     SELECT $1, cause_id, kind, seq, digest FROM fresh CROSS JOIN sealed)
SELECT count(*) FROM fresh
"""

_CHECKS: Final = {
    "a sealed transfer stands as it was sealed": """
        SELECT s.cause_id::text || ' ' || s.kind AS about,
               CASE WHEN t.cause_id IS NULL THEN 0 ELSE t.amount_fen END AS stands,
               s.seq AS should
          FROM sealed_transfers s
          LEFT JOIN transfers t USING (merchant_id, cause_id, kind)
         WHERE s.merchant_id = $1
           AND (t.cause_id IS NULL OR transfer_digest(t) <> s.digest)
    """,
    "a seal covers what it covered": """
        SELECT 'seal ' || coalesce(g.seq, m.seq) AS about, coalesce(m.transfers, 0) AS stands,
               coalesce(g.transfers, 0) AS should
          FROM (SELECT seq, transfers, digest, previous, lag(digest) OVER (ORDER BY seq) AS before,
                       lag(seq) OVER (ORDER BY seq) AS seq_before
                  FROM seals WHERE merchant_id = $1) g
          FULL JOIN (
               SELECT seq, count(*) AS transfers,
                      string_agg(digest, ''::bytea ORDER BY cause_id, kind) AS digests
                 FROM sealed_transfers WHERE merchant_id = $1 GROUP BY seq) m ON m.seq = g.seq
         WHERE g.seq IS NULL OR m.seq IS NULL OR m.transfers <> g.transfers
            OR g.seq <> coalesce(g.seq_before, 0) + 1
            OR g.previous <> coalesce(g.before, ''::bytea)
            OR g.digest <> sha256(g.previous || m.digests)
    """,
}


async def seal(conn: Connection, merchant_id: UUID, *, now: datetime) -> int:
    """
    Seal one merchant's transfers that no seal covers; return how many they were.

    Two at once cannot make two links of one number: the second waits for the first.
    """
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('seal ' || $1::text, 0))", str(merchant_id)
    )
    found: int = await conn.fetchval(_SEAL, merchant_id, now)
    return found


async def merchants(conn: Connection) -> list[UUID]:
    """Return the merchants who have transfers, in order."""
    rows = await conn.fetch(
        """
        WITH RECURSIVE m AS (
             (SELECT merchant_id FROM transfers ORDER BY merchant_id LIMIT 1)
             UNION ALL
             SELECT (SELECT t.merchant_id FROM transfers t WHERE t.merchant_id > m.merchant_id
                      ORDER BY t.merchant_id LIMIT 1)
               FROM m WHERE m.merchant_id IS NOT NULL)
        SELECT merchant_id FROM m WHERE merchant_id IS NOT NULL
        """
    )
    return [row["merchant_id"] for row in rows]


async def page(
    conn: Connection, merchant_id: UUID, *, limit: int, before: int | None
) -> list[Seal]:
    """Return up to *limit* of a merchant's seals, newest first, before number *before*."""
    rows = await conn.fetch(
        """
        SELECT merchant_id, seq, transfers, total_fen::bigint AS total_fen, digest, sealed_at
          FROM seals WHERE merchant_id = $1 AND ($2::bigint IS NULL OR seq < $2)
         ORDER BY seq DESC LIMIT $3
        """,
        merchant_id,
        before,
        limit,
    )
    return [Seal(**row) for row in rows]


async def differences(conn: Connection, merchant_id: UUID) -> list[Difference]:
    """
    Return every sealed transfer that was changed or is gone, and every seal that does not fit.

    For a transfer, *stands* is its amount now (0 if it is gone) and *should* its seal's
    number; for a seal they are the transfers it covers and should cover.
    """
    found = []
    for check, statement in _CHECKS.items():
        rows = await conn.fetch(f"SELECT * FROM ({statement}) f ORDER BY about", merchant_id)  # noqa: S608
        found += [
            Difference(check, merchant_id, row["about"], row["stands"], row["should"])
            for row in rows
        ]
    return found
