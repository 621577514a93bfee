"""The agreement is written, with every date and amount, before it is signed."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.signing.deps import Deps
from services.signing.domain import application as applying
from services.signing.domain.agreement_text import TEMPLATE_VERSION, Terms, key_clauses
from services.signing.domain.annual_rate import rate_of
from services.signing.domain.application import (
    Application,
    ApplicationState,
    ConsentKind,
    Step,
    require_step,
)
from services.signing.domain.errors import DocumentMissing
from services.signing.domain.merchant import payee_of, require_approved
from services.signing.domain.schedule import schedule, sign_before
from services.signing.gateways.agreement_pdf import Printed, print_agreement
from services.signing.store import applications, documents, evidence, merchants, plans
from services.signing.store.documents import Document
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Preview:
    """What the customer is shown."""

    application: Application
    document: Document


async def preview_agreement(
    deps: Deps, application_id: UUID, *, merchant_id: UUID, document_id: UUID
) -> Preview:
    """
    Write the agreement; a newer preview replaces the one that was not signed.

    Raises:
        StepNotNext: It is not time for this.
        MerchantNotApproved, RateAboveCap: It may not be signed any more.
    """
    now = deps.clock.now()
    async with deps.db.connection() as conn:
        application = await applications.read(conn, application_id, merchant_id=merchant_id)
        require_step(application, Step.PREVIEW, Step.SIGNATURE)
        terms = await _terms(conn, deps, application, now=now)
    printed = await print_agreement(terms)
    document = _document(deps, terms, printed, application_id, document_id)
    async with deps.db.transaction() as conn:
        before = await applications.lock(conn, application_id, merchant_id=merchant_id)
        after = applying.move(before, ApplicationState.PREVIEWED, now=now)
        await documents.add(conn, document)
        await applications.save(conn, before, after, actor="customer", now=now)
        await applications.tried(conn, before, Step.PREVIEW, now=now)
        facts = {
            "sha256": document.sha256,
            "template_version": document.template_version,
            "sign_before": document.sign_before.isoformat(),
        }
        await evidence.append(
            conn, application_id, "document_shown", facts, actor="customer", now=now
        )
    return Preview(after, document)


async def read_pdf(conn: Connection, deps: Deps, application_id: UUID, *, signed: bool) -> bytes:
    """
    Return the document as it was shown, or as it was signed.

    Raises:
        DocumentMissing: There is none yet.
    """
    document = await documents.newest(conn, application_id)
    if not signed:
        return deps.vault.open_pdf(document.pdf, document.document_id)
    if document.signed_pdf is None:
        raise DocumentMissing("The document is not signed yet.", application_id=application_id)
    return deps.vault.open_pdf(document.signed_pdf, document.document_id, column="signed_pdf")


async def _terms(conn: Connection, deps: Deps, application: Application, *, now: datetime) -> Terms:
    merchant = await merchants.read(conn, application.merchant_id)
    require_approved(merchant)
    plan = await plans.read_published(
        conn,
        application.plan_id,
        application.plan_version,
        merchant_id=application.merchant_id,
    )
    rate = rate_of(plan)
    consents = await applications.consents(conn, application.application_id)
    sealed = await applications.read_applicant(conn, application.application_id)
    return Terms(
        agreement_no=application.agreement_no,
        merchant=merchant,
        store=await merchants.read_store(
            conn, application.store_id, merchant_id=application.merchant_id
        ),
        payee_no=payee_of(merchant, application.rail, offers=deps.offers).payee_no,
        plan=plan,
        rail=application.rail,
        charge_day=application.charge_day,
        applicant=deps.vault.open_applicant(sealed, application.application_id),
        pet=application.pet,
        instalments=schedule(plan.parts, charge_day=application.charge_day, now=now),
        rate_percent=rate.higher_percent,
        written_at=now.replace(microsecond=0),
        substitutes_agreed=consents.get(ConsentKind.SUBSTITUTES, False),
    )


def _document(
    deps: Deps, terms: Terms, printed: Printed, application_id: UUID, document_id: UUID
) -> Document:
    blank = Document(
        document_id=document_id,
        application_id=application_id,
        template_version=TEMPLATE_VERSION,
        sha256=printed.sha256,
        pdf="",
        instalments=terms.instalments,
        key_clauses=key_clauses(terms),
        rate_percent=str(terms.rate_percent),
        sign_before=sign_before(terms.instalments),
        written_at=terms.written_at,
    )
    return replace(blank, pdf=deps.vault.lock_pdf(printed.pdf, document_id))
