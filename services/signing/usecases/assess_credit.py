"""Does the score suffice: asked at the threshold the plan needs; else a person decides."""

from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from services.signing.deps import Deps
from services.signing.domain import application as applying
from services.signing.domain.application import (
    Application,
    ApplicationState,
    Step,
    require_step,
)
from services.signing.domain.credit_tiers import (
    VALID_DAYS,
    Answer,
    CreditVerdict,
    judge,
    threshold_for,
)
from services.signing.gateways.alipay import brief_score
from services.signing.store import applications, checks, evidence, plans
from services.signing.store.checks import Assessment
from services.signing.usecases.end_application import end_application
from shared.calendar import day_in_china
from shared.db import Connection


async def assess_credit(
    deps: Deps, application_id: UUID, *, merchant_id: UUID, assessment_id: UUID
) -> Application:
    """
    Ask for the score and move on; a question that was not answered is asked again as it was.

    Raises:
        StepNotNext: It is not time for this.
        ProviderSilent, ProviderRefused: The provider did not help.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        application = await applications.lock(conn, application_id, merchant_id=merchant_id)
        require_step(application, Step.CREDIT)
        plan = await plans.read_published(
            conn, application.plan_id, application.plan_version, merchant_id=merchant_id
        )
        threshold = threshold_for(plan)
        question = await checks.add_assessment(
            conn, assessment_id, application_id=application_id, threshold=threshold, now=now
        )
        await applications.tried(conn, application, Step.CREDIT, now=now)
        sealed = await applications.read_applicant(conn, application_id)
    given, provider_no = await brief_score(
        deps.alipay,
        transaction_no=question.assessment_id.hex,
        applicant=deps.vault.open_applicant(sealed, application_id),
        threshold=question.threshold,
    )
    async with deps.db.transaction() as conn:
        return await _settle(conn, question, given, provider_no=provider_no, now=deps.clock.now())


async def review_application(
    conn: Connection,
    application_id: UUID,
    *,
    merchant_id: UUID,
    approve: bool,
    reason: str,
    actor: str,
    now: datetime,
) -> Application:
    """
    Decide as a person what the score could not.

    Raises:
        StepNotNext: Nobody waits for a decision.
    """
    before = await applications.lock(conn, application_id, merchant_id=merchant_id)
    require_step(before, Step.REVIEW)
    if not approve:
        return await end_application(
            conn, before, ApplicationState.REJECTED, reason=reason, actor=actor, now=now
        )
    after = applying.move(before, ApplicationState.ASSESSED, now=now, reason=reason)
    await applications.save(conn, before, after, actor=actor, now=now)
    await evidence.append(
        conn, application_id, "review_approved", {"reason": reason}, actor=actor, now=now
    )
    return after


async def _settle(
    conn: Connection, question: Assessment, given: Answer, *, provider_no: str, now: datetime
) -> Application:
    before = await applications.lock(conn, question.application_id)
    valid_until = day_in_china(now) + timedelta(days=VALID_DAYS)
    await checks.answer(
        conn,
        question.assessment_id,
        given,
        provider_no=provider_no,
        valid_until=valid_until,
        now=now,
    )
    if before.state is not ApplicationState.IDENTIFIED:
        return before
    verdict = judge(given)
    match verdict:
        case CreditVerdict.ACCEPTED:
            to, reason = ApplicationState.ASSESSED, ""
        case CreditVerdict.REVIEW:
            to, reason = ApplicationState.IN_REVIEW, f"score-{given}"
        case _:
            assert_never(verdict)
    after = applying.move(before, to, now=now, reason=reason)
    await applications.save(conn, before, after, actor="provider", now=now)
    facts = {
        "provider": "zhima-brief",
        "threshold": question.threshold,
        "answer": given.value,
        "provider_no": provider_no,
        "valid_until": valid_until.isoformat(),
    }
    await evidence.append(
        conn, question.application_id, "credit_assessed", facts, actor="provider", now=now
    )
    return after
