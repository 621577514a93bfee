"""What the interface shows of applications, agreements and customers."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.signing.deps import Deps
from services.signing.domain.agreement import Agreement
from services.signing.domain.application import Applicant, Application, Step
from services.signing.domain.evidence import Entry, first_broken
from services.signing.domain.mandate import MandateState
from services.signing.domain.resident_id import normalise_mobile
from services.signing.store import (
    agreements,
    applications,
    checks,
    customers,
    documents,
    evidence,
    history,
    mandates,
)
from services.signing.usecases.check_identity import change_person
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Standing:
    """An application, on whose part the next step is, and how long the others took."""

    application: Application
    awaiting: str
    steps: list[applications.StepTime]


@dataclass(frozen=True, slots=True)
class Proof:
    """The chain of an agreement and its documents, checked just now."""

    agreement: Agreement
    entries: list[Entry]
    shown_sha256: str
    signed_sha256: str | None
    documents_intact: bool
    first_broken: int | None


async def show_application(
    conn: Connection, application_id: UUID, *, merchant_id: UUID
) -> Standing:
    """Return how an application stands."""
    application = await applications.read(conn, application_id, merchant_id=merchant_id)
    return Standing(
        application,
        await _awaiting(conn, application),
        await applications.steps(conn, application_id),
    )


async def show_history(
    conn: Connection, agreement_id: UUID, *, merchant_id: UUID
) -> list[history.Move]:
    """Return every move of an agreement, its application and its mandate."""
    agreement = await agreements.read(conn, agreement_id, merchant_id=merchant_id)
    mandate = await mandates.newest_of(conn, agreement_id)
    ids = [agreement_id, agreement.application_id]
    return await history.of(conn, *ids, *([mandate.mandate_id] if mandate else []))


async def prove(conn: Connection, deps: Deps, agreement_id: UUID, *, merchant_id: UUID) -> Proof:
    """Return the evidence of an agreement, with every hash computed afresh."""
    agreement = await agreements.read(conn, agreement_id, merchant_id=merchant_id)
    entries = await evidence.chain(conn, agreement.application_id)
    document = await documents.newest(conn, agreement.application_id)
    shown = deps.vault.open_pdf(document.pdf, document.document_id)
    signed = deps.vault.open_pdf(
        document.signed_pdf or "", document.document_id, column="signed_pdf"
    )
    return Proof(
        agreement=agreement,
        entries=entries,
        shown_sha256=document.sha256,
        signed_sha256=document.signed_sha256,
        documents_intact=hashlib.sha256(shown).hexdigest() == document.sha256
        and hashlib.sha256(signed).hexdigest() == agreement.document_sha256,
        first_broken=first_broken(entries),
    )


async def show_person(
    conn: Connection, deps: Deps, customer_id: UUID, *, merchant_id: UUID
) -> tuple[Applicant, datetime]:
    """Return a customer in plain text, and since when they are like that."""
    customer = await customers.read(conn, customer_id, merchant_id=merchant_id)
    return deps.vault.open_person(customer.person, customer_id), customer.changed_at


async def change_contact(
    conn: Connection,
    deps: Deps,
    customer_id: UUID,
    changes: dict[str, str],
    *,
    merchant_id: UUID,
    now: datetime,
) -> None:
    """
    Replace parts of a customer's contact data; the same again changes nothing.

    Raises:
        PhoneInvalid: The new number is not a mobile number.
    """
    customer = await customers.lock(conn, customer_id, merchant_id=merchant_id)
    before = deps.vault.open_person(customer.person, customer_id)
    if "phone" in changes:
        changes = changes | {"phone": normalise_mobile(changes["phone"])}
    after = replace(before, **changes)
    if after != before:
        await change_person(conn, deps, customer, after, now=now)


async def _awaiting(conn: Connection, application: Application) -> str:
    waits = False
    match application.next_step:
        case Step.NONE:
            return "nobody"
        case Step.REVIEW:
            return "operator"
        case Step.IDENTITY:
            check = await checks.read_open(conn, application.application_id)
            waits = check is not None and check.state == "open"
        case Step.SIGNATURE:
            flow = await documents.flow_of(conn, application.application_id)
            waits = flow is not None and flow.state == "open"
        case Step.MANDATE:
            mandate = await mandates.newest_of(conn, application.agreement_id)
            waits = mandate is not None and mandate.state is MandateState.PENDING
        case Step.CONSENTS | Step.CREDIT | Step.PREVIEW:
            waits = False
    return "customer" if waits else "gateway"
