"""Everything is signed: the agreement begins, and the others are told."""

from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from services.signing.contract import AgreementSigned, MandateGranted
from services.signing.domain import agreement as agreeing
from services.signing.domain import application as applying
from services.signing.domain.agreement import COOLING_OFF, Agreement, AgreementState
from services.signing.domain.application import Application, ApplicationState, ConsentKind
from services.signing.domain.evidence_package import statement
from services.signing.domain.mandate import Mandate
from services.signing.domain.plan import PlanVersion
from services.signing.store import (
    agreements,
    applications,
    documents,
    evidence,
    history,
    plans,
    time_stamps,
)
from shared import outbox
from shared.db import Connection
from shared.ids import new_id


async def complete_application(
    conn: Connection, before: Application, mandate: Mandate, *, now: datetime
) -> Agreement:
    """Turn a signed application with its active mandate into an agreement; both are locked."""
    plan = await plans.read_published(
        conn, before.plan_id, before.plan_version, merchant_id=before.merchant_id
    )
    agreement = await _agreement(conn, before, mandate, plan, now=now)
    await agreements.add(conn, agreement)
    await _remember(conn, agreement, now=now)
    after = applying.move(before, ApplicationState.COMPLETED, now=now)
    await applications.save(conn, before, after, actor="rail", now=now)
    facts = {
        "agreement_no": agreement.agreement_no,
        "document_sha256": agreement.document_sha256,
        "rail": mandate.rail.value,
        "mandate_id": str(mandate.mandate_id),
        "payee_no": mandate.payee_no,
        "signed_at": agreement.signed_at.isoformat(),
    }
    head = await evidence.append(
        conn, before.application_id, "agreement_signed", facts, actor="rail", now=now
    )
    stated = statement(
        agreement.agreement_id,
        agreement.agreement_no,
        signed_sha256=agreement.document_sha256,
        head=head,
    )
    await time_stamps.want(conn, agreement.agreement_id, stated, now=now)
    consents = await applications.consents(conn, before.application_id)
    await outbox.add(
        conn,
        _signed(agreement, plan, consents, now=now),
        _granted(mandate, agreement.customer_id, agreement=agreement, now=now),
    )
    return agreement


async def _agreement(
    conn: Connection,
    application: Application,
    mandate: Mandate,
    plan: PlanVersion,
    *,
    now: datetime,
) -> Agreement:
    document = await documents.newest(conn, application.application_id)
    assert application.customer_id is not None
    assert application.pet_id is not None
    assert document.signed_sha256 is not None
    assert mandate.granted_at is not None
    fresh = Agreement(
        agreement_id=application.agreement_id,
        agreement_no=application.agreement_no,
        merchant_id=application.merchant_id,
        store_id=application.store_id,
        application_id=application.application_id,
        customer_id=application.customer_id,
        pet_id=application.pet_id,
        plan_id=application.plan_id,
        plan_version=application.plan_version,
        plan_name=plan.name,
        rail=application.rail,
        charge_day=application.charge_day,
        periods=plan.periods,
        total_fen=plan.payable_fen,
        hold_fen=plan.bundle_fen if plan.auto_ship else 0,
        auto_ship=plan.auto_ship,
        instalments=document.instalments,
        document_sha256=document.signed_sha256,
        state=AgreementState.SIGNED,
        signed_at=min(mandate.granted_at, now),
        cooling_off_ends_at=now + COOLING_OFF,
    )
    return agreeing.move(fresh, AgreementState.COOLING_OFF, now=now)


async def _remember(conn: Connection, agreement: Agreement, *, now: datetime) -> None:
    states = ("", AgreementState.SIGNED, AgreementState.COOLING_OFF)
    for from_state, to_state in pairwise(states):
        await history.add(
            conn,
            "agreement",
            agreement.agreement_id,
            from_state=from_state,
            to_state=to_state,
            actor="customer",
            now=now,
        )


def _signed(
    agreement: Agreement,
    plan: PlanVersion,
    consents: Mapping[ConsentKind, bool],
    *,
    now: datetime,
) -> AgreementSigned:
    return AgreementSigned(
        event_id=new_id(),
        occurred_at=now,
        agreement_id=agreement.agreement_id,
        agreement_no=agreement.agreement_no,
        merchant_id=agreement.merchant_id,
        store_id=agreement.store_id,
        customer_id=agreement.customer_id,
        pet_id=agreement.pet_id,
        plan_id=agreement.plan_id,
        plan_version=agreement.plan_version,
        plan_name=agreement.plan_name,
        rail=agreement.rail,
        charge_day=agreement.charge_day,
        periods=agreement.periods,
        total_fen=agreement.total_fen,
        hold_fen=agreement.hold_fen,
        auto_ship=agreement.auto_ship,
        instalments=tuple(agreement.instalments),
        substitutes_agreed=consents.get(ConsentKind.SUBSTITUTES, False),
        signed_at=agreement.signed_at,
        cooling_off_ends_at=agreement.cooling_off_ends_at,
        overdue_penalty=plan.overdue_penalty,
        legal_type=plan.legal_type.value,
    )


def _granted(
    mandate: Mandate, customer_id: UUID, *, agreement: Agreement, now: datetime
) -> MandateGranted:
    return MandateGranted(
        event_id=new_id(),
        occurred_at=now,
        mandate_id=mandate.mandate_id,
        agreement_id=mandate.agreement_id,
        merchant_id=mandate.merchant_id,
        customer_id=customer_id,
        rail=mandate.rail,
        product=mandate.product,
        rail_agreement_no=mandate.rail_agreement_no,
        payer_no=mandate.payer_no,
        payee_no=mandate.payee_no,
        ceiling_fen=mandate.ceiling_fen,
        valid_until=mandate.valid_until or agreement.instalments[-1].due_on,
    )
