"""Agreement documents as they were shown, and the e-contract flows in which they are signed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.signing.contract import SignedInstalment
from services.signing.domain.errors import DocumentMissing
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class Document:
    """One text of an agreement; ``pdf`` is encrypted, ``sha256`` is over the plain bytes."""

    document_id: UUID
    application_id: UUID
    template_version: str
    sha256: str
    pdf: str
    instalments: Sequence[SignedInstalment]
    key_clauses: Sequence[str]
    rate_percent: str
    sign_before: datetime
    written_at: datetime
    signed_sha256: str | None = None
    signed_pdf: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """One e-contract flow: prepared, uploaded, open, then signed, refused, expired or revoked."""

    flow_id: UUID
    application_id: UUID
    document_id: UUID
    state: str
    file_id: str
    provider_flow_id: str
    started_at: datetime
    finished_at: datetime | None
    due_at: datetime | None
    tries: int


async def add(conn: Connection, document: Document) -> None:
    """Add a document; repeats safely."""
    await conn.execute(
        """
        INSERT INTO agreement_documents (document_id, application_id, template_version, sha256,
               pdf, instalments, key_clauses, rate_percent, sign_before, written_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT DO NOTHING
        """,
        document.document_id,
        document.application_id,
        document.template_version,
        document.sha256,
        document.pdf,
        [line.model_dump(mode="json") for line in document.instalments],
        list(document.key_clauses),
        document.rate_percent,
        document.sign_before,
        document.written_at,
    )


async def newest(conn: Connection, application_id: UUID) -> Document:
    """Return the document shown last, or raise DocumentMissing."""
    row = await conn.fetchrow(
        """
        SELECT * FROM agreement_documents WHERE application_id = $1
         ORDER BY written_at DESC, document_id DESC LIMIT 1
        """,
        application_id,
    )
    if row is None:
        raise DocumentMissing("There is no document yet.", application_id=application_id)
    instalments = [SignedInstalment.model_validate(line) for line in row["instalments"]]
    return Document(**{**row, "instalments": instalments})


async def save_signed(conn: Connection, document_id: UUID, *, pdf: str, sha256: str) -> None:
    """Keep the signed text beside the one that was shown, once."""
    await conn.execute(
        """
        UPDATE agreement_documents SET signed_pdf = $2, signed_sha256 = $3
         WHERE document_id = $1 AND signed_sha256 IS NULL
        """,
        document_id,
        pdf,
        sha256,
    )


async def add_flow(
    conn: Connection, flow_id: UUID, *, application_id: UUID, document_id: UUID, now: datetime
) -> Flow:
    """Return the flow of a document that is not over, or add one."""
    await conn.execute(
        """
        INSERT INTO sign_flows (flow_id, application_id, document_id, state, started_at)
        VALUES ($1, $2, $3, 'prepared', $4) ON CONFLICT DO NOTHING
        """,
        flow_id,
        application_id,
        document_id,
        now,
    )
    row = await conn.fetchrow(
        """
        SELECT * FROM sign_flows
         WHERE document_id = $1 AND state IN ('prepared', 'uploaded', 'open', 'signed')
        """,
        document_id,
    )
    assert row is not None
    return Flow(**row)


async def note_uploaded(conn: Connection, flow_id: UUID, *, file_id: str) -> None:
    """Note under which id the provider has the file."""
    await conn.execute(
        """
        UPDATE sign_flows SET state = 'uploaded', file_id = $2
         WHERE flow_id = $1 AND state = 'prepared'
        """,
        flow_id,
        file_id,
    )


async def note_open(
    conn: Connection, flow_id: UUID, *, provider_flow_id: str, due_at: datetime
) -> None:
    """Note the provider's flow; ask how it stands at *due_at*."""
    await conn.execute(
        """
        UPDATE sign_flows SET state = 'open', provider_flow_id = $2, due_at = $3
         WHERE flow_id = $1 AND state = 'uploaded'
        """,
        flow_id,
        provider_flow_id,
        due_at,
    )


async def lock_flow(conn: Connection, flow_id: UUID) -> Flow:
    """Return a flow that exists, for update."""
    row = await conn.fetchrow("SELECT * FROM sign_flows WHERE flow_id = $1 FOR UPDATE", flow_id)
    assert row is not None
    return Flow(**row)


async def find_flow(conn: Connection, provider_flow_id: str) -> Flow | None:
    """Return the flow of the provider's number."""
    row = await conn.fetchrow(
        "SELECT * FROM sign_flows WHERE provider_flow_id = $1", provider_flow_id
    )
    return _flow(row)


async def flow_of(conn: Connection, application_id: UUID) -> Flow | None:
    """Return the newest flow of an application."""
    row = await conn.fetchrow(
        """
        SELECT * FROM sign_flows WHERE application_id = $1
         ORDER BY started_at DESC, flow_id DESC LIMIT 1
        """,
        application_id,
    )
    return _flow(row)


async def end_flow(conn: Connection, flow_id: UUID, *, state: str, now: datetime) -> None:
    """Note how a flow ended."""
    await conn.execute(
        "UPDATE sign_flows SET state = $2, finished_at = $3, due_at = NULL WHERE flow_id = $1",
        flow_id,
        state,
        now,
    )


async def ask_flow_again(conn: Connection, flow_id: UUID, *, at: datetime) -> None:
    """Note that the flow is still open."""
    await conn.execute(
        """
        UPDATE sign_flows SET due_at = $2, tries = tries + 1
         WHERE flow_id = $1 AND state = 'open'
        """,
        flow_id,
        at,
    )


async def due_flows(conn: Connection, *, now: datetime, limit: int) -> list[Flow]:
    """Claim, for half a minute, flows about which the provider should be asked."""
    rows = await conn.fetch(
        """
        UPDATE sign_flows SET due_at = $1::timestamptz + interval '30 seconds'
         WHERE flow_id IN (SELECT flow_id FROM sign_flows WHERE due_at <= $1
                          ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        now,
        limit,
    )
    return [Flow(**row) for row in rows]


def _flow(row: Row | None) -> Flow | None:
    return None if row is None else Flow(**row)
