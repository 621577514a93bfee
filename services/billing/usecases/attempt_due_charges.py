"""Take the money: claim what is due, pass the gate, write, ask the rail, record."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, assert_never
from uuid import UUID

import structlog

from services.billing.deps import Deps
from services.billing.domain.attempt import (
    ANSWER_WAIT,
    ATTEMPT_LIFE,
    Attempt,
    AttemptKind,
    AttemptState,
)
from services.billing.domain.breaker import OPEN_AFTER, PROBE_WAIT, beat_of
from services.billing.domain.charge_calendar import (
    FIRST_CHARGE_AFTER,
    LOOK_AGAIN,
    charge_moment,
    next_slot,
    plan_day,
)
from services.billing.domain.debit_gate import (
    GateFacts,
    Refusal,
    grant_refusals,
    order_open_since,
    plan_admits,
    refusals,
)
from services.billing.domain.findings import Finding, Unclear
from services.billing.domain.gate_action import GateAction, action
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import Instalment, InstalmentMove, moved
from services.billing.domain.mandate import Mandate
from services.billing.domain.postponement import postpone
from services.billing.domain.settlement import give_up
from services.billing.domain.task import TaskKind
from services.billing.domain.trade_no import trade_no
from services.billing.store import agreements, attempts, breakers, history, instalments
from services.billing.usecases import announce
from services.billing.usecases.feel_rails import feel_rails
from services.billing.usecases.gather_facts import gather_facts
from services.billing.usecases.grant_free_month import (
    granted,
    granted_event,
    tell_if_all_is_paid,
)
from services.billing.usecases.settle_charge import Learned, settle_all
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.events import Event
from shared.ids import derived_id

log = structlog.get_logger()

HELD_BACK: Final = "rail_resting"
"""Why an order that was written down has not been sent: the rail had stopped answering."""


_NOT_TODAY: Final = frozenset(
    {Refusal.CHARGED_TODAY, Refusal.RAIL_DAY_CEILING, Refusal.RAIL_MONTH_CEILING}
)


TOO_LATE: Final = "claim_over"
"""Why an order was not sent by the worker that claimed it."""


@dataclass(frozen=True, slots=True)
class PlanMove:
    """A plan date at the rail that has to follow a charge date."""

    agreement_id: UUID
    instalment_id: UUID
    rail: str
    product: str
    rail_agreement_no: str
    on: date
    """The day on which the charge is wanted."""
    day: date
    """What the plan is to be moved to: the same day, or the next that a plan can hold."""


@dataclass
class _Run:
    """What one claim decided; written in one transaction."""

    now: datetime
    deps: Deps
    attempts: list[Attempt] = field(default_factory=list)
    changed: dict[UUID, Instalment] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    refused: list[tuple[Instalment, Sequence[Refusal], GateAction]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    plans: list[PlanMove] = field(default_factory=list)
    granted: set[UUID] = field(default_factory=set)
    """Agreements of which a free month was given."""


async def attempt_due_charges(deps: Deps) -> int:
    """
    Attempt some batches at once; return how many instalments they held.

    While one batch waits for the database another waits for the rails.
    """
    lanes = [_attempt_batch(deps) for _ in range(deps.terms.lanes)]
    counts = await asyncio.gather(*lanes, return_exceptions=True)
    for failed in counts:
        if isinstance(failed, BaseException):
            raise failed
    return sum(count for count in counts if isinstance(count, int))


async def _attempt_batch(deps: Deps) -> int:
    """
    Claim and commit, ask the rails, record and commit.

    No transaction is open while a rail is asked.  A crash in between leaves attempts that
    ``query_unclear`` resolves.
    """
    run = await claim_charges(deps)
    if run.attempts:
        await record_answers(deps, await ask_rails(deps, run.attempts))
    if run.plans:
        await asyncio.gather(*(_move_plan(deps, plan) for plan in run.plans))
    return len(run.changed)


async def claim_charges(deps: Deps) -> _Run:
    """Decide about one batch and commit: attempts written, waits and postponements set."""
    run = _Run(deps.clock.now(), deps)
    async with deps.db.transaction() as conn:
        due = await instalments.claim_to_try(conn, now=run.now, limit=deps.terms.batch)
        facts = await gather_facts(conn, due, deps, now=run.now)
        busy: set[UUID] = set()
        for instalment in sorted(due, key=lambda one: (one.agreement_id, one.seq)):
            fact = facts[instalment.instalment_id]
            if instalment.agreement_id in busy:
                fact = replace(fact, charged_today=True)
            await _decide(conn, run, fact, busy)
        await instalments.save(conn, list(run.changed.values()))
        if run.attempts:
            await attempts.add(conn, run.attempts)
        await history.add(conn, run.moves)
        await history.add_refusals(conn, run.refused, now=run.now)
        run.events += await tell_if_all_is_paid(conn, sorted(run.granted), now=run.now)
        await outbox.add(conn, *run.events)
    return run


async def ask_rails(deps: Deps, sent: Sequence[Attempt]) -> list[Learned]:
    """
    Charge with many calls in flight, bounded for each rail; a bug leaves one unclear.

    A rail that stops answering is left alone with the rest of the batch: those orders are
    sent under their numbers when a query shows that they never arrived.  So is what this
    worker comes to only when others may query it already: its claim is over.
    """
    bounds = {rail: asyncio.Semaphore(deps.terms.in_flight) for rail in deps.rails}
    silent: Counter[str] = Counter()

    async def ask(attempt: Attempt) -> Learned:
        async with bounds[attempt.rail]:
            if silent[attempt.rail] >= OPEN_AFTER:
                return Learned(attempt, Unclear(HELD_BACK))
            if attempt.query_at is not None and deps.clock.now() >= attempt.query_at:
                # We were asleep: others may have found out, given up, or taken a new number.
                return Learned(attempt, Unclear(TOO_LATE))
            try:
                finding: Finding = await deps.rails[attempt.rail].charge(attempt)
            except Exception:
                log.exception("charge.call_failed", attempt_id=str(attempt.attempt_id))
                finding = Unclear("call_failed")
            down = beat_of(finding, charge=True).down
            silent[attempt.rail] = 0 if down is None else silent[attempt.rail] + 1
            return Learned(attempt, finding)

    return list(await asyncio.gather(*(ask(attempt) for attempt in sent)))


async def record_answers(deps: Deps, learned: Sequence[Learned]) -> None:
    """Settle what the rails answered, and remember which of them did not."""
    await settle_all(deps, learned, actor=Actor.BILLING_RUN)
    asked = [one for one in learned if one.finding != Unclear(HELD_BACK)]
    beats = [(one.attempt.rail, beat_of(one.finding, charge=True)) for one in asked]
    await feel_rails(deps, beats, now=deps.clock.now())
    unclear = sum(isinstance(one.finding, Unclear) for one in learned)
    log.info("charges.attempted", count=len(learned), unclear=unclear)


async def _decide(conn: Connection, run: _Run, facts: GateFacts, busy: set[UUID]) -> None:
    instalment = facts.instalment
    reasons = await _reasons(conn, facts)
    what = action(reasons)
    if what is not GateAction.CHARGE:
        run.refused.append((instalment, reasons, what))
    match what:
        case GateAction.CHARGE if instalment.is_free:
            _grant(run, facts)
        case GateAction.CHARGE:
            busy.add(instalment.agreement_id)
            _start(run, facts)
        case GateAction.DROP:
            _change(run, instalment, replace(instalment, next_try_at=None), reasons)
        case GateAction.WAIT:
            _wait(run, facts, _wait_until(facts, reasons), reasons)
        case GateAction.HOLD:
            tomorrow = day_in_china(run.now) + timedelta(days=1)
            _wait(run, facts, charge_moment(instalment.instalment_id, tomorrow), reasons)
        case GateAction.GIVE_UP:
            _give_up(run, facts, reasons)
        case GateAction.POSTPONE:
            await _postpone(conn, run, facts, reasons)
        case GateAction.MOVE_PLAN:
            await _follow_plan(conn, run, facts, reasons)
        case _:
            assert_never(what)


def _grant(run: _Run, facts: GateFacts) -> None:
    after = granted(facts.instalment, now=run.now)
    _change(run, facts.instalment, after, ("free_month",))
    run.events.append(granted_event(after, facts.agreement, now=run.now))
    run.granted.add(after.agreement_id)


async def _reasons(conn: Connection, facts: GateFacts) -> tuple[Refusal, ...]:
    """Return what stands against a charge; one order may find out if a resting rail is back."""
    if facts.instalment.is_free:
        return grant_refusals(facts)
    reasons, mandate, now = refusals(facts), facts.mandate, facts.now
    # A plan that has to move first finds out as well; else nothing would where all have to.
    if set(reasons) - {Refusal.PLAN_ELSEWHERE} != {Refusal.RAIL_RESTING} or mandate is None:
        return reasons
    probes = await breakers.claim_probe(conn, mandate.rail, now=now, until=now + PROBE_WAIT)
    return tuple(one for one in reasons if one is not Refusal.RAIL_RESTING) if probes else reasons


def _start(run: _Run, facts: GateFacts) -> None:
    instalment, mandate = facts.instalment, facts.mandate
    assert mandate is not None
    attempt = new_attempt(
        instalment, mandate, AttemptKind.AUTOMATIC, facts.agreement.plan_name, now=run.now
    )
    run.attempts.append(attempt)
    after = replace(
        instalment,
        state=moved(instalment.state, InstalmentMove.COLLECT),
        tries=attempt.attempt_no,
        auto_tries=instalment.auto_tries + 1,
        first_tried_at=instalment.first_tried_at or run.now,
        next_try_at=None,
        next_notice_at=None,
    )
    _change(run, instalment, after, ("due",))


def new_attempt(
    instalment: Instalment,
    mandate: Mandate,
    kind: AttemptKind,
    plan_name: str,
    *,
    now: datetime,
    life: timedelta = ATTEMPT_LIFE,
    penalty_fen: int = 0,
) -> Attempt:
    """Return the next attempt of *instalment*, as it is written before the rail is asked."""
    number = instalment.tries + 1
    known_as = trade_no(instalment.agreement_id, instalment.seq, number)
    return Attempt(
        # The same order has the same id, also in a database that was restored and forgot it.
        attempt_id=derived_id("attempt", known_as),
        instalment_id=instalment.instalment_id,
        agreement_id=instalment.agreement_id,
        merchant_id=instalment.merchant_id,
        customer_id=instalment.customer_id,
        attempt_no=number,
        trade_no=known_as,
        kind=kind,
        rail=mandate.rail,
        product=mandate.product,
        amount_fen=instalment.amount_fen + penalty_fen,
        rail_agreement_no=mandate.rail_agreement_no,
        payer_no=mandate.payer_no,
        payee_no=mandate.payee_no,
        description=describe(plan_name, instalment),
        state=AttemptState.SENT,
        on_day=day_in_china(now),
        created_at=now,
        expires_at=now + life,
        query_at=now + ANSWER_WAIT,
        penalty_fen=penalty_fen,
    )


def describe(plan_name: str, instalment: Instalment) -> str:
    """Return what the customer reads at the rail; rails forbid some signs and long titles."""
    clean = "".join(sign for sign in plan_name if sign.isalnum() or sign in " ·-")[:24]
    if instalment.is_down_payment:
        return f"{clean} 首付款"
    return f"{clean} 第{instalment.seq}期共{instalment.periods}期"


def _change(run: _Run, before: Instalment, after: Instalment, reasons: Sequence[str]) -> None:
    run.changed[after.instalment_id] = after
    if before.state is not after.state:
        run.moves.append(
            Move(
                "instalment",
                after.instalment_id,
                after.instalment_id,
                before.state,
                after.state,
                Actor.BILLING_RUN,
                " ".join(reasons),
                run.now,
            )
        )


def _wait(run: _Run, facts: GateFacts, until: datetime, reasons: Sequence[Refusal]) -> None:
    instalment = facts.instalment
    state = moved(instalment.state, InstalmentMove.WAIT)
    _change(run, instalment, replace(instalment, state=state, next_try_at=until), reasons)


def _wait_until(facts: GateFacts, reasons: Sequence[Refusal]) -> datetime:
    instalment, now = facts.instalment, facts.now
    moments = [next_slot(now + timedelta(seconds=1))]
    if not _NOT_TODAY.isdisjoint(reasons):
        tomorrow = day_in_china(now) + timedelta(days=1)
        moments.append(charge_moment(instalment.instalment_id, tomorrow))
    if Refusal.DAY_NOT_COME in reasons:
        moments.append(instalment.charge_at)
    if Refusal.TOO_SOON_AFTER_SIGNING in reasons:
        moments.append(next_slot(facts.agreement.signed_at + FIRST_CHARGE_AFTER))
    since, permission = order_open_since(facts), facts.permission
    if Refusal.RAIL_ORDER_OPEN in reasons and since is not None and permission is not None:
        moments.append(next_slot(since + timedelta(seconds=permission.accepted_wait_s or 0)))
    return max(moments)


def _give_up(run: _Run, facts: GateFacts, reasons: Sequence[Refusal]) -> None:
    instalment, base = facts.instalment, run.deps.terms.pay_url_base
    after = give_up(instalment, now=run.now, ladder=run.deps.terms.ladder)
    _change(run, instalment, after, reasons)
    if instalment.is_down_payment:
        return  # nobody tried to charge it; the ladder tells the customer that it is late
    run.events.append(
        announce.exhausted(after, facts.agreement, reasons[0], now=run.now, pay_url_base=base)
    )


async def _postpone(
    conn: Connection, run: _Run, facts: GateFacts, reasons: Sequence[Refusal]
) -> None:
    """Give a new day; others of the agreement may have to follow (also ones of this batch)."""
    instalment = facts.instalment
    others = [
        run.changed.get(other.instalment_id, other)
        for other in await instalments.of_agreement(conn, instalment.agreement_id)
        if other.instalment_id != instalment.instalment_id
    ]
    known = {other.instalment_id: other for other in others} | {
        instalment.instalment_id: instalment
    }
    for after in postpone(
        instalment, others, facts.agreement, now=run.now, permission=facts.permission
    ):
        before = known[after.instalment_id]
        _change(run, before, after, reasons)
        run.moves.append(
            Move(
                "instalment",
                after.instalment_id,
                after.instalment_id,
                before.state,
                "postponed",
                Actor.BILLING_RUN,
                f"{before.charge_on}..{after.charge_on}",
                run.now,
            )
        )
        run.events.append(announce.postponed(before, after, reasons[0], now=run.now))


async def _follow_plan(
    conn: Connection, run: _Run, facts: GateFacts, reasons: Sequence[Refusal]
) -> None:
    instalment, mandate, permission = facts.instalment, facts.mandate, facts.permission
    assert mandate is not None
    assert permission is not None
    today, plan_on = day_in_china(run.now), facts.agreement.plan_on
    if plan_on is not None and today < plan_on:
        # A plan moves only later; this period has to wait for its window.
        await _postpone(conn, run, facts, reasons)
        return
    run.plans.append(
        PlanMove(
            instalment.agreement_id,
            instalment.instalment_id,
            mandate.rail,
            mandate.product,
            mandate.rail_agreement_no,
            today,
            plan_day(today, max(permission.charge_days)),
        )
    )
    _wait(run, facts, next_slot(run.now + LOOK_AGAIN), reasons)


async def _move_plan(deps: Deps, plan: PlanMove) -> None:
    """
    Let the rail move its plan; look at the instalment again at once if that opened its window.

    A refusal or a hidden answer leaves it to the next slot, and a person is told.
    """
    try:
        moved_to = await deps.rails[plan.rail].move_plan(plan.rail_agreement_no, plan.day)
    except Exception:
        log.exception("plan.call_failed", agreement_id=str(plan.agreement_id))
        moved_to = None
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        agreement = await agreements.lock(conn, plan.agreement_id)
        if moved_to is not None:
            agreement = replace(agreement, plan_on=moved_to)
            await agreements.save(conn, [agreement])
        (instalment,) = await instalments.by_ids(conn, [plan.instalment_id])
        permission = deps.permissions.get((plan.rail, plan.product))
        if moved_to is None or permission is None or not plan_admits(permission, moved_to, plan.on):
            log.warning("plan.not_moved", agreement_id=str(plan.agreement_id))
            await announce.open_task(
                conn,
                TaskKind.PLAN_NOT_MOVED,
                (plan.instalment_id, instalment.charge_on),
                agreement,
                plan.instalment_id,
                detail=f"{plan.day} wanted, {moved_to or 'unclear'}",
                now=now,
            )
        elif instalment.next_try_at is not None:
            await instalments.save(conn, [replace(instalment, next_try_at=now)])
