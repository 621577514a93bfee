"""The customer signs at the e-contract provider; only the provider's own answer counts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from services.signing.deps import Deps
from services.signing.domain import application as applying
from services.signing.domain.agreement_text import TITLE
from services.signing.domain.application import (
    Application,
    ApplicationState,
    Step,
    require_clauses_shown,
    require_step,
)
from services.signing.domain.errors import DocumentMissing, PreviewStale
from services.signing.domain.mandate import ASK_AGAIN_AFTER, wait
from services.signing.gateways.esign import FlowDetail, FlowOrder
from services.signing.store import applications, documents, evidence, merchants
from services.signing.store.documents import Document, Flow
from shared.db import Connection

_OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class Sitting:
    """How the customer read the document: each clause's time, device and network address."""

    clauses_shown_ms: Mapping[str, int]
    device: str
    ip: str


@dataclass(frozen=True, slots=True)
class _Started:
    flow: Flow
    document: Document
    sealed: str
    merchant_name: str


async def start_signature(
    deps: Deps, application_id: UUID, sitting: Sitting, *, merchant_id: UUID, flow_id: UUID
) -> str:
    """
    Return where the customer signs; an open flow is given again.

    Each step is written before the next is taken: row, file, flow.  An unanswered step is
    taken again, which may leave a file or a flow at the provider that nobody can reach.

    Raises:
        StepNotNext, PreviewStale, ClausesNotShown: It is not time for this.
        ProviderSilent, ProviderRefused: The provider did not help.
    """
    async with deps.db.transaction() as conn:
        started = await _start(
            conn,
            application_id,
            sitting,
            merchant_id=merchant_id,
            flow_id=flow_id,
            now=deps.clock.now(),
        )
    flow = await _upload(deps, started)
    person = deps.vault.open_applicant(started.sealed, application_id)
    if not flow.provider_flow_id:
        order = FlowOrder(
            flow_no=flow.flow_id.hex,
            file_id=flow.file_id,
            title=TITLE,
            applicant=person,
            merchant_name=started.merchant_name,
            expires_at=started.document.sign_before,
        )
        provider_flow_id = await deps.esign.create(order)
        async with deps.db.transaction() as conn:
            due_at = deps.clock.now() + ASK_AGAIN_AFTER[0]
            await documents.note_open(
                conn, flow.flow_id, provider_flow_id=provider_flow_id, due_at=due_at
            )
            flow = await documents.lock_flow(conn, flow.flow_id)
    return await deps.esign.sign_url(flow.provider_flow_id, phone=person.phone)


async def settle_signature(deps: Deps, flow_id: UUID) -> None:
    """
    Ask the provider how a flow stands, and act on it; repeats safely.

    Raises:
        ProviderSilent: It did not answer.
    """
    async with deps.db.transaction() as conn:
        flow = await documents.lock_flow(conn, flow_id)
    if flow.state != _OPEN:
        return
    detail = await deps.esign.detail(flow.provider_flow_id)
    signed = b""
    if detail.state == "signed":
        signed = await deps.esign.download(flow.provider_flow_id)
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        application = await applications.lock(conn, flow.application_id)
        flow = await documents.lock_flow(conn, flow_id)
        if flow.state != _OPEN:
            return
        if detail.state == _OPEN:
            await _wait_on(conn, flow, application, now=now)
            return
        await documents.end_flow(conn, flow_id, state=detail.state, now=now)
        if signed:
            await _sign(conn, deps, application, flow, detail, signed, now=now)


async def ask_soon(conn: Connection, flow: Flow, *, now: datetime) -> None:
    """Let the job ask about a flow at once: its provider says that something happened."""
    await documents.ask_flow_again(conn, flow.flow_id, at=now)


async def _start(
    conn: Connection,
    application_id: UUID,
    sitting: Sitting,
    *,
    merchant_id: UUID,
    flow_id: UUID,
    now: datetime,
) -> _Started:
    application = await applications.lock(conn, application_id, merchant_id=merchant_id)
    require_step(application, Step.SIGNATURE)
    document = await documents.newest(conn, application_id)
    if now >= document.sign_before:
        raise PreviewStale("Make a new preview.", sign_before=document.sign_before.isoformat())
    require_clauses_shown(sitting.clauses_shown_ms, document.key_clauses)
    flow = await documents.add_flow(
        conn, flow_id, application_id=application_id, document_id=document.document_id, now=now
    )
    await applications.tried(conn, application, Step.SIGNATURE, now=now)
    facts = {
        "sha256": document.sha256,
        "clauses_shown_ms": dict(sitting.clauses_shown_ms),
        "device": sitting.device,
        "ip": sitting.ip,
        "flow_id": str(flow.flow_id),
    }
    await evidence.append(conn, application_id, "signature_begun", facts, actor="customer", now=now)
    merchant = await merchants.read(conn, merchant_id)
    sealed = await applications.read_applicant(conn, application_id)
    return _Started(flow, document, sealed, merchant.legal_name)


async def _upload(deps: Deps, started: _Started) -> Flow:
    flow, document = started.flow, started.document
    if flow.file_id:
        return flow
    pdf = deps.vault.open_pdf(document.pdf, document.document_id)
    file_id = await deps.esign.upload(pdf, name=f"{flow.flow_id.hex}.pdf")
    async with deps.db.transaction() as conn:
        await documents.note_uploaded(conn, flow.flow_id, file_id=file_id)
        return await documents.lock_flow(conn, flow.flow_id)


async def _wait_on(
    conn: Connection, flow: Flow, application: Application, *, now: datetime
) -> None:
    if application.state is ApplicationState.PREVIEWED:
        at = now + wait(ASK_AGAIN_AFTER, flow.tries)
        await documents.ask_flow_again(conn, flow.flow_id, at=at)
    else:  # nobody needs it any more; the provider lets it expire
        await documents.end_flow(conn, flow.flow_id, state="expired", now=now)


async def _sign(
    conn: Connection,
    deps: Deps,
    before: Application,
    flow: Flow,
    detail: FlowDetail,
    signed: bytes,
    *,
    now: datetime,
) -> None:
    try:
        document = await documents.newest(conn, before.application_id)
    except DocumentMissing:
        return
    stale = document.document_id != flow.document_id
    if stale or before.state is not ApplicationState.PREVIEWED:
        return  # an old text was signed, or nobody waits any more: it binds nobody
    digest = hashlib.sha256(signed).hexdigest()
    stored = deps.vault.lock_pdf(signed, document.document_id, column="signed_pdf")
    await documents.save_signed(conn, document.document_id, pdf=stored, sha256=digest)
    after = replace(
        applying.move(before, ApplicationState.SIGNED, now=now), expires_at=document.sign_before
    )
    await applications.save(conn, before, after, actor="customer", now=now)
    facts = {"sha256": document.sha256, "signed_sha256": digest, **detail.facts}
    await evidence.append(
        conn, before.application_id, "document_signed", facts, actor="provider", now=now
    )
