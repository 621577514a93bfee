"""Staff take a task, report what came of it, and what they report has consequences."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from services.billing.deps import Deps
from services.billing.domain.claim import Claim, ClaimKind, settle
from services.billing.domain.contact_rules import Direction, Person
from services.billing.domain.dunning import DUNNING_HOUR
from services.billing.domain.errors import (
    ContactRefused,
    ContactThirdParty,
    DisputeRefundMissing,
    OutcomeUnfit,
    TaskClosedAlready,
)
from services.billing.domain.task import TALK, Outcome, Result, Task, TaskKind, record
from services.billing.store import agreements, claims, contacts, dunning_cases, instalments, tasks
from services.billing.usecases.close_tasks import tell_closed
from services.billing.usecases.handle_claims import Report, close_claim, open_claim
from services.billing.usecases.record_contact import Speaking, note_refusal, record_contact
from shared.calendar import at_in_china, day_in_china
from shared.db import Connection
from shared.ids import derived_id


@dataclass(frozen=True, slots=True)
class Told:
    """What staff tell of a task; a call's ``contact_id`` makes it count once."""

    result: Result
    contact_id: UUID
    person: Person = Person.CUSTOMER
    direction: Direction = Direction.OUTGOING


async def assign_task(conn: Connection, merchant_id: UUID, task_id: UUID, assignee: str) -> Task:
    """
    Give a task to a member of staff, or to another one; repeats safely.

    Raises:
        TaskUnknown: There is none, or it is another merchant's.
        TaskClosedAlready: It is closed.
    """
    task = await tasks.lock(conn, merchant_id, task_id)
    if task.closed_at is not None:
        raise TaskClosedAlready("This task is closed.", task_id=task_id)
    after = replace(task, assignee=assignee)
    await tasks.save(conn, [after])
    return after


async def record_outcome(deps: Deps, merchant_id: UUID, task_id: UUID, told: Told) -> Task:
    """
    Record what came of a task: close it, pause the ladder, or open a claim; repeats safely.

    Raises:
        TaskUnknown, TaskClosedAlready, OutcomeUnfit, PromiseUnfit: It cannot be so.
        ContactThirdParty, ContactRefused: The call must not be made; it is noted.
        DisputeRefundMissing: A wrong debit has not gone back in full.
    """
    async with deps.db.connection() as conn:
        before = await tasks.find(conn, merchant_id, task_id)
        if await _told_before(conn, before, told):
            return before
    try:
        async with deps.db.transaction() as conn:
            return await _record(conn, deps, before, told)
    except (ContactThirdParty, ContactRefused) as error:
        await note_refusal(deps, before.agreement_id, before.instalment_id, error)
        raise


async def _told_before(conn: Connection, task: Task, told: Told) -> bool:
    """Return whether this very report closed the task: the caller lost our answer."""
    said = (task.outcome, task.recorded_by, task.promised_on)
    result = told.result
    if task.closed_at is None or said != (result.outcome, result.recorded_by, result.promised_on):
        return False
    return result.outcome not in TALK or await contacts.stands(conn, told.contact_id)


async def _record(conn: Connection, deps: Deps, seen: Task, told: Told) -> Task:
    now = deps.clock.now()
    await agreements.lock(conn, seen.agreement_id)
    task = await tasks.lock(conn, seen.merchant_id, seen.task_id)
    after = record(task, told.result, today=day_in_china(now), now=now)
    if told.result.outcome in TALK:
        await record_contact(conn, task.merchant_id, _speaking(task, told), now=now)
    await tasks.save(conn, [after])
    await tell_closed(conn, [after], now=now)
    await _follow(conn, deps, after, told.result, now=now)
    return after


async def _follow(
    conn: Connection, deps: Deps, task: Task, result: Result, *, now: datetime
) -> None:
    match result.outcome:
        case Outcome.PROMISE_TO_PAY:
            await _pause_until_promise(conn, task, result)
        case Outcome.HARDSHIP:
            await open_claim(
                conn, deps, task.merchant_id, _report(task, ClaimKind.HARDSHIP, result)
            )
        case Outcome.DISPUTE:
            await open_claim(conn, deps, task.merchant_id, _report(task, ClaimKind.DISPUTE, result))
        case Outcome.DONE:
            await _finish_claim(conn, deps, task, now=now)
        case (
            Outcome.REACHED
            | Outcome.NOT_REACHED
            | Outcome.WRONG_NUMBER
            | Outcome.PAID
            | Outcome.ENDED
            | Outcome.CLEARED
            | Outcome.ANSWERED
        ):
            return
        case _:
            assert_never(result.outcome)


async def _pause_until_promise(conn: Connection, task: Task, result: Result) -> None:
    promised = result.promised_on
    found = await dunning_cases.open_of(conn, [task.instalment_id] if task.instalment_id else [])
    if promised is None or task.instalment_id is None or not found:
        raise OutcomeUnfit("Nothing is overdue that could be promised.", task_id=task.task_id)
    await dunning_cases.save(conn, [replace(case, promised_on=promised) for case in found.values()])
    about = await instalments.find(conn, task.merchant_id, task.instalment_id)
    look_again = at_in_china(promised + timedelta(days=1), DUNNING_HOUR)
    await instalments.save(conn, [replace(about, next_dunning_at=look_again)])


async def _finish_claim(conn: Connection, deps: Deps, task: Task, *, now: datetime) -> None:
    if task.claim_id is None or task.kind not in {TaskKind.APPLY_PAUSE, TaskKind.REFUND_OWED}:
        return
    claim = await claims.find(conn, task.merchant_id, task.claim_id)
    result = "pause_entered"
    if task.kind is TaskKind.REFUND_OWED:
        await _require_refund(conn, claim)
        result = "refunded"
    await close_claim(conn, deps, settle(claim, result, now=now))


async def _require_refund(conn: Connection, claim: Claim) -> None:
    assert claim.instalment_id is not None
    missing = await claims.not_returned(conn, claim.instalment_id)
    if missing > 0:
        raise DisputeRefundMissing("The charge has not gone back in full.", missing_fen=missing)


def _speaking(task: Task, told: Told) -> Speaking:
    return Speaking(
        contact_id=told.contact_id,
        agreement_id=task.agreement_id,
        instalment_id=task.instalment_id,
        task_id=task.task_id,
        staff=told.result.recorded_by,
        about=task.kind.value,
        person=told.person,
        direction=told.direction,
        outcome=told.result.outcome.value,
    )


def _report(task: Task, kind: ClaimKind, result: Result) -> Report:
    return Report(
        claim_id=derived_id("claim", task.task_id, kind),
        kind=kind,
        agreement_id=task.agreement_id,
        instalment_id=task.instalment_id,
        reason=f"told_staff_in_{task.kind.value}",
        by=result.recorded_by,
    )
