"""Applications: each step is a call, and every answer names the next one."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.signing.contract.api import (
    ApplicationView,
    Consents,
    IdentityView,
    MandateView,
    NewApplicant,
    NewApplication,
    NewMandate,
    NewPet,
    NewSignature,
    PreviewView,
    Review,
    SignatureView,
    StepView,
)
from services.signing.deps import Deps
from services.signing.domain.application import Applicant, ApplicationState, ConsentKind, Pet
from services.signing.domain.errors import (
    ApplicationUnknown,
    ChargeDayNotOnRail,
    ClausesNotShown,
    ConsentMissing,
    DocumentMissing,
    IdNumberInvalid,
    NameNotMatching,
    PhoneInvalid,
    PlanUnknown,
    PreviewStale,
    ProviderRefused,
    ProviderSilent,
    RailNotForMerchant,
    StepNotNext,
    StoreUnknown,
    TooYoung,
    TriesUsedUp,
)
from services.signing.domain.resident_id import normalise, normalise_mobile
from services.signing.routes.table import actor, api
from services.signing.store import applications, documents, mandates
from services.signing.store.applications import Consent
from services.signing.usecases.assess_credit import assess_credit, review_application
from services.signing.usecases.check_identity import settle_identity, start_identity_check
from services.signing.usecases.end_application import withdraw_application
from services.signing.usecases.grant_mandate import invite_to_mandate, look_at_mandate
from services.signing.usecases.preview_agreement import preview_agreement, read_pdf
from services.signing.usecases.show import Standing, show_application
from services.signing.usecases.sign_document import Sitting, settle_signature, start_signature
from services.signing.usecases.start_application import Wish, give_consents, start_application
from shared.web import Call, Page, PageQuery, Raw

_STEP = (ApplicationUnknown, StepNotNext)
_TAGS = ("applications",)


@api.post(
    "/v1/applications",
    scope="applications:write",
    status=201,
    tags=_TAGS,
    problems=(
        PlanUnknown,
        StoreUnknown,
        ChargeDayNotOnRail,
        RailNotForMerchant,
        IdNumberInvalid,
        PhoneInvalid,
        TooYoung,
    ),
)
async def post_application(call: Call[Deps], body: NewApplication) -> ApplicationView:
    """Begin an application."""
    wish = Wish(
        merchant_id=call.tenant_id,
        store_id=body.store_id,
        plan_id=body.plan_id,
        plan_version=min(body.plan_version, 2**31 - 1),
        rail=body.rail,
        charge_day=body.charge_day,
        applicant=_applicant(body.customer),
        pet=_pet(body.pet),
    )
    async with call.deps.db.transaction() as conn:
        application = await start_application(
            conn,
            call.deps,
            wish,
            application_id=call.new_id("application"),
            agreement_id=call.new_id("agreement"),
            actor=actor(call),
            now=call.deps.clock.now(),
        )
    return _view(Standing(application, "gateway", []))


@api.get("/v1/applications", scope="applications:read", tags=_TAGS)
async def list_applications(call: Call[Deps], query: PageQuery) -> Page[ApplicationView]:
    """List applications, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await applications.page(
            conn,
            merchant_id=call.tenant_id,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[ApplicationView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.started_at, row.application_id),
        view=lambda row: _view(Standing(row, "gateway", [])),
    )


@api.get(
    "/v1/applications/{application_id}",
    scope="applications:read",
    tags=_TAGS,
    problems=(ApplicationUnknown,),
)
async def get_application(call: Call[Deps], application_id: UUID) -> ApplicationView:
    """Show an application: its next step, and on whose part that is."""
    async with call.deps.db.connection() as conn:
        return _view(await show_application(conn, application_id, merchant_id=call.tenant_id))


@api.post(
    "/v1/applications/{application_id}/consents",
    scope="applications:write",
    tags=_TAGS,
    problems=(*_STEP, ConsentMissing),
)
async def post_consents(call: Call[Deps], application_id: UUID, body: Consents) -> ApplicationView:
    """Give the consents: personal data, face check, credit enquiry; substitutes are optional."""
    given = [
        Consent(ConsentKind(one.kind), one.text_version, one.agreed, one.shown_ms)
        for one in body.consents
    ]
    async with call.deps.db.transaction() as conn:
        await give_consents(
            conn,
            application_id,
            given,
            merchant_id=call.tenant_id,
            actor=actor(call),
            now=call.deps.clock.now(),
        )
    return await get_application(call, application_id)


@api.post(
    "/v1/applications/{application_id}/identity",
    scope="applications:write",
    tags=_TAGS,
    problems=(*_STEP, NameNotMatching, TooYoung, TriesUsedUp, ProviderSilent, ProviderRefused),
)
async def post_identity(call: Call[Deps], application_id: UUID) -> IdentityView:
    """Begin the face check; open the url for the customer."""
    url = await start_identity_check(
        call.deps,
        application_id,
        merchant_id=call.tenant_id,
        check_id=call.new_id("check"),
    )
    return IdentityView(url=url)


@api.post(
    "/v1/applications/{application_id}/identity/result",
    scope="applications:write",
    idempotent=False,
    tags=_TAGS,
    problems=(ApplicationUnknown, ProviderSilent),
)
async def post_identity_result(call: Call[Deps], application_id: UUID) -> ApplicationView:
    """Look at the face check's result now, instead of waiting."""
    await get_application(call, application_id)
    await settle_identity(call.deps, application_id)
    return await get_application(call, application_id)


@api.post(
    "/v1/applications/{application_id}/credit",
    scope="applications:write",
    tags=_TAGS,
    problems=(*_STEP, ProviderSilent, ProviderRefused),
)
async def post_credit(call: Call[Deps], application_id: UUID) -> ApplicationView:
    """Ask for the score; below the threshold or unknown, a person reviews."""
    await assess_credit(
        call.deps,
        application_id,
        merchant_id=call.tenant_id,
        assessment_id=call.new_id("assessment"),
    )
    return await get_application(call, application_id)


@api.post(
    "/v1/applications/{application_id}/review",
    scope="applications:review",
    tags=_TAGS,
    problems=_STEP,
)
async def post_review(call: Call[Deps], application_id: UUID, body: Review) -> ApplicationView:
    """Decide, as a person, an application that the score did not decide."""
    async with call.deps.db.transaction() as conn:
        await review_application(
            conn,
            application_id,
            merchant_id=call.tenant_id,
            approve=body.approve,
            reason=body.reason,
            actor=actor(call),
            now=call.deps.clock.now(),
        )
    return await get_application(call, application_id)


@api.post(
    "/v1/applications/{application_id}/preview",
    scope="applications:write",
    tags=_TAGS,
    problems=_STEP,
)
async def post_preview(call: Call[Deps], application_id: UUID) -> PreviewView:
    """Write the agreement; it must be signed, and the mandate granted, before *sign_before*."""
    preview = await preview_agreement(
        call.deps,
        application_id,
        merchant_id=call.tenant_id,
        document_id=call.new_id("document"),
    )
    document = preview.document
    return PreviewView(
        document_sha256=document.sha256,
        pdf_path=f"/v1/applications/{application_id}/preview.pdf",
        key_clauses=list(document.key_clauses),
        sign_before=document.sign_before,
        rate_percent=document.rate_percent,
        instalments=list(document.instalments),
    )


@api.get(
    "/v1/applications/{application_id}/preview.pdf",
    scope="applications:read",
    tags=_TAGS,
    problems=(ApplicationUnknown, DocumentMissing),
)
async def get_preview(call: Call[Deps], application_id: UUID) -> Raw:
    """Fetch the agreement as it is shown before signing."""
    async with call.deps.db.connection() as conn:
        await applications.read(conn, application_id, merchant_id=call.tenant_id)
        pdf = await read_pdf(conn, call.deps, application_id, signed=False)
    return Raw("application/pdf", pdf, "preview.pdf")


@api.post(
    "/v1/applications/{application_id}/signature",
    scope="applications:write",
    tags=_TAGS,
    problems=(*_STEP, PreviewStale, ClausesNotShown, ProviderSilent, ProviderRefused),
)
async def post_signature(
    call: Call[Deps], application_id: UUID, body: NewSignature
) -> SignatureView:
    """Begin signing, after each key clause was shown for 8 seconds; open the url."""
    url = await start_signature(
        call.deps,
        application_id,
        Sitting(body.clauses_shown_ms, body.device, body.ip),
        merchant_id=call.tenant_id,
        flow_id=call.new_id("flow"),
    )
    return SignatureView(url=url)


@api.post(
    "/v1/applications/{application_id}/signature/result",
    scope="applications:write",
    idempotent=False,
    tags=_TAGS,
    problems=(ApplicationUnknown, ProviderSilent),
)
async def post_signature_result(call: Call[Deps], application_id: UUID) -> ApplicationView:
    """Look now whether the document is signed, instead of waiting."""
    async with call.deps.db.connection() as conn:
        await applications.read(conn, application_id, merchant_id=call.tenant_id)
        flow = await documents.flow_of(conn, application_id)
    if flow is not None:
        await settle_signature(call.deps, flow.flow_id)
    return await get_application(call, application_id)


@api.post(
    "/v1/applications/{application_id}/mandate",
    scope="applications:write",
    tags=_TAGS,
    problems=(*_STEP, PreviewStale, ProviderSilent, ProviderRefused),
)
async def post_mandate(call: Call[Deps], application_id: UUID, body: NewMandate) -> MandateView:
    """Begin the mandate: hand the answer to the rail's own signing screen."""
    invitation = await invite_to_mandate(
        call.deps,
        application_id,
        merchant_id=call.tenant_id,
        mandate_id=call.new_id("mandate"),
        screen_version=body.screen_version,
        shown_ms=body.shown_ms,
    )
    return MandateView.model_validate(invitation)


@api.post(
    "/v1/applications/{application_id}/mandate/result",
    scope="applications:write",
    idempotent=False,
    tags=_TAGS,
    problems=(ApplicationUnknown,),
)
async def post_mandate_result(call: Call[Deps], application_id: UUID) -> ApplicationView:
    """Look now whether the mandate is granted, instead of waiting."""
    async with call.deps.db.connection() as conn:
        application = await applications.read(conn, application_id, merchant_id=call.tenant_id)
        mandate = await mandates.newest_of(conn, application.agreement_id)
    if mandate is not None:
        await look_at_mandate(call.deps, mandate)
    return await get_application(call, application_id)


@api.post(
    "/v1/applications/{application_id}/withdrawal",
    scope="applications:write",
    tags=_TAGS,
    problems=_STEP,
)
async def withdraw(call: Call[Deps], application_id: UUID) -> ApplicationView:
    """Give up an application."""
    async with call.deps.db.transaction() as conn:
        await withdraw_application(
            conn,
            application_id,
            merchant_id=call.tenant_id,
            actor=actor(call),
            now=call.deps.clock.now(),
        )
    return await get_application(call, application_id)


def _view(standing: Standing) -> ApplicationView:
    application = standing.application
    completed = application.state is ApplicationState.COMPLETED
    known = {
        name: getattr(application, name)
        for name in ApplicationView.model_fields
        if name not in {"awaiting", "steps", "agreement_id"}
    }
    return ApplicationView(
        **known,
        agreement_id=application.agreement_id if completed else None,
        awaiting=standing.awaiting,
        steps=[StepView.model_validate(step) for step in standing.steps],
    )


def _applicant(body: NewApplicant) -> Applicant:
    person = Applicant(**body.model_dump())
    return replace(
        person,
        id_number=normalise(person.id_number),
        phone=normalise_mobile(person.phone),
    )


def _pet(body: NewPet) -> Pet:
    return Pet(**body.model_dump())
