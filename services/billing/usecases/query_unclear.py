"""Ask the rails about attempts they never answered; send again what never arrived."""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from services.billing.deps import Deps
from services.billing.domain.attempt import (
    ANSWER_WAIT,
    ATTEMPT_LIFE,
    EXPIRED,
    NOT_ARRIVED,
    Attempt,
    AttemptKind,
)
from services.billing.domain.breaker import PROBE_WAIT, beat_of
from services.billing.domain.debit_gate import Refusal, refusals
from services.billing.domain.findings import Failed, Finding, NotFound, Pending, Unclear
from services.billing.domain.history import Actor
from services.billing.domain.task import TaskKind
from services.billing.store import agreements, attempts, breakers, instalments
from services.billing.usecases import announce
from services.billing.usecases.feel_rails import feel_rails
from services.billing.usecases.gather_facts import gather_facts
from services.billing.usecases.settle_charge import Learned, settle_all
from shared.rails.classes import FailureClass

log = structlog.get_logger()

ASK_PERSON_AFTER_QUERIES: Final = 30
"""About a day of asking; then somebody has to call the rail."""


async def query_unclear(deps: Deps) -> int:
    """
    Ask about one batch of open attempts; return how many it held.

    Only a query or a verified notification leaves ``unknown``; a rail that never received
    an order gets it again under the same number, if the debit gate still lets it pass.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        claimed = await attempts.claim_to_query(
            conn, now=now, until=now + ANSWER_WAIT, limit=deps.terms.batch
        )
    if not claimed:
        return 0
    bound = asyncio.Semaphore(deps.terms.in_flight)
    sent: set[UUID] = set()

    async def ask(attempt: Attempt) -> Learned:
        async with bound:
            return Learned(attempt, await _find_out(deps, attempt, sent, now=now))

    learned = list(await asyncio.gather(*(ask(attempt) for attempt in claimed)))
    await settle_all(deps, learned, actor=Actor.QUERY)
    beats = [
        (one.attempt.rail, beat_of(one.finding, charge=one.attempt.attempt_id in sent))
        for one in learned
    ]
    await feel_rails(deps, beats, now=deps.clock.now())
    await _call_for_help(deps, learned, now=now)
    return len(claimed)


async def _find_out(deps: Deps, attempt: Attempt, sent: set[UUID], *, now: datetime) -> Finding:
    """Return what the rail knows; what had to be sent again is added to *sent*."""
    rail = deps.rails[attempt.rail]
    try:
        finding = await rail.query(attempt)
        if isinstance(finding, Pending) and finding.unpaid and _must_end(attempt, now):
            await rail.close(attempt)
            finding = await rail.query(attempt)
        if not isinstance(finding, NotFound):
            return finding
        if attempt.kind is AttemptKind.PAY_NOW:
            return _never_opened(attempt, now)
        return await _send_again(deps, attempt, sent, now=now)
    except Exception:
        log.exception("charge.query_failed", attempt_id=str(attempt.attempt_id))
        return Unclear("query_failed")


def _must_end(attempt: Attempt, now: datetime) -> bool:
    """An automatic order waits for nobody; a customer has until it expires."""
    return attempt.kind is AttemptKind.AUTOMATIC or attempt.expires_at <= now


def _never_opened(attempt: Attempt, now: datetime) -> Finding:
    if attempt.expires_at <= now:
        return Failed(FailureClass.NEEDS_CUSTOMER, EXPIRED)
    return Unclear("not_opened")


async def _send_again(deps: Deps, attempt: Attempt, sent: set[UUID], *, now: datetime) -> Finding:
    async with deps.db.connection() as conn:
        (instalment,) = await instalments.by_ids(conn, [attempt.instalment_id])
        facts = (await gather_facts(conn, [instalment], deps, now=now))[attempt.instalment_id]
    reasons = refusals(replace(facts, open_elsewhere=False, repeated=True))
    mandate = facts.mandate
    same = mandate is not None and mandate.rail_agreement_no == attempt.rail_agreement_no
    if same and reasons == (Refusal.RAIL_RESTING,) and await _may_probe(deps, attempt, now=now):
        reasons = ()
    if reasons or not same:
        log.info("charge.not_repeated", reasons=list(reasons))
        return _never_arrived(attempt, now)
    async with deps.db.transaction() as conn:
        # Its life at the rail begins anew; ours must not be over sooner.
        await attempts.renew(conn, attempt.attempt_id, expires_at=now + ATTEMPT_LIFE)
    sent.add(attempt.attempt_id)
    return await deps.rails[attempt.rail].charge(attempt)


async def _may_probe(deps: Deps, attempt: Attempt, *, now: datetime) -> bool:
    """Return whether this very order may find out if a resting rail takes orders again."""
    async with deps.db.transaction() as conn:
        return await breakers.claim_probe(conn, attempt.rail, now=now, until=now + PROBE_WAIT)


def _never_arrived(attempt: Attempt, now: datetime) -> Finding:
    """
    An order that may not be repeated is dead only when it could no longer be booked.

    A straggler on the wire may still reach the rail while the order lives; another
    number before then could charge twice (source: Alipay, timeout_express).
    """
    if attempt.expires_at <= now:
        return Failed(FailureClass.RETRY_LATER, NOT_ARRIVED)
    return Unclear("not_repeated")


async def _call_for_help(deps: Deps, learned: list[Learned], *, now: datetime) -> None:
    """Open a task for what has been asked about too often; once each, whoever missed it."""
    for one in learned:
        if not isinstance(one.finding, Unclear | Pending):
            continue
        if one.attempt.queries < ASK_PERSON_AFTER_QUERIES:
            continue
        async with deps.db.transaction() as conn:
            agreement = await agreements.lock(conn, one.attempt.agreement_id)
            await announce.open_task(
                conn,
                TaskKind.CHARGE_UNCLEAR,
                one.attempt.attempt_id,
                agreement,
                one.attempt.instalment_id,
                detail=one.attempt.trade_no,
                now=now,
            )
