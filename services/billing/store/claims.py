"""Hardships and disputes."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from services.billing.domain.claim import Answer, Claim, ClaimKind, ClaimState
from services.billing.domain.errors import ClaimUnknown
from shared.db import Connection, Row


async def add(conn: Connection, claim: Claim) -> bool:
    """Add *claim*; False if it, or an open one about the same, stood already."""
    done = await conn.execute(
        """
        INSERT INTO claims SELECT * FROM jsonb_populate_recordset(NULL::claims, $1)
            ON CONFLICT DO NOTHING
        """,
        [claim],
    )
    return bool(done == "INSERT 0 1")


async def save(conn: Connection, claim: Claim) -> None:
    """Write back what may change of a claim whose agreement is locked."""
    await conn.execute(
        """
        UPDATE claims AS c
           SET state = n.state, answer = n.answer, offer_to_day = n.offer_to_day,
               offer_periods = n.offer_periods, offer_until = n.offer_until,
               evidence = n.evidence, answered_at = n.answered_at,
               answered_by = n.answered_by, closed_at = n.closed_at, result = n.result
          FROM jsonb_populate_recordset(NULL::claims, $1) AS n
         WHERE c.claim_id = n.claim_id
        """,
        [claim],
    )


async def find(conn: Connection, merchant_id: UUID, claim_id: UUID) -> Claim:
    """
    Return one claim of this merchant.

    Raises:
        ClaimUnknown: There is none, or it is another merchant's.
    """
    row = await conn.fetchrow(
        "SELECT * FROM claims WHERE merchant_id = $1 AND claim_id = $2", merchant_id, claim_id
    )
    if row is None:
        raise ClaimUnknown("No such claim.", claim_id=claim_id)
    return _claim(row)


async def open_of(conn: Connection, agreement_id: UUID) -> list[Claim]:
    """Return the claims of an agreement that are not closed, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM claims WHERE agreement_id = $1 AND state <> 'closed'
         ORDER BY opened_at, claim_id
        """,
        agreement_id,
    )
    return [_claim(row) for row in rows]


async def of_agreement(conn: Connection, agreement_id: UUID) -> list[Claim]:
    """Return every claim of an agreement, oldest first."""
    rows = await conn.fetch(
        "SELECT * FROM claims WHERE agreement_id = $1 ORDER BY opened_at, claim_id", agreement_id
    )
    return [_claim(row) for row in rows]


async def lapsed(conn: Connection, *, today: date) -> Sequence[Claim]:
    """Return claims whose offer nobody took in time."""
    rows = await conn.fetch(
        """
        SELECT * FROM claims
         WHERE state = 'answered' AND kind = 'hardship' AND offer_until < $1
         ORDER BY agreement_id, claim_id
        """,
        today,
    )
    return [_claim(row) for row in rows]


async def page(
    conn: Connection,
    merchant_id: UUID,
    *,
    open_only: bool,
    kind: str | None,
    agreement_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Claim]:
    """Return a merchant's claims after the one named, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM claims
         WHERE merchant_id = $1
           AND (NOT $2 OR state <> 'closed')
           AND ($3::text IS NULL OR kind = $3)
           AND ($4::uuid IS NULL OR agreement_id = $4)
           AND ($5::timestamptz IS NULL OR (opened_at, claim_id) > ($5, $6))
         ORDER BY opened_at, claim_id
         LIMIT $7
        """,
        merchant_id,
        open_only,
        kind,
        agreement_id,
        *(after or (None, None)),
        limit,
    )
    return [_claim(row) for row in rows]


async def not_returned(conn: Connection, instalment_id: UUID) -> int:
    """Return how much of an instalment's charges has not gone back, in fen."""
    found: int = await conn.fetchval(
        """
        SELECT (SELECT coalesce(sum(amount_fen), 0) FROM attempts
                 WHERE instalment_id = $1 AND state = 'succeeded')::bigint
             - (SELECT coalesce(sum(amount_fen), 0) FROM refunds
                 WHERE instalment_id = $1 AND state = 'succeeded')::bigint
        """,
        instalment_id,
    )
    return found


def _claim(row: Row) -> Claim:
    answer = row["answer"]
    return Claim(
        **{
            **row,
            "kind": ClaimKind(row["kind"]),
            "state": ClaimState(row["state"]),
            "answer": None if answer is None else Answer(answer),
            "evidence": tuple(row["evidence"]),
        }
    )
