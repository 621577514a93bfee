"""Missed periods being followed up, and which ladder each merchant chose."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from uuid import UUID

from services.billing.domain.collectible import Balance
from services.billing.domain.dunning import steps_as_json, steps_from_json
from services.billing.domain.dunning_case import DunningCase
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class Choice:
    """A merchant's choice of a preset; ``version`` grows with each change."""

    merchant_id: UUID
    version: int
    preset: str
    reason: str
    set_by: str
    set_at: datetime


async def choices(conn: Connection, merchant_ids: Sequence[UUID]) -> dict[UUID, Choice]:
    """Return the newest choice of each merchant that made one."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (merchant_id) * FROM dunning_policies
         WHERE merchant_id = ANY($1::uuid[])
         ORDER BY merchant_id, version DESC
        """,
        merchant_ids,
    )
    return {row["merchant_id"]: Choice(**row) for row in rows}


async def choose(conn: Connection, choice: Choice) -> bool:
    """Add a choice; False if this version stood already."""
    done = await conn.execute(
        """
        INSERT INTO dunning_policies
        SELECT * FROM jsonb_populate_recordset(NULL::dunning_policies, $1)
            ON CONFLICT DO NOTHING
        """,
        [choice],
    )
    return bool(done == "INSERT 0 1")


async def open_many(conn: Connection, cases: Iterable[DunningCase]) -> None:
    """Open cases that do not stand yet."""
    await conn.execute(
        """
        INSERT INTO dunning_cases
        SELECT * FROM jsonb_populate_recordset(NULL::dunning_cases, $1)
            ON CONFLICT (instalment_id, overdue_since) DO NOTHING
        """,
        [asdict(case) | {"ladder": steps_as_json(case.ladder)} for case in cases],
    )


async def save(conn: Connection, cases: Sequence[DunningCase]) -> None:
    """Write back what may change of cases whose agreements are locked."""
    if not cases:
        return
    await conn.execute(
        """
        UPDATE dunning_cases AS c
           SET demanded_on = n.demanded_on, promised_on = n.promised_on,
               closed_at = n.closed_at, close_reason = n.close_reason
          FROM unnest($1::uuid[], $2::date[], $3::date[], $4::timestamptz[], $5::text[])
            AS n (case_id, demanded_on, promised_on, closed_at, close_reason)
         WHERE c.case_id = n.case_id
        """,
        [case.case_id for case in cases],
        [case.demanded_on for case in cases],
        [case.promised_on for case in cases],
        [case.closed_at for case in cases],
        [case.close_reason for case in cases],
    )


async def open_of(conn: Connection, instalment_ids: Sequence[UUID]) -> dict[UUID, DunningCase]:
    """Return the open case of each instalment that has one."""
    rows = await conn.fetch(
        """
        SELECT * FROM dunning_cases
         WHERE instalment_id = ANY($1::uuid[]) AND closed_at IS NULL
         ORDER BY instalment_id, overdue_since
        """,
        instalment_ids,
    )
    return {row["instalment_id"]: _case(row) for row in rows}


async def of_agreement(conn: Connection, agreement_id: UUID) -> list[DunningCase]:
    """Return every case of an agreement, oldest first."""
    rows = await conn.fetch(
        "SELECT * FROM dunning_cases WHERE agreement_id = $1 ORDER BY opened_at, case_id",
        agreement_id,
    )
    return [_case(row) for row in rows]


async def close_of(
    conn: Connection, instalment_ids: Sequence[UUID], *, reason: str, at: datetime
) -> None:
    """Close what is open about instalments that need no following up any more."""
    await conn.execute(
        """
        UPDATE dunning_cases SET closed_at = $2, close_reason = $3
         WHERE instalment_id = ANY($1::uuid[]) AND closed_at IS NULL
        """,
        instalment_ids,
        at,
        reason,
    )


async def balances(
    conn: Connection, agreement_ids: Sequence[UUID], *, today: date
) -> dict[UUID, Balance]:
    """Return what was delivered, paid and missed in each agreement, in fen."""
    rows = await conn.fetch(
        """
        SELECT a.agreement_id,
               a.hold_fen * (SELECT count(*) FROM shipments_seen AS s
                              WHERE s.agreement_id = a.agreement_id
                                AND s.delivered_at IS NOT NULL) AS delivered_fen,
               (SELECT coalesce(sum(t.amount_fen), 0) FROM attempts AS t
                 WHERE t.agreement_id = a.agreement_id AND t.state = 'succeeded')
             - (SELECT coalesce(sum(r.amount_fen), 0) FROM refunds AS r
                 WHERE r.agreement_id = a.agreement_id AND r.state = 'succeeded') AS paid_fen,
               (SELECT coalesce(sum(i.amount_fen), 0) FROM instalments AS i
                 WHERE i.agreement_id = a.agreement_id AND i.state = 'overdue'
                   AND i.overdue_since <= $2) AS overdue_fen
          FROM agreements AS a
         WHERE a.agreement_id = ANY($1::uuid[])
        """,
        agreement_ids,
        today,
    )
    return {
        row["agreement_id"]: Balance(
            int(row["delivered_fen"]), int(row["paid_fen"]), int(row["overdue_fen"])
        )
        for row in rows
    }


def _case(row: Row) -> DunningCase:
    return DunningCase(**{**row, "ladder": steps_from_json(row["ladder"])})
