"""What a person has to follow up, and what came of it."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.billing.domain.errors import OutcomeUnfit, PromiseUnfit, TaskClosedAlready
from services.billing.domain.working_days import after_working_days


class TaskKind(StrEnum):
    """Why somebody must look."""

    FOLLOW_UP = "follow_up"
    SERVICE_CALL = "service_call"
    LAWFUL_PROCEDURE = "lawful_procedure"
    PROMISE_BROKEN = "promise_broken"
    MANUAL_CHECK = "manual_check"
    HARDSHIP = "hardship"
    APPLY_PAUSE = "apply_pause"
    DISPUTE = "dispute"
    REFUND_OWED = "refund_owed"
    CHARGE_REFUSED_FOR_US = "charge_refused_for_us"
    CHARGE_UNCLEAR = "charge_unclear"
    REFUND_FAILED = "refund_failed"
    REFUND_LATE = "refund_late"
    REFUND_WITHOUT_CHARGE = "refund_without_charge"
    AMOUNT_DIFFERS = "amount_differs"
    PLAN_NOT_MOVED = "plan_not_moved"
    INVARIANT_BROKEN = "invariant_broken"


class Outcome(StrEnum):
    """What came of a task."""

    REACHED = "reached"
    PROMISE_TO_PAY = "promise_to_pay"
    DISPUTE = "dispute"
    HARDSHIP = "hardship"
    NOT_REACHED = "not_reached"
    WRONG_NUMBER = "wrong_number"
    DONE = "done"
    PAID = "paid"  # by itself, when the money came
    ENDED = "ended"  # by itself, when there was nothing left to follow up
    CLEARED = "cleared"  # the risk flag was taken away
    ANSWERED = "answered"  # the claim it is about was answered


SPOKEN_WITH: Final = frozenset(
    {
        TaskKind.FOLLOW_UP,
        TaskKind.SERVICE_CALL,
        TaskKind.LAWFUL_PROCEDURE,
        TaskKind.PROMISE_BROKEN,
        TaskKind.MANUAL_CHECK,
    }
)
"""Kinds in which somebody talks with the customer."""

ABOUT_ARREARS: Final = SPOKEN_WITH - {TaskKind.MANUAL_CHECK}
"""Kinds that have no object any more once the instalment is settled."""

BY_CLAIM_ONLY: Final = frozenset({TaskKind.HARDSHIP, TaskKind.DISPUTE})
"""Kinds that only the answer to their claim closes, never a tick (rules CT-14, WH-20)."""

TALK: Final = frozenset(
    {
        Outcome.REACHED,
        Outcome.PROMISE_TO_PAY,
        Outcome.DISPUTE,
        Outcome.HARDSHIP,
        Outcome.NOT_REACHED,
        Outcome.WRONG_NUMBER,
    }
)
"""Outcomes that say what came of a call."""

TASK_WITHIN: Final = timedelta(days=2)
"""When a task is due unless its kind says otherwise."""

PROMISE_DAYS_MAX: Final = 30
"""A promise to pay later than this is no promise but hardship."""


@dataclass(frozen=True, slots=True)
class Task:
    """
    One thing to do; ``detail`` holds codes and ids, nothing personal.

    ``assignee`` and ``recorded_by`` are references of staff, never names.  ``calls``
    counts calls that reached nobody.  ``escalated_at``: it was overdue, and somebody
    above was told.
    """

    task_id: UUID
    kind: TaskKind
    merchant_id: UUID
    customer_id: UUID
    agreement_id: UUID
    instalment_id: UUID | None
    detail: str
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None = None
    assignee: str | None = None
    outcome: Outcome | None = None
    promised_on: date | None = None
    recorded_by: str | None = None
    claim_id: UUID | None = None
    calls: int = 0
    escalated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a member of staff reports of a task."""

    outcome: Outcome
    recorded_by: str
    promised_on: date | None = None


def record(task: Task, result: Result, *, today: date, now: datetime) -> Task:
    """
    Return *task* after *result*: closed, or due again when nobody was reached.

    Raises:
        TaskClosedAlready: Nobody waits for an outcome any more.
        OutcomeUnfit: Tasks of this kind do not end so.
        PromiseUnfit: A promise has no date, or one that is past or too far away.
    """
    if task.closed_at is not None:
        raise TaskClosedAlready("This task is closed.", task_id=task.task_id)
    if not _fits(task.kind, result.outcome):
        raise OutcomeUnfit(
            "A task of this kind does not end so.",
            kind=task.kind.value,
            outcome=result.outcome.value,
        )
    _check_promise(result, today)
    after = replace(task, outcome=result.outcome, recorded_by=result.recorded_by)
    if result.outcome is Outcome.NOT_REACHED:
        return replace(after, calls=task.calls + 1, due_at=after_working_days(now, 1))
    return replace(after, promised_on=result.promised_on, closed_at=now)


def close(task: Task, outcome: Outcome, *, by: str, now: datetime) -> Task:
    """Return *task* closed by what happened elsewhere; one closed before stays."""
    if task.closed_at is not None:
        return task
    return replace(task, outcome=outcome, recorded_by=by, closed_at=now)


def _fits(kind: TaskKind, outcome: Outcome) -> bool:
    match outcome:
        case Outcome.PAID | Outcome.ENDED | Outcome.CLEARED | Outcome.ANSWERED:
            return False
        case Outcome.DONE:
            return kind not in BY_CLAIM_ONLY
        case (
            Outcome.REACHED
            | Outcome.PROMISE_TO_PAY
            | Outcome.DISPUTE
            | Outcome.HARDSHIP
            | Outcome.NOT_REACHED
            | Outcome.WRONG_NUMBER
        ):
            return kind in SPOKEN_WITH
        case _:
            assert_never(outcome)


def _check_promise(result: Result, today: date) -> None:
    promised = result.promised_on
    if (result.outcome is Outcome.PROMISE_TO_PAY) is not (promised is not None):
        raise PromiseUnfit("A promise to pay has a date, and nothing else has.")
    last = today + timedelta(days=PROMISE_DAYS_MAX)
    if promised is not None and not today <= promised <= last:
        raise PromiseUnfit("The promised day is past or too far away.", until=last.isoformat())
