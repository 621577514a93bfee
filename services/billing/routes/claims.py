"""Hardships and disputes."""

from datetime import datetime
from uuid import UUID

from services.billing.contract.dunning import (
    ClaimFilter,
    ClaimView,
    NewAnswer,
    NewDecision,
    NewDispute,
    NewFinding,
    NewHardship,
)
from services.billing.deps import Deps
from services.billing.domain.claim import Answer, ClaimKind, Offer
from services.billing.domain.errors import (
    AgreementUnknown,
    ClaimStateForbids,
    ClaimUnknown,
    DisputeEvidenceMissing,
    InstalmentUnknown,
    OfferUnfit,
)
from services.billing.routes.table import api
from services.billing.store import claims, instalments
from services.billing.usecases.handle_claims import (
    Report,
    answer_claim,
    decide_claim,
    find_claim,
    open_claim,
)
from shared.web import Call, Page


@api.post(
    "/v1/agreements/{agreement_id}/hardship",
    scope="billing:write",
    status=201,
    tags=("claims",),
    problems=(AgreementUnknown, InstalmentUnknown),
)
async def post_hardship(call: Call[Deps], agreement_id: UUID, body: NewHardship) -> ClaimView:
    """Open a hardship: no debit and no dunning until it is answered, within 7 working days."""
    report = Report(
        claim_id=call.new_id("claim"),
        kind=ClaimKind.HARDSHIP,
        agreement_id=agreement_id,
        instalment_id=body.instalment_id,
        reason=body.reason,
        by=body.reported_by,
    )
    async with call.deps.db.transaction() as conn:
        return ClaimView.model_validate(await open_claim(conn, call.deps, call.tenant_id, report))


@api.post(
    "/v1/instalments/{instalment_id}/dispute",
    scope="billing:write",
    status=201,
    tags=("claims",),
    problems=(InstalmentUnknown,),
)
async def post_dispute(call: Call[Deps], instalment_id: UUID, body: NewDispute) -> ClaimView:
    """Open a dispute of a debit: debits rest until it is closed with evidence, or refunded."""
    async with call.deps.db.connection() as conn:
        about = await instalments.find(conn, call.tenant_id, instalment_id)
    report = Report(
        claim_id=call.new_id("claim"),
        kind=ClaimKind.DISPUTE,
        agreement_id=about.agreement_id,
        instalment_id=instalment_id,
        reason=body.reason,
        by=body.reported_by,
    )
    async with call.deps.db.transaction() as conn:
        return ClaimView.model_validate(await open_claim(conn, call.deps, call.tenant_id, report))


@api.get("/v1/claims", scope="billing:read", tags=("claims",))
async def list_claims(call: Call[Deps], query: ClaimFilter) -> Page[ClaimView]:
    """List hardships and disputes, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await claims.page(
            conn,
            call.tenant_id,
            open_only=query.open_only,
            kind=query.kind,
            agreement_id=query.agreement_id,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[ClaimView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.opened_at, row.claim_id),
        view=ClaimView.model_validate,
    )


@api.get("/v1/claims/{claim_id}", scope="billing:read", tags=("claims",), problems=(ClaimUnknown,))
async def get_claim(call: Call[Deps], claim_id: UUID) -> ClaimView:
    """Show one claim."""
    async with call.deps.db.connection() as conn:
        return ClaimView.model_validate(await claims.find(conn, call.tenant_id, claim_id))


@api.post(
    "/v1/claims/{claim_id}/answer",
    scope="billing:write",
    tags=("claims",),
    problems=(ClaimUnknown, ClaimStateForbids, OfferUnfit),
)
async def post_answer(call: Call[Deps], claim_id: UUID, body: NewAnswer) -> ClaimView:
    """Answer a hardship: offer a later day or a pause, which stands for a week, or refuse."""
    offer = Offer(Answer(body.answer), body.to_day, body.periods)
    async with call.deps.db.transaction() as conn:
        after = await answer_claim(
            conn, call.deps, call.tenant_id, claim_id, offer, body.answered_by
        )
    return ClaimView.model_validate(after)


@api.post(
    "/v1/claims/{claim_id}/decision",
    scope="billing:write",
    tags=("claims",),
    problems=(ClaimUnknown, ClaimStateForbids),
)
async def post_decision(call: Call[Deps], claim_id: UUID, body: NewDecision) -> ClaimView:
    """Record whether the customer takes the offer."""
    async with call.deps.db.transaction() as conn:
        after = await decide_claim(
            conn, call.deps, call.tenant_id, claim_id, accepted=body.accepted
        )
    return ClaimView.model_validate(after)


@api.post(
    "/v1/claims/{claim_id}/finding",
    scope="billing:write",
    tags=("claims",),
    problems=(ClaimUnknown, ClaimStateForbids, OfferUnfit, DisputeEvidenceMissing),
)
async def post_finding(call: Call[Deps], claim_id: UUID, body: NewFinding) -> ClaimView:
    """Close a dispute with evidence, or let the whole charge go back."""
    async with call.deps.db.transaction() as conn:
        after = await find_claim(
            conn,
            call.deps,
            call.tenant_id,
            claim_id,
            Answer(body.finding),
            tuple(body.evidence),
            body.found_by,
        )
    return ClaimView.model_validate(after)
