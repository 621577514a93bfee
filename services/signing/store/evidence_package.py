"""What is on record of a signing, as rows for its evidence package; and who took it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.signing.domain.evidence import Entry
from services.signing.store import evidence
from shared.db import Connection

SECTIONS: Final[Mapping[str, str]] = {
    "agreement": """
        SELECT a.agreement_id, a.agreement_no, a.merchant_id, a.store_id, a.application_id,
               a.customer_id, a.pet_id, a.plan_id, a.plan_version, a.plan_name, a.rail,
               a.charge_day, a.periods, a.total_fen, a.hold_fen, a.auto_ship,
               a.document_sha256, a.state, a.signed_at, a.cooling_off_ends_at, a.ended_at,
               a.end_reason, a.penalty_fen
          FROM agreements AS a WHERE a.agreement_id = $1
        """,
    "schedule": """
        SELECT seq, due_on, amount_fen FROM agreement_instalments
         WHERE agreement_id = $1 ORDER BY seq
        """,
    "changes": """
        SELECT change_no, kind, detail, actor, reason, evidence_ref, changed_at
          FROM agreement_changes WHERE agreement_id = $1 ORDER BY change_no
        """,
    "consents": """
        SELECT c.kind, c.text_version, c.agreed, c.shown_ms, c.given_at
          FROM consents AS c JOIN agreements AS a USING (application_id)
         WHERE a.agreement_id = $1 ORDER BY c.given_at, c.kind
        """,
    "steps": """
        SELECT s.step, s.tries, s.began_at, s.done_at
          FROM application_steps AS s JOIN agreements AS a USING (application_id)
         WHERE a.agreement_id = $1 ORDER BY s.began_at, s.step
        """,
    "identity_checks": """
        SELECT i.check_id, i.state, i.outcome, i.biz_token AS video_reference, i.started_at
          FROM identity_checks AS i JOIN agreements AS a USING (application_id)
         WHERE a.agreement_id = $1 ORDER BY i.started_at, i.check_id
        """,
    "previews": """
        SELECT d.document_id, d.template_version, d.sha256, d.key_clauses, d.rate_percent,
               d.sign_before, d.written_at, d.signed_sha256
          FROM agreement_documents AS d JOIN agreements AS a USING (application_id)
         WHERE a.agreement_id = $1 ORDER BY d.written_at, d.document_id
        """,
    "signature_flows": """
        SELECT f.flow_id, f.document_id, f.state, f.provider_flow_id, f.started_at, f.finished_at
          FROM sign_flows AS f JOIN agreements AS a USING (application_id)
         WHERE a.agreement_id = $1 ORDER BY f.started_at, f.flow_id
        """,
    "mandates": """
        SELECT mandate_id, rail, product, rail_agreement_no, payee_no, ceiling_fen,
               first_due_on, periods, valid_until, state, granted_at, ended_at
          FROM mandates WHERE agreement_id = $1 ORDER BY created_at, mandate_id
        """,
    "history": """
        SELECT h.thing, h.thing_id, h.from_state, h.to_state, h.actor, h.reason, h.moved_at
          FROM history AS h
         WHERE h.thing_id = $1
            OR h.thing_id = (SELECT application_id FROM agreements WHERE agreement_id = $1)
            OR h.thing_id IN (SELECT mandate_id FROM mandates WHERE agreement_id = $1)
         ORDER BY h.history_id
        """,
}
"""By file name: what is told, always in the same order; nothing in it names a person."""


@dataclass(frozen=True, slots=True)
class StandingStamp:
    """The time stamp as far as it has come; ``answer`` and ``roots`` are there once granted."""

    statement: str
    state: str
    answer: bytes | None
    roots: str | None
    stamped_at: datetime | None


@dataclass(frozen=True, slots=True)
class Record:
    """Everything of one agreement as of one moment; the signed document is still encrypted."""

    sections: Mapping[str, list[dict[str, Any]]]
    chain: list[Entry]
    stamp: StandingStamp | None
    document_id: UUID
    sealed_pdf: str


async def read(conn: Connection, agreement_id: UUID, *, merchant_id: UUID) -> Record | None:
    """
    Return what is on record, None if there is no such agreement of this merchant.

    *conn* has begun its transaction just now.
    """
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    signed = await conn.fetchrow(
        """
        SELECT a.application_id, d.document_id, d.signed_pdf
          FROM agreements AS a
          JOIN agreement_documents AS d
            ON d.application_id = a.application_id AND d.signed_sha256 = a.document_sha256
         WHERE a.agreement_id = $1 AND a.merchant_id = $2
         ORDER BY d.written_at DESC LIMIT 1
        """,
        agreement_id,
        merchant_id,
    )
    if signed is None:
        return None
    stamp = await conn.fetchrow(
        "SELECT statement, state, answer, roots, stamped_at FROM time_stamps "
        "WHERE agreement_id = $1",
        agreement_id,
    )
    return Record(
        sections={
            name: [dict(row) for row in await conn.fetch(statement, agreement_id)]
            for name, statement in SECTIONS.items()
        },
        chain=await evidence.chain(conn, signed["application_id"]),
        stamp=None if stamp is None else StandingStamp(**stamp),
        document_id=signed["document_id"],
        sealed_pdf=signed["signed_pdf"],
    )


async def note_access(
    conn: Connection,
    agreement_id: UUID,
    *,
    taken: str,
    actor: str,
    request_id: str,
    now: datetime,
) -> None:
    """Remember who is about to get evidence: the ``chain`` or the whole ``archive``."""
    await conn.execute(
        """
        INSERT INTO evidence_accesses (agreement_id, taken, actor, request_id, accessed_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        agreement_id,
        taken,
        actor,
        request_id,
        now,
    )
