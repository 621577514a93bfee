"""Agreements: reading them, proving them, ending them."""

from datetime import datetime
from uuid import UUID

from services.signing.contract.api import (
    AgreementFilter,
    AgreementView,
    EvidenceEntry,
    EvidenceView,
    HistoryView,
    MoveView,
    NewTermination,
)
from services.signing.contract.termination import EndReason
from services.signing.deps import Deps
from services.signing.domain.errors import (
    AgreementStateForbids,
    AgreementUnknown,
    CoolingOffOver,
    DocumentMissing,
    EvidenceKeyMissing,
)
from services.signing.routes.table import actor, api
from services.signing.store import agreements
from services.signing.store.evidence_package import note_access
from services.signing.usecases.end_agreement import cancel_agreement, terminate_agreement
from services.signing.usecases.export_evidence import export_evidence
from services.signing.usecases.preview_agreement import read_pdf
from services.signing.usecases.show import prove, show_history
from shared.web import Call, Page, Raw

_TAGS = ("agreements",)


@api.get("/v1/agreements", scope="agreements:read", tags=_TAGS)
async def list_agreements(call: Call[Deps], query: AgreementFilter) -> Page[AgreementView]:
    """List agreements, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await agreements.page(
            conn,
            merchant_id=call.tenant_id,
            state=query.state,
            customer_id=query.customer_id,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[AgreementView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.signed_at, row.agreement_id),
        view=AgreementView.model_validate,
    )


@api.get(
    "/v1/agreements/{agreement_id}",
    scope="agreements:read",
    tags=_TAGS,
    problems=(AgreementUnknown,),
)
async def get_agreement(call: Call[Deps], agreement_id: UUID) -> AgreementView:
    """Show an agreement and its schedule."""
    async with call.deps.db.connection() as conn:
        agreement = await agreements.read(conn, agreement_id, merchant_id=call.tenant_id)
    return AgreementView.model_validate(agreement)


@api.get(
    "/v1/agreements/{agreement_id}/document.pdf",
    scope="agreements:read",
    tags=_TAGS,
    problems=(AgreementUnknown, DocumentMissing),
)
async def get_document(call: Call[Deps], agreement_id: UUID) -> Raw:
    """Fetch the signed document."""
    async with call.deps.db.connection() as conn:
        agreement = await agreements.read(conn, agreement_id, merchant_id=call.tenant_id)
        pdf = await read_pdf(conn, call.deps, agreement.application_id, signed=True)
    return Raw("application/pdf", pdf, f"{agreement.agreement_no}.pdf")


@api.get(
    "/v1/agreements/{agreement_id}/evidence",
    scope="agreements:read",
    tags=_TAGS,
    problems=(AgreementUnknown,),
)
async def get_evidence(call: Call[Deps], agreement_id: UUID) -> EvidenceView:
    """Fetch the evidence: hash chain and documents, checked just now."""
    async with call.deps.db.connection() as conn:
        proof = await prove(conn, call.deps, agreement_id, merchant_id=call.tenant_id)
        await note_access(
            conn,
            agreement_id,
            taken="chain",
            actor=actor(call),
            request_id=call.request_id,
            now=call.deps.clock.now(),
        )
    return EvidenceView(
        agreement_id=agreement_id,
        document_sha256=proof.shown_sha256,
        signed_sha256=proof.signed_sha256,
        documents_intact=proof.documents_intact,
        first_broken=proof.first_broken,
        head_hash=proof.entries[-1].entry_hash,
        entries=[EvidenceEntry.model_validate(entry) for entry in proof.entries],
    )


@api.get(
    "/v1/agreements/{agreement_id}/evidence.zip",
    scope="agreements:read",
    tags=_TAGS,
    problems=(AgreementUnknown, EvidenceKeyMissing),
)
async def get_evidence_package(call: Call[Deps], agreement_id: UUID) -> Raw:
    """
    Fetch everything that proves an agreement as one signed ZIP archive.

    Chain, signed document, consents, times, mandates and the time stamp, each with its
    SHA-256 in the manifest; `yuefu evidence verify` checks it without the platform.
    """
    archive = await export_evidence(
        call.deps,
        agreement_id,
        merchant_id=call.tenant_id,
        actor=actor(call),
        request_id=call.request_id,
    )
    return Raw("application/zip", archive, f"agreement-{agreement_id}.zip")


@api.get(
    "/v1/agreements/{agreement_id}/history",
    scope="agreements:read",
    tags=_TAGS,
    problems=(AgreementUnknown,),
)
async def get_history(call: Call[Deps], agreement_id: UUID) -> HistoryView:
    """List every move of the agreement, its application and its mandate."""
    async with call.deps.db.connection() as conn:
        moves = await show_history(conn, agreement_id, merchant_id=call.tenant_id)
    return HistoryView(moves=[MoveView.model_validate(move) for move in moves])


@api.post(
    "/v1/agreements/{agreement_id}/cancellation",
    scope="agreements:write",
    tags=_TAGS,
    problems=(AgreementUnknown, CoolingOffOver, AgreementStateForbids),
)
async def cancel(call: Call[Deps], agreement_id: UUID) -> AgreementView:
    """Cancel within the cooling-off time, for no reason and without cost."""
    async with call.deps.db.transaction() as conn:
        agreement = await cancel_agreement(
            conn,
            agreement_id,
            merchant_id=call.tenant_id,
            actor=actor(call),
            now=call.deps.clock.now(),
        )
    return AgreementView.model_validate(agreement)


@api.post(
    "/v1/agreements/{agreement_id}/termination",
    scope="agreements:write",
    tags=_TAGS,
    problems=(AgreementUnknown, AgreementStateForbids),
)
async def terminate(call: Call[Deps], agreement_id: UUID, body: NewTermination) -> AgreementView:
    """End an agreement early; the penalty is the lower of its two legs, or nothing."""
    async with call.deps.db.transaction() as conn:
        agreement = await terminate_agreement(
            conn,
            agreement_id,
            merchant_id=call.tenant_id,
            reason=EndReason(body.reason),
            loss_fen=sum(line.amount_fen for line in body.loss),
            actor=actor(call),
            now=call.deps.clock.now(),
        )
    return AgreementView.model_validate(agreement)
