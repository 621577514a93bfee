"""Agreements with their schedules, and what others told us of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from services.signing.contract import Rail, SignedInstalment
from services.signing.domain.agreement import Agreement, AgreementState
from services.signing.domain.errors import AgreementUnknown
from services.signing.store import history
from shared.db import Connection, Row

NEXT_COOLED_OFF: Final = (
    "SELECT min(cooling_off_ends_at) FROM agreements WHERE state = 'cooling_off'"
)
"""When the next cooling-off time ends."""


_SELECT = """
    SELECT a.*, (SELECT jsonb_agg(jsonb_build_object('seq', i.seq, 'due_on', i.due_on,
                                                     'amount_fen', i.amount_fen,
                                                     'lines', i.lines) ORDER BY i.seq)
                   FROM agreement_instalments i
                  WHERE i.agreement_id = a.agreement_id) AS instalments
      FROM agreements a
"""


async def add(conn: Connection, agreement: Agreement) -> bool:
    """Add an agreement and its schedule; return False if it stood already."""
    row = await conn.fetchrow(
        """
        INSERT INTO agreements (agreement_id, agreement_no, merchant_id, store_id, application_id,
               customer_id, pet_id, plan_id, plan_version, plan_name, rail, charge_day, periods,
               total_fen, hold_fen, auto_ship, document_sha256, state, signed_at,
               cooling_off_ends_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20)
            ON CONFLICT DO NOTHING
        RETURNING agreement_id
        """,
        agreement.agreement_id,
        agreement.agreement_no,
        agreement.merchant_id,
        agreement.store_id,
        agreement.application_id,
        agreement.customer_id,
        agreement.pet_id,
        agreement.plan_id,
        agreement.plan_version,
        agreement.plan_name,
        agreement.rail,
        agreement.charge_day,
        agreement.periods,
        agreement.total_fen,
        agreement.hold_fen,
        agreement.auto_ship,
        agreement.document_sha256,
        agreement.state,
        agreement.signed_at,
        agreement.cooling_off_ends_at,
    )
    if row is None:
        return False
    await conn.execute(
        """
        INSERT INTO agreement_instalments (agreement_id, seq, due_on, amount_fen, lines)
        SELECT $1, * FROM jsonb_to_recordset($2)
                     AS line (seq integer, due_on date, amount_fen bigint, lines jsonb)
        """,
        agreement.agreement_id,
        [line.model_dump(mode="json") for line in agreement.instalments],
    )
    return True


async def read(conn: Connection, agreement_id: UUID, *, merchant_id: UUID) -> Agreement:
    """Return an agreement of this merchant, or raise AgreementUnknown."""
    row = await conn.fetchrow(
        f"{_SELECT} WHERE a.agreement_id = $1 AND a.merchant_id = $2", agreement_id, merchant_id
    )
    return _agreement(row, agreement_id)


async def application_of(conn: Connection, agreement_id: UUID, *, merchant_id: UUID | None) -> UUID:
    """Return which application an agreement came from, or raise AgreementUnknown."""
    found: UUID | None = await conn.fetchval(
        """
        SELECT application_id FROM agreements
         WHERE agreement_id = $1 AND ($2::uuid IS NULL OR merchant_id = $2)
        """,
        agreement_id,
        merchant_id,
    )
    if found is None:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    return found


async def lock(
    conn: Connection, agreement_id: UUID, *, merchant_id: UUID | None = None
) -> Agreement:
    """Return an agreement for update; without *merchant_id* whosesoever it is."""
    row = await conn.fetchrow(
        f"""
        {_SELECT} WHERE a.agreement_id = $1 AND ($2::uuid IS NULL OR a.merchant_id = $2)
           FOR UPDATE OF a
        """,
        agreement_id,
        merchant_id,
    )
    return _agreement(row, agreement_id)


async def save(
    conn: Connection, before: Agreement, after: Agreement, *, actor: str, reason: str, now: datetime
) -> None:
    """Write the state of a locked agreement and add to its history."""
    await conn.execute(
        """
        UPDATE agreements
           SET state = $2, ended_at = $3, end_reason = $4, penalty_fen = $5, charge_day = $6,
               changes = $7, paused_periods = $8, resumes_at = $9
         WHERE agreement_id = $1
        """,
        after.agreement_id,
        after.state,
        after.ended_at,
        after.end_reason,
        after.penalty_fen,
        after.charge_day,
        after.changes,
        after.paused_periods,
        after.resumes_at,
    )
    await history.add(
        conn,
        "agreement",
        after.agreement_id,
        from_state=before.state,
        to_state=after.state,
        actor=actor,
        reason=reason,
        now=now,
    )


async def page(
    conn: Connection,
    *,
    merchant_id: UUID,
    state: str | None,
    customer_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Agreement]:
    """Return this merchant's agreements, oldest first."""
    rows = await conn.fetch(
        f"""
        {_SELECT} WHERE a.merchant_id = $1
           AND ($2::text IS NULL OR a.state = $2)
           AND ($3::uuid IS NULL OR a.customer_id = $3)
           AND ($4::timestamptz IS NULL OR (a.signed_at, a.agreement_id) > ($4, $5))
         ORDER BY a.signed_at, a.agreement_id LIMIT $6
        """,
        merchant_id,
        state,
        customer_id,
        *(after or (None, None)),
        limit,
    )
    return [_agreement(row, row["agreement_id"]) for row in rows]


async def cooled_off(conn: Connection, *, now: datetime, limit: int) -> list[UUID]:
    """Return agreements whose cooling-off time is over, oldest first; locks nothing."""
    rows = await conn.fetch(
        """
        SELECT agreement_id FROM agreements
         WHERE state = 'cooling_off' AND cooling_off_ends_at <= $1
         ORDER BY cooling_off_ends_at, agreement_id LIMIT $2
        """,
        now,
        limit,
    )
    return [row["agreement_id"] for row in rows]


async def note_shipped(conn: Connection, periods: Sequence[tuple[UUID, int, datetime]]) -> None:
    """Remember which periods' parcels have left; repeats safely."""
    await conn.execute(
        """
        INSERT INTO shipped_periods (agreement_id, seq, shipped_at)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) ON CONFLICT DO NOTHING
        """,
        [period[0] for period in periods],
        [period[1] for period in periods],
        [period[2] for period in periods],
    )


async def note_fully_paid(conn: Connection, agreement_id: UUID, *, paid_at: datetime) -> None:
    """Remember that every period is paid; repeats safely."""
    await conn.execute(
        "INSERT INTO fully_paid (agreement_id, paid_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        agreement_id,
        paid_at,
    )


async def fulfilled(conn: Connection, agreement_ids: Sequence[UUID]) -> list[UUID]:
    """Return those running agreements that are paid and, if parcels belong to them, shipped."""
    rows = await conn.fetch(
        """
        SELECT a.agreement_id
          FROM agreements a JOIN fully_paid USING (agreement_id)
         WHERE a.agreement_id = ANY($1::uuid[]) AND a.state = 'active'
           AND (NOT a.auto_ship OR a.periods <=
                (SELECT count(*) FROM shipped_periods s WHERE s.agreement_id = a.agreement_id))
         ORDER BY a.agreement_id
        """,
        agreement_ids,
    )
    return [row["agreement_id"] for row in rows]


async def invariants(conn: Connection, *, now: datetime) -> dict[str, int]:
    """Return how many rows break each rule; all zero when all is well."""
    row = await conn.fetchrow(
        """
        SELECT (SELECT count(*) FROM agreements a
                 WHERE a.total_fen <> (SELECT coalesce(sum(amount_fen), 0)
                                         FROM agreement_instalments i
                                        WHERE i.agreement_id = a.agreement_id)
               ) AS schedules_not_adding_up,
               (SELECT count(*) FROM agreement_instalments i
                 WHERE i.lines <> '[]' AND i.amount_fen <>
                       (SELECT sum((line ->> 'amount_fen')::bigint)
                          FROM jsonb_array_elements(i.lines) AS line)
               ) AS lines_not_adding_up,
               (SELECT count(*) FROM agreements a
                 WHERE a.state = 'cooling_off'
                   AND a.cooling_off_ends_at < $1::timestamptz - interval '1 hour'
               ) AS cooling_off_overdue,
               (SELECT count(*) FROM mandates m JOIN agreements a USING (agreement_id)
                 WHERE m.state IN ('active', 'closing')
                   AND a.ended_at < $1::timestamptz - interval '24 hours'
               ) AS mandates_outliving_agreements,
               (SELECT count(*) FROM applications p
                 WHERE p.state = 'completed'
                   AND NOT EXISTS (SELECT FROM agreements a
                                    WHERE a.application_id = p.application_id)
               ) AS completed_without_agreement
        """,
        now,
    )
    assert row is not None
    return dict(row)


def _agreement(row: Row | None, agreement_id: UUID) -> Agreement:
    if row is None:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    return Agreement(
        **{
            **row,
            "rail": Rail(row["rail"]),
            "state": AgreementState(row["state"]),
            "instalments": [SignedInstalment.model_validate(line) for line in row["instalments"]],
        }
    )
