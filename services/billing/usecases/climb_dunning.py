"""The daily steps after a missed period, never at night and never before their day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from services.billing.contract import InstalmentOverdue
from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.collectible import Balance, collectible
from services.billing.domain.contact_rules import WEEK, Contact, ContactKind, Direction
from services.billing.domain.dunning import (
    EXTENSION_DAYS,
    POLICIES,
    TASK_WHERE_NOTHING_IS_OWED,
    TEXT_WHERE_NOTHING_IS_OWED,
    Rung,
    Step,
    step_at,
    step_moment,
)
from services.billing.domain.dunning_case import (
    Decision,
    DunningCase,
    DunningFacts,
    Verdict,
    decide,
)
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import Instalment
from services.billing.domain.task import TaskKind
from services.billing.store import agreements, contacts, dunning_cases, history, instalments, tasks
from services.billing.store.dunning_cases import Choice
from services.billing.usecases import announce
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.ids import derived_id

MADE_BY = "dunning"


@dataclass
class _Climb:
    """One batch: what is known, and what is to be written."""

    deps: Deps
    now: datetime
    agreements: Mapping[UUID, Agreement]
    cases: dict[UUID, DunningCase]
    balances: Mapping[UUID, Balance]
    contacts: list[Contact]
    followed: set[UUID]
    """Instalments that somebody follows up already."""
    made: list[Contact] = field(default_factory=list)
    events: list[InstalmentOverdue] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)


async def climb_dunning(deps: Deps) -> int:
    """
    Take one step for each overdue instalment of a batch; return how many there were.

    A step that hours, caps, a promise or a claim forbid waits for the first moment at which
    it may be taken, and is not dropped; one for money that nobody owes is left out.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await instalments.claim_to_dun(conn, now=now, limit=deps.terms.batch)
        climb = await _look(conn, deps, due, now=now)
        changed = [await _one(conn, climb, one) for one in due]
        await instalments.save(conn, changed)
        await dunning_cases.save(conn, list(climb.cases.values()))
        await contacts.add(conn, climb.made)
        await history.add(conn, climb.moves)
        await outbox.add(conn, *climb.events)
    return len(due)


async def _look(
    conn: Connection, deps: Deps, due: Sequence[Instalment], *, now: datetime
) -> _Climb:
    ids = [one.instalment_id for one in due]
    agreement_ids = list({one.agreement_id for one in due})
    known = {one.agreement_id: one for one in await agreements.by_ids(conn, agreement_ids)}
    await contacts.lock_customers(conn, [one.customer_id for one in due])
    chosen = await dunning_cases.choices(conn, list({one.merchant_id for one in due}))
    fresh = [_case(one, chosen.get(one.merchant_id), deps, now=now) for one in due]
    await dunning_cases.open_many(conn, [case for case in fresh if case is not None])
    customers = [(one.merchant_id, one.customer_id) for one in due]
    return _Climb(
        deps=deps,
        now=now,
        agreements=known,
        cases=await dunning_cases.open_of(conn, ids),
        balances=await dunning_cases.balances(conn, agreement_ids, today=day_in_china(now)),
        contacts=await contacts.since(conn, customers, since=now - WEEK - timedelta(days=1)),
        followed={
            task.instalment_id
            for task in await tasks.open_of_instalments(conn, ids)
            if task.kind in {TaskKind.FOLLOW_UP, TaskKind.SERVICE_CALL, TaskKind.PROMISE_BROKEN}
            and task.instalment_id is not None
        },
    )


def _case(
    instalment: Instalment, chosen: Choice | None, deps: Deps, *, now: datetime
) -> DunningCase | None:
    since = instalment.overdue_since
    if since is None:
        return None
    policy = POLICIES[deps.terms.dunning if chosen is None else chosen.preset]
    return DunningCase(
        case_id=derived_id("dunning", instalment.instalment_id, since),
        instalment_id=instalment.instalment_id,
        agreement_id=instalment.agreement_id,
        merchant_id=instalment.merchant_id,
        customer_id=instalment.customer_id,
        overdue_since=since,
        preset=policy.preset,
        preset_version=policy.version,
        merchant_version=0 if chosen is None else chosen.version,
        ladder=policy.steps,
        opened_at=now,
    )


async def _one(conn: Connection, climb: _Climb, instalment: Instalment) -> Instalment:
    case = climb.cases.get(instalment.instalment_id)
    if case is None:
        return replace(instalment, next_dunning_at=None)
    case = await _broken_promise(conn, climb, instalment, case)
    agreement = climb.agreements[instalment.agreement_id]
    owed = collectible(agreement.legal_type, climb.balances[agreement.agreement_id])
    own = [one for one in climb.contacts if one.customer_id == instalment.customer_id]
    facts = DunningFacts(instalment, agreement, case, own, owed)
    decision = decide(facts, now=climb.now)
    match decision.verdict:
        case Verdict.END:
            return replace(instalment, next_dunning_at=None)
        case Verdict.WAIT:
            return replace(instalment, next_dunning_at=decision.until)
        case Verdict.SKIP:
            _note(climb, facts, decision, "nothing is owed")
            return _next(instalment, case)
        case Verdict.DEMAND:
            await _take(conn, climb, facts, _demand(climb, case))
            return instalment  # the step itself waits until the days of grace are over
        case Verdict.TAKE:
            assert decision.step is not None
            await _take(conn, climb, facts, decision.step)
            return _next(_extended(instalment, decision.step, climb.now), case)
        case _:
            assert_never(decision.verdict)


async def _broken_promise(
    conn: Connection, climb: _Climb, instalment: Instalment, case: DunningCase
) -> DunningCase:
    """Let somebody ask again when the promised day went by without the money."""
    if case.promised_on is None or day_in_china(climb.now) <= case.promised_on:
        return case
    agreement = climb.agreements[instalment.agreement_id]
    if agreement.holds:
        return case
    climb.followed.add(instalment.instalment_id)
    await announce.open_task(
        conn,
        TaskKind.PROMISE_BROKEN,
        f"{instalment.instalment_id}:{case.promised_on}",
        agreement,
        instalment.instalment_id,
        detail=f"promised for {case.promised_on}",
        now=climb.now,
    )
    case = replace(case, promised_on=None)
    climb.cases[instalment.instalment_id] = case
    return case


def _demand(climb: _Climb, case: DunningCase) -> Step:
    days = (day_in_china(climb.now) - case.overdue_since).days
    return Step(days, Rung.DEMAND, "demand")


def _extended(instalment: Instalment, step: Step, now: datetime) -> Instalment:
    if step.rung is not Rung.EXTENSION:
        return instalment
    return replace(instalment, extended_until=day_in_china(now) + timedelta(days=EXTENSION_DAYS))


def _next(instalment: Instalment, case: DunningCase) -> Instalment:
    following = step_at(case.ladder, instalment.rung + 1)
    moment = None if following is None else step_moment(following, overdue_since=case.overdue_since)
    return replace(instalment, rung=instalment.rung + 1, next_dunning_at=moment)


async def _take(conn: Connection, climb: _Climb, facts: DunningFacts, step: Step) -> None:
    instalment, case = facts.instalment, facts.case
    if step.rung is Rung.DEMAND:
        climb.cases[instalment.instalment_id] = replace(case, demanded_on=day_in_china(climb.now))
    event = _event(climb, facts, step)
    climb.events.append(event)
    if event.text:
        contact = _contact(event, facts.agreement, climb.now)
        climb.made.append(contact)
        climb.contacts.append(contact)
    await _ask_staff(conn, climb, facts, step)


def _event(climb: _Climb, facts: DunningFacts, step: Step) -> InstalmentOverdue:
    instalment, text = facts.instalment, step.text
    if facts.collectible_fen == 0:
        text = TEXT_WHERE_NOTHING_IS_OWED.get(text, text)
    late = (day_in_china(climb.now) - facts.case.overdue_since).days
    return InstalmentOverdue(
        event_id=derived_id(
            "overdue",
            instalment.instalment_id,
            facts.case.overdue_since,
            step.rung,
            instalment.rung,
        ),
        occurred_at=climb.now,
        days_late=late,
        rung=step.rung.value,
        pay_url=climb.deps.terms.pay_url_base + instalment.pay_token,
        text=text,
        channels=step.channels if text else (),
        collectible_fen=facts.collectible_fen,
        **announce.of_instalment(instalment),
    )


def _contact(event: InstalmentOverdue, agreement: Agreement, now: datetime) -> Contact:
    return Contact(
        contact_id=derived_id("contact", event.event_id),
        merchant_id=agreement.merchant_id,
        customer_id=agreement.customer_id,
        agreement_id=agreement.agreement_id,
        instalment_id=event.instalment_id,
        task_id=None,
        kind=ContactKind.MESSAGE,
        direction=Direction.OUTGOING,
        channels=event.channels,
        about=f"{event.rung}.{event.days_late}",
        outcome=None,
        made_by=MADE_BY,
        made_at=now,
    )


async def _ask_staff(conn: Connection, climb: _Climb, facts: DunningFacts, step: Step) -> None:
    kind, instalment_id = step.task, facts.instalment.instalment_id
    if kind is None:
        return
    if facts.collectible_fen == 0:
        kind = TASK_WHERE_NOTHING_IS_OWED.get(kind, kind)
    if step.rung is Rung.STAFF_TASK and instalment_id in climb.followed:
        return  # whoever follows it up already goes on
    await announce.open_task(
        conn,
        kind,
        f"{instalment_id}:{facts.case.overdue_since}:{step.days_late}",
        facts.agreement,
        instalment_id,
        detail=f"{step.days_late} days late, {facts.collectible_fen} fen collectible",
        now=climb.now,
    )


def _note(climb: _Climb, facts: DunningFacts, decision: Decision, why: str) -> None:
    """Keep that a step was left out: silence is part of the evidence too."""
    instalment = facts.instalment
    step = decision.step
    climb.moves.append(
        Move(
            "dunning",
            facts.case.case_id,
            instalment.instalment_id,
            instalment.state,
            instalment.state,
            Actor.JOB,
            f"{step.rung if step else ''} left out: {why}",
            climb.now,
        )
    )
