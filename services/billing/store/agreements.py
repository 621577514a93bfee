"""Agreements as billing keeps them; their rows are the locks of everything below."""

from collections.abc import Sequence
from uuid import UUID

from services.billing.domain.agreement import Agreement, AgreementState
from services.billing.domain.collectible import LegalType
from services.billing.domain.errors import AgreementUnknown
from shared.db import Connection, Row


async def add(conn: Connection, agreement: Agreement) -> bool:
    """Add *agreement*; False if it stood already."""
    done = await conn.execute(
        """
        INSERT INTO agreements
        SELECT * FROM jsonb_populate_recordset(NULL::agreements, $1)
            ON CONFLICT (agreement_id) DO NOTHING
        """,
        [agreement],
    )
    return bool(done == "INSERT 0 1")


async def lock(conn: Connection, agreement_id: UUID) -> Agreement:
    """
    Return one agreement, locked until the transaction ends.

    Raises:
        AgreementUnknown: It is not here, or not yet.
    """
    found = await lock_many(conn, [agreement_id])
    if not found:
        raise AgreementUnknown("No such agreement yet.", agreement_id=agreement_id)
    return found[0]


async def lock_many(conn: Connection, agreement_ids: Sequence[UUID]) -> list[Agreement]:
    """Return the agreements, locked in the order of their ids."""
    rows = await conn.fetch(
        """
        SELECT * FROM agreements
         WHERE agreement_id = ANY($1::uuid[])
         ORDER BY agreement_id
           FOR NO KEY UPDATE
        """,
        agreement_ids,
    )
    return [_agreement(row) for row in rows]


async def by_ids(conn: Connection, agreement_ids: Sequence[UUID]) -> list[Agreement]:
    """Return the agreements as they stand."""
    rows = await conn.fetch(
        "SELECT * FROM agreements WHERE agreement_id = ANY($1::uuid[])", agreement_ids
    )
    return [_agreement(row) for row in rows]


async def save(conn: Connection, agreements: Sequence[Agreement]) -> None:
    """Write back what may change of locked agreements."""
    if not agreements:
        return
    await conn.execute(
        """
        UPDATE agreements AS a
           SET state = n.state, failed_periods = n.failed_periods,
               last_failed_seq = n.last_failed_seq, flagged_at = n.flagged_at,
               holds = n.holds, plan_on = n.plan_on, fully_paid_at = n.fully_paid_at,
               charge_day = n.charge_day, total_fen = n.total_fen,
               changes_heard = n.changes_heard, terms_no = n.terms_no,
               paused_months = n.paused_months
          FROM jsonb_populate_recordset(NULL::agreements, $1) AS n
         WHERE a.agreement_id = n.agreement_id
        """,
        list(agreements),
    )


async def mark_fully_paid(conn: Connection, agreement_ids: Sequence[UUID]) -> list[Agreement]:
    """Mark those of the agreements that have nothing unpaid left, and return them; once each."""
    rows = await conn.fetch(
        """
        UPDATE agreements AS a
           SET fully_paid_at = clock.at
          FROM (SELECT max(paid_at) AS at, agreement_id
                  FROM instalments
                 WHERE agreement_id = ANY($1::uuid[])
                 GROUP BY agreement_id
                HAVING bool_and(state IN ('paid', 'partly_refunded', 'refunded', 'waived'))
               ) AS clock
         WHERE a.agreement_id = clock.agreement_id AND a.fully_paid_at IS NULL
        RETURNING a.*
        """,
        agreement_ids,
    )
    return [_agreement(row) for row in rows]


def _agreement(row: Row) -> Agreement:
    return Agreement(
        **{
            **row,
            "state": AgreementState(row["state"]),
            "holds": tuple(row["holds"]),
            "legal_type": LegalType(row["legal_type"]),
        }
    )
