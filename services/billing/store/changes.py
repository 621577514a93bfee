"""Terms that wait for an instalment to be clear, and new days that customers agreed to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.billing.domain.instalment import Instalment
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class WaitingTerms:
    """New terms of an instalment whose money is being collected."""

    instalment_id: UUID
    agreement_id: UUID
    due_on: date
    amount_fen: int
    change_no: int
    reason: str
    waits_since: datetime


async def save_terms(conn: Connection, instalments: Sequence[Instalment]) -> None:
    """Write the agreed date and amount of instalments whose agreements are locked."""
    await conn.execute(
        """
        UPDATE instalments AS i
           SET due_on = n.due_on, amount_fen = n.amount_fen, terms_no = n.terms_no
          FROM jsonb_populate_recordset(NULL::instalments, $1) AS n
         WHERE i.instalment_id = n.instalment_id
        """,
        list(instalments),
    )


async def let_wait(conn: Connection, terms: Sequence[WaitingTerms]) -> None:
    """Keep terms for later; newer ones of the same instalment replace older ones."""
    await conn.executemany(
        """
        INSERT INTO waiting_terms (instalment_id, agreement_id, due_on, amount_fen, change_no,
                                   reason, waits_since)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (instalment_id) DO UPDATE
           SET due_on = excluded.due_on, amount_fen = excluded.amount_fen,
               change_no = excluded.change_no, reason = excluded.reason
        """,
        [
            (
                one.instalment_id,
                one.agreement_id,
                one.due_on,
                one.amount_fen,
                one.change_no,
                one.reason,
                one.waits_since,
            )
            for one in terms
        ],
    )


async def waiting(conn: Connection, instalment_ids: Sequence[UUID]) -> dict[UUID, WaitingTerms]:
    """Return the terms that wait for these instalments."""
    rows = await conn.fetch(
        "SELECT * FROM waiting_terms WHERE instalment_id = ANY($1::uuid[])", instalment_ids
    )
    return {row["instalment_id"]: WaitingTerms(**row) for row in rows}


async def drop_waiting(conn: Connection, instalment_ids: Sequence[UUID]) -> None:
    """Forget terms that were applied, or that nothing is left to apply to."""
    await conn.execute(
        "DELETE FROM waiting_terms WHERE instalment_id = ANY($1::uuid[])", instalment_ids
    )


async def add_postponement(
    conn: Connection,
    instalment_id: UUID,
    *,
    from_day: date,
    to_day: date,
    consent: Mapping[str, object],
    at: datetime,
) -> None:
    """Keep what a customer agreed to; repeats safely."""
    await conn.execute(
        """
        INSERT INTO postponements (instalment_id, from_day, to_day, consent, agreed_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
        """,
        instalment_id,
        from_day,
        to_day,
        dict(consent),
        at,
    )


async def note_consumed(
    conn: Connection, consumed: Sequence[tuple[UUID, UUID, int, datetime]]
) -> None:
    """Keep what each parcel took (instalment, agreement, fen, when); repeats safely."""
    await conn.execute(
        """
        INSERT INTO consumptions (instalment_id, agreement_id, amount_fen, consumed_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[])
            ON CONFLICT (instalment_id) DO NOTHING
        """,
        [one[0] for one in consumed],
        [one[1] for one in consumed],
        [one[2] for one in consumed],
        [one[3] for one in consumed],
    )


async def money_of(conn: Connection, agreement_id: UUID) -> Row:
    """Return what was collected of an agreement, what is promised back, and what was consumed."""
    row = await conn.fetchrow(
        """
        SELECT (SELECT coalesce(sum(amount_fen - penalty_fen), 0)::bigint FROM attempts
                 WHERE agreement_id = $1 AND state = 'succeeded' AND NOT surplus) AS collected_fen,
               (SELECT coalesce(sum(r.amount_fen), 0)::bigint
                  FROM refunds AS r JOIN attempts AS a USING (attempt_id)
                 WHERE r.agreement_id = $1 AND r.state <> 'failed' AND NOT a.surplus
               ) AS refunded_fen,
               (SELECT coalesce(sum(amount_fen), 0)::bigint FROM consumptions
                 WHERE agreement_id = $1) AS consumed_fen
        """,
        agreement_id,
    )
    assert row is not None
    return row
