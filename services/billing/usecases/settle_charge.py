"""Record what was learned of attempts, and announce it: answers, queries, notifications alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.attempt import Attempt, AttemptState
from services.billing.domain.findings import Finding
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import Instalment
from services.billing.domain.refund import Refund, RefundState
from services.billing.domain.settlement import Case, Happening, settle
from services.billing.domain.task import Outcome, TaskKind
from services.billing.domain.trade_no import refund_no
from services.billing.store import (
    agreements,
    attempts,
    changes,
    history,
    instalments,
    refunds,
)
from services.billing.store.changes import WaitingTerms
from services.billing.usecases import announce
from services.billing.usecases.close_tasks import close_manual_checks, end_dunning
from services.billing.usecases.follow_waiting import Followed, follow, write_followed
from shared import outbox
from shared.db import Connection
from shared.events import Event
from shared.ids import derived_id
from shared.rails.permissions import Permission

log = structlog.get_logger()

SURPLUS_REASON = "重复收款退回"


@dataclass(frozen=True, slots=True)
class Learned:
    """One finding about one attempt."""

    attempt: Attempt
    finding: Finding


UNSETTLED_WAIT: Final = timedelta(hours=1)
"""How long an attempt rests whose finding could not be recorded; it is asked about again."""


@dataclass
class _Batch:
    agreements: dict[UUID, Agreement]
    instalments: dict[UUID, Instalment]
    attempts: dict[UUID, Attempt]
    cases: list[Case] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    waiting: dict[UUID, WaitingTerms] = field(default_factory=dict)
    clear: list[UUID] = field(default_factory=list)
    followed: list[Followed] = field(default_factory=list)


async def settle_all(deps: Deps, learned: Sequence[Learned], *, actor: Actor) -> None:
    """
    Settle a batch in one transaction; if that fails, each by itself.

    What cannot be settled even alone harms no other: it is logged, stays as it was and is
    asked about again later.
    """
    now = deps.clock.now()
    try:
        async with deps.db.transaction() as conn:
            await settle_charges(conn, learned, deps, now=now, actor=actor)
    except Exception:
        log.exception("charges.batch_unsettled", count=len(learned))
    else:
        return
    for one in learned:
        try:
            async with deps.db.transaction() as conn:
                await settle_charges(conn, [one], deps, now=now, actor=actor)
        except Exception:
            log.exception("charge.unsettled", attempt_id=str(one.attempt.attempt_id))
            async with deps.db.transaction() as conn:
                await attempts.ask_later(conn, one.attempt.attempt_id, at=now + UNSETTLED_WAIT)


async def settle_charges(
    conn: Connection, learned: Sequence[Learned], deps: Deps, *, now: datetime, actor: Actor
) -> None:
    """
    Settle a batch of attempts under their agreements' locks; repeats safely.

    What was settled before, by whomever, stays; money that arrived second is sent back.
    """
    batch = await _lock(conn, learned)
    for one in learned:
        _settle_one(batch, one, deps, now=now, actor=actor)
    await attempts.save(conn, list(batch.attempts.values()))
    changed = {case.instalment.instalment_id for case in batch.cases}
    await instalments.save(conn, [batch.instalments[instalment_id] for instalment_id in changed])
    moved = {case.agreement.agreement_id for case in batch.cases}
    await agreements.save(conn, [batch.agreements[agreement_id] for agreement_id in moved])
    await history.add(conn, batch.moves)
    await write_followed(conn, batch.clear, batch.followed, now=now)
    await _after_money(conn, batch, now=now)
    await outbox.add(conn, *batch.events)


async def _lock(conn: Connection, learned: Sequence[Learned]) -> _Batch:
    locked = await agreements.lock_many(conn, sorted({one.attempt.agreement_id for one in learned}))
    found = await attempts.by_ids(conn, [one.attempt.attempt_id for one in learned])
    about = await instalments.by_ids(conn, list({one.instalment_id for one in found}))
    return _Batch(
        {agreement.agreement_id: agreement for agreement in locked},
        {instalment.instalment_id: instalment for instalment in about},
        {attempt.attempt_id: attempt for attempt in found},
        waiting=await changes.waiting(conn, [one.instalment_id for one in about]),
    )


def _settle_one(batch: _Batch, one: Learned, deps: Deps, *, now: datetime, actor: Actor) -> None:
    before = batch.attempts[one.attempt.attempt_id]
    case = Case(
        batch.agreements[before.agreement_id], batch.instalments[before.instalment_id], before
    )
    permission = deps.permissions[before.rail, before.product]
    after = settle(case, one.finding, now=now, permission=permission, ladder=deps.terms.ladder)
    after = _follow(batch, case, after, now=now, permission=permission)
    batch.attempts[before.attempt_id] = after.attempt
    if after.attempt.state is not before.state:
        batch.moves += _moves(case, after, one.finding, now=now, actor=actor)
    if after.instalment is case.instalment and after.agreement is case.agreement:
        if after.happenings:
            batch.cases.append(after)
        return
    batch.agreements[before.agreement_id] = after.agreement
    batch.instalments[before.instalment_id] = after.instalment
    batch.cases.append(after)
    batch.events += announce.events_of(after, now=now, pay_url_base=deps.terms.pay_url_base)


def _follow(
    batch: _Batch, case: Case, after: Case, *, now: datetime, permission: Permission
) -> Case:
    waiting = batch.waiting.get(case.instalment.instalment_id)
    if waiting is None or after.attempt.state not in {AttemptState.SUCCEEDED, AttemptState.FAILED}:
        return after
    batch.clear.append(waiting.instalment_id)
    moved = follow(case, after, waiting, now=now, permission=permission)
    if moved is not after:
        batch.followed.append(Followed(case.instalment, moved, waiting.reason))
    return moved


def _moves(
    before: Case, after: Case, finding: Finding, *, now: datetime, actor: Actor
) -> list[Move]:
    reason = after.attempt.failure_code or type(finding).__name__.lower()
    about = after.instalment.instalment_id
    moves = [
        Move(
            "attempt",
            after.attempt.attempt_id,
            about,
            before.attempt.state,
            after.attempt.state,
            actor,
            reason,
            now,
        )
    ]
    if after.instalment.state is not before.instalment.state:
        moves.append(
            Move(
                "instalment",
                about,
                about,
                before.instalment.state,
                after.instalment.state,
                actor,
                reason,
                now,
            )
        )
    return moves


async def _after_money(conn: Connection, batch: _Batch, *, now: datetime) -> None:
    collected = [case for case in batch.cases if Happening.COLLECTED in case.happenings]
    settled = [case for case in collected if Happening.OVERDUE_SETTLED in case.happenings]
    await end_dunning(
        conn, [case.instalment.instalment_id for case in settled], Outcome.PAID, now=now
    )
    await _after_risk(conn, batch, now=now)
    done = {case.agreement.agreement_id for case in collected}
    if done:
        batch.events += [
            announce.fully_paid(agreement, now=now)
            for agreement in await agreements.mark_fully_paid(conn, list(done))
        ]
    for case in batch.cases:
        if Happening.SURPLUS in case.happenings:
            await refunds.add(conn, [_surplus_refund(case.attempt, now=now)])
            log.warning("charge.surplus", attempt_id=str(case.attempt.attempt_id))
        if Happening.OURS_TO_LOOK_AT in case.happenings:
            await announce.open_task(
                conn,
                TaskKind.CHARGE_REFUSED_FOR_US,
                case.instalment.instalment_id,
                case.agreement,
                case.instalment.instalment_id,
                detail=case.attempt.failure_code or "",
                now=now,
            )


async def _after_risk(conn: Connection, batch: _Batch, *, now: datetime) -> None:
    """Let a person look at what was flagged (rules WH-14, C4), and nobody once it is clear."""
    cleared = [case for case in batch.cases if Happening.RISK_CLEARED in case.happenings]
    await close_manual_checks(
        conn, [case.agreement.agreement_id for case in cleared], Outcome.PAID, now=now
    )
    for case in batch.cases:
        if Happening.RISK_FLAGGED in case.happenings:
            await announce.open_task(
                conn,
                TaskKind.MANUAL_CHECK,
                f"{case.agreement.agreement_id}:{case.instalment.seq}",
                case.agreement,
                case.instalment.instalment_id,
                detail=f"{case.agreement.failed_periods} periods failed in a row",
                now=now,
            )


def _surplus_refund(attempt: Attempt, *, now: datetime) -> Refund:
    refund_id = derived_id("surplus", attempt.attempt_id)
    return Refund(
        refund_id=refund_id,
        refund_no=refund_no(refund_id),
        attempt_id=attempt.attempt_id,
        instalment_id=attempt.instalment_id,
        agreement_id=attempt.agreement_id,
        merchant_id=attempt.merchant_id,
        customer_id=attempt.customer_id,
        settlement_id=None,
        rail=attempt.rail,
        amount_fen=attempt.amount_fen,
        reason=SURPLUS_REASON,
        state=RefundState.WAITING,
        created_at=now,
        next_at=now,
    )
