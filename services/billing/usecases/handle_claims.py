"""Hardships and disputes: from report over answer to result; debits and dunning rest meanwhile."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.claim import (
    ANSWER_WORKING_DAYS,
    Answer,
    Claim,
    ClaimKind,
    ClaimState,
    Offer,
    answer_hardship,
    decide_offer,
    find,
    lapse,
)
from services.billing.domain.dunning import DUNNING_HOUR
from services.billing.domain.errors import AgreementUnknown, InstalmentUnknown
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import InstalmentState
from services.billing.domain.task import Outcome, TaskKind
from services.billing.domain.working_days import after_working_days
from services.billing.store import (
    agreements,
    claims,
    dunning_cases,
    history,
    instalments,
    tasks,
)
from services.billing.usecases import announce
from services.billing.usecases.close_tasks import close_all
from services.billing.usecases.hold_agreement import hold_agreement, release_agreement
from shared.calendar import at_in_china, day_in_china
from shared.db import Connection

log = structlog.get_logger()

_TASKS: Final = {ClaimKind.HARDSHIP: TaskKind.HARDSHIP, ClaimKind.DISPUTE: TaskKind.DISPUTE}


@dataclass(frozen=True, slots=True)
class Report:
    """What a customer says; ``reason`` is a code, ``by`` a reference of whoever wrote it down."""

    claim_id: UUID
    kind: ClaimKind
    agreement_id: UUID
    instalment_id: UUID | None
    reason: str
    by: str


async def open_claim(conn: Connection, deps: Deps, merchant_id: UUID, report: Report) -> Claim:
    """
    Open a claim: hold debits and dunning at once, and ask staff to answer in time.

    A second report of the same thing returns the open claim.

    Raises:
        AgreementUnknown, InstalmentUnknown: It is not here, or another merchant's.
    """
    agreement = await agreements.lock(conn, report.agreement_id)
    if agreement.merchant_id != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=report.agreement_id)
    if report.instalment_id is not None:
        about = await instalments.find(conn, merchant_id, report.instalment_id)
        if about.agreement_id != report.agreement_id:
            raise InstalmentUnknown("No such instalment.", instalment_id=report.instalment_id)
    claim = _claim(agreement, report, now=deps.clock.now())
    if not await claims.add(conn, claim):
        return await _standing(conn, claim)
    await hold_agreement(conn, merchant_id, claim.agreement_id, claim.kind.value, clock=deps.clock)
    await _note(conn, claim, "", "opened", now=claim.opened_at)
    await announce.open_task(
        conn,
        _TASKS[claim.kind],
        claim.claim_id,
        agreement,
        claim.instalment_id,
        detail=claim.reason,
        now=claim.opened_at,
        due_at=claim.answer_due_at,
        claim_id=claim.claim_id,
    )
    log.info("claim.opened", claim_id=str(claim.claim_id), kind=claim.kind.value)
    return claim


async def answer_claim(
    conn: Connection, deps: Deps, merchant_id: UUID, claim_id: UUID, offer: Offer, by: str
) -> Claim:
    """Answer a hardship; raises ClaimUnknown, ClaimStateForbids, OfferUnfit."""
    claim = await _lock(conn, merchant_id, claim_id)
    after = answer_hardship(claim, offer, by=by, now=deps.clock.now())
    await _answered(conn, after, by, now=deps.clock.now())
    return await close_claim(conn, deps, after)


async def decide_claim(
    conn: Connection, deps: Deps, merchant_id: UUID, claim_id: UUID, *, accepted: bool
) -> Claim:
    """
    Record the customer's word about an offer; raises ClaimUnknown, ClaimStateForbids.

    An accepted day is kept like a promise: no penalty and no dunning until it is over.  An
    accepted pause asks staff to enter it; the hold stays until they have.
    """
    now = deps.clock.now()
    claim = await _lock(conn, merchant_id, claim_id)
    after = decide_offer(claim, accepted=accepted, now=now)
    if after.state is ClaimState.ACCEPTED:
        (agreement,) = await agreements.by_ids(conn, [claim.agreement_id])
        await announce.open_task(
            conn,
            TaskKind.APPLY_PAUSE,
            claim.claim_id,
            agreement,
            claim.instalment_id,
            detail=f"{claim.offer_periods} periods",
            now=now,
            due_at=after_working_days(now, 1),
            claim_id=claim.claim_id,
        )
    elif accepted:
        await _postpone_dunning(conn, after)
    return await close_claim(conn, deps, after)


async def find_claim(
    conn: Connection,
    deps: Deps,
    merchant_id: UUID,
    claim_id: UUID,
    answer: Answer,
    evidence: tuple[str, ...],
    by: str,
) -> Claim:
    """
    Record what the inquiry into a debit found.

    Not proven: the whole charge must go back within three working days of the report
    (rule WH-20); a task with that deadline asks for it, and debits rest until it is done.

    Raises:
        ClaimUnknown, ClaimStateForbids, OfferUnfit, DisputeEvidenceMissing: Not so.
    """
    now = deps.clock.now()
    claim = await _lock(conn, merchant_id, claim_id)
    owed = await claims.not_returned(conn, claim.instalment_id) if claim.instalment_id else 0
    after = find(claim, answer, evidence, owed_fen=owed, by=by, now=now)
    await _answered(conn, after, by, now=now)
    if after.state is ClaimState.ANSWERED:
        (agreement,) = await agreements.by_ids(conn, [claim.agreement_id])
        await announce.open_task(
            conn,
            TaskKind.REFUND_OWED,
            claim.claim_id,
            agreement,
            claim.instalment_id,
            detail=f"{owed} fen",
            now=now,
            due_at=max(claim.answer_due_at, now),
            claim_id=claim.claim_id,
        )
    elif answer is Answer.NOT_PROVEN and claim.instalment_id is not None:
        await dunning_cases.close_of(
            conn, [claim.instalment_id], reason="disputed_not_proven", at=now
        )
    return await close_claim(conn, deps, after)


async def close_claim(conn: Connection, deps: Deps, claim: Claim) -> Claim:
    """Write *claim*; when it is closed, let go the hold unless another claim needs it."""
    now = deps.clock.now()
    await claims.save(conn, claim)
    await _note(conn, claim, "", claim.result or claim.state.value, now=now)
    if claim.state is not ClaimState.CLOSED:
        return claim
    others = await claims.open_of(conn, claim.agreement_id)
    if not any(other.kind is claim.kind for other in others):
        await release_agreement(
            conn, claim.merchant_id, claim.agreement_id, claim.kind.value, clock=deps.clock
        )
    log.info("claim.closed", claim_id=str(claim.claim_id), result=claim.result)
    return claim


async def lapse_offers(deps: Deps) -> int:
    """Close hardships whose offers nobody took in a week; return how many."""
    now = deps.clock.now()
    async with deps.db.connection() as conn:
        found = await claims.lapsed(conn, today=day_in_china(now))
    for seen in found:
        async with deps.db.transaction() as conn:
            claim = await _lock(conn, seen.merchant_id, seen.claim_id)
            if claim.state is ClaimState.ANSWERED:
                await close_claim(conn, deps, lapse(claim, now=now))
    return len(found)


async def _answered(conn: Connection, claim: Claim, by: str, *, now: datetime) -> None:
    waiting = await tasks.open_of_agreements(conn, [claim.agreement_id], [_TASKS[claim.kind]])
    own = [task for task in waiting if task.claim_id == claim.claim_id]
    await close_all(conn, own, Outcome.ANSWERED, by=by, now=now)


async def _lock(conn: Connection, merchant_id: UUID, claim_id: UUID) -> Claim:
    seen = await claims.find(conn, merchant_id, claim_id)
    await agreements.lock(conn, seen.agreement_id)
    return await claims.find(conn, merchant_id, claim_id)


async def _standing(conn: Connection, claim: Claim) -> Claim:
    for one in await claims.open_of(conn, claim.agreement_id):
        if one.kind is claim.kind and one.instalment_id == claim.instalment_id:
            return one
    return await claims.find(conn, claim.merchant_id, claim.claim_id)


async def _postpone_dunning(conn: Connection, claim: Claim) -> None:
    overdue = [
        one
        for one in await instalments.of_agreement(conn, claim.agreement_id)
        if one.state is InstalmentState.OVERDUE and claim.instalment_id in {None, one.instalment_id}
    ]
    if claim.offer_to_day is None or not overdue:
        return
    found = await dunning_cases.open_of(conn, [one.instalment_id for one in overdue])
    await dunning_cases.save(
        conn, [replace(case, promised_on=claim.offer_to_day) for case in found.values()]
    )
    look_again = at_in_china(claim.offer_to_day + timedelta(days=1), DUNNING_HOUR)
    await instalments.save(
        conn,
        [
            replace(one, extended_until=claim.offer_to_day, next_dunning_at=look_again)
            for one in overdue
        ],
    )


async def _note(conn: Connection, claim: Claim, before: str, reason: str, *, now: datetime) -> None:
    move = Move(
        "claim",
        claim.claim_id,
        claim.instalment_id,
        before,
        claim.state,
        Actor.STAFF,
        f"{claim.kind.value} {reason}",
        now,
    )
    await history.add(conn, [move])


def _claim(agreement: Agreement, report: Report, *, now: datetime) -> Claim:
    return Claim(
        claim_id=report.claim_id,
        kind=report.kind,
        agreement_id=agreement.agreement_id,
        merchant_id=agreement.merchant_id,
        customer_id=agreement.customer_id,
        instalment_id=report.instalment_id,
        reason=report.reason,
        state=ClaimState.OPEN,
        opened_at=now,
        opened_by=report.by,
        answer_due_at=after_working_days(now, ANSWER_WORKING_DAYS[report.kind]),
    )
