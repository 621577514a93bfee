"""What one finding about one attempt does to the attempt, its instalment and its agreement."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.billing.domain import agreement as agreements
from services.billing.domain import attempt as attempts
from services.billing.domain.agreement import ENDED, Agreement
from services.billing.domain.attempt import NOT_ARRIVED, Attempt, AttemptKind, AttemptState
from services.billing.domain.charge_calendar import LOOK_AGAIN, next_slot
from services.billing.domain.dunning import Step, step_at, step_moment
from services.billing.domain.findings import Finding, Pending
from services.billing.domain.instalment import (
    HAS_MONEY,
    Instalment,
    InstalmentMove,
    InstalmentState,
    moved,
)
from services.billing.domain.retry_policy import retry_at
from shared.calendar import month_day
from shared.rails.classes import RATE_LIMITED, FailureClass
from shared.rails.permissions import Permission


class Happening(StrEnum):
    """What is worth telling others."""

    COLLECTED = "collected"
    SURPLUS = "surplus"
    FAILED = "failed"
    EXHAUSTED = "exhausted"
    OVERDUE_SETTLED = "overdue_settled"
    RISK_FLAGGED = "risk_flagged"
    RISK_CLEARED = "risk_cleared"
    OURS_TO_LOOK_AT = "ours_to_look_at"


@dataclass(frozen=True, slots=True)
class Case:
    """An attempt with what it is about, read under the agreement's lock."""

    agreement: Agreement
    instalment: Instalment
    attempt: Attempt
    happenings: tuple[Happening, ...] = ()


def next_query_at(
    attempt: Attempt, finding: Finding, *, now: datetime, permission: Permission
) -> datetime:
    """
    Return when the rail is asked next about an order that is still open.

    Nobody asks while the rail keeps an accepted order by its own rule.
    """
    kept_s = permission.accepted_wait_s
    if attempt.kind is AttemptKind.AUTOMATIC and isinstance(finding, Pending) and kept_s:
        decides_at = attempt.created_at + timedelta(seconds=kept_s)
        if now < decides_at:
            return decides_at
    first, asked = permission.first_queries_s, attempt.queries
    wait_s = first[asked] if asked < len(first) else permission.query_every_s
    return now + timedelta(seconds=wait_s)


def settle(
    case: Case, finding: Finding, *, now: datetime, permission: Permission, ladder: tuple[Step, ...]
) -> Case:
    """
    Return *case* after *finding*; what was known before changes nothing.

    The one function for the answer of a call, a query and a notification.
    """
    query_at = next_query_at(case.attempt, finding, now=now, permission=permission)
    attempt = attempts.settle(case.attempt, finding, now=now, query_at=query_at)
    before = case.attempt.state
    case = replace(case, attempt=attempt)
    if attempt.state is AttemptState.SUCCEEDED and before is not AttemptState.SUCCEEDED:
        return _collected(case, now=now, permission=permission)
    if attempt.state is AttemptState.FAILED and before is not AttemptState.FAILED:
        return _failed(case, now=now, permission=permission, ladder=ladder)
    return case


def give_up(instalment: Instalment, *, now: datetime, ladder: tuple[Step, ...]) -> Instalment:
    """Return *instalment* when no automatic try is left or allowed: the customer must pay."""
    first = step_at(ladder, 0)
    since = instalment.charge_on
    moment = None if first is None else step_moment(first, overdue_since=since)
    return replace(
        instalment,
        state=moved(instalment.state, InstalmentMove.GIVE_UP),
        next_try_at=None,
        next_notice_at=None,
        overdue_since=since,
        rung=0,
        next_dunning_at=None if moment is None else max(moment, now),
    )


def _collected(case: Case, *, now: datetime, permission: Permission) -> Case:
    attempt, instalment, agreement = case.attempt, case.instalment, case.agreement
    if attempt.kind is AttemptKind.AUTOMATIC and permission.due_window is not None:
        # A success moves the rail's plan to the same day of the next month.
        plan_on = agreement.plan_on
        agreement = replace(agreement, plan_on=plan_on and month_day(plan_on, 1, day=plan_on.day))
    if instalment.state in HAS_MONEY:
        return replace(
            case,
            agreement=agreement,
            attempt=replace(attempt, surplus=True),
            happenings=(Happening.SURPLUS,),
        )
    happenings = [Happening.COLLECTED]
    if instalment.overdue_since is not None:
        happenings.append(Happening.OVERDUE_SETTLED)
    if agreement.flagged_at is not None:
        happenings.append(Happening.RISK_CLEARED)
    paid = replace(
        instalment,
        state=moved(instalment.state, InstalmentMove.PAY),
        charge_id=attempt.attempt_id,
        paid_at=attempt.paid_at or now,
        next_try_at=None,
        next_notice_at=None,
        next_dunning_at=None,
        overdue_since=None,
    )
    return Case(agreements.period_paid(agreement), paid, attempt, tuple(happenings))


def _failed(case: Case, *, now: datetime, permission: Permission, ladder: tuple[Step, ...]) -> Case:
    attempt, instalment, agreement = case.attempt, case.instalment, case.agreement
    if attempt.kind is AttemptKind.PAY_NOW or instalment.state is not InstalmentState.COLLECTING:
        return case
    never_taken = attempt.failure_code == NOT_ARRIVED or attempt.failure_code in RATE_LIMITED
    if never_taken and agreement.state not in ENDED:
        return replace(case, instalment=_as_if_never_tried(instalment, now=now))
    failure = attempt.failure_class or FailureClass.UNKNOWN
    if failure is FailureClass.PLAN_ACTION:
        agreement = replace(agreement, plan_on=None)
    happenings = [Happening.FAILED]
    if failure in {FailureClass.OUR_MISTAKE, FailureClass.MERCHANT_ALARM}:
        happenings.append(Happening.OURS_TO_LOOK_AT)
    case = Case(agreement, instalment, attempt, tuple(happenings))
    again = None if agreement.state in ENDED else _retry(case, failure, now, permission)
    if again is not None:
        waiting = replace(
            instalment,
            state=moved(instalment.state, InstalmentMove.TRY_AGAIN),
            next_try_at=again,
        )
        return replace(case, instalment=waiting)
    lost = replace(
        case,
        instalment=give_up(instalment, now=now, ladder=ladder),
        happenings=(*case.happenings, Happening.EXHAUSTED),
    )
    return _period_lost(lost, now=now)


def _as_if_never_tried(instalment: Instalment, *, now: datetime) -> Instalment:
    """The rail never took it, so nobody was refused: the gate decides again, soon."""
    return replace(
        instalment,
        state=moved(instalment.state, InstalmentMove.TRY_AGAIN),
        auto_tries=max(0, instalment.auto_tries - 1),
        next_try_at=next_slot(now + LOOK_AGAIN),
    )


def _retry(
    case: Case, failure: FailureClass, now: datetime, permission: Permission
) -> datetime | None:
    window, plan_on = permission.due_window, case.agreement.plan_on
    last_day = (
        None if window is None or plan_on is None else (plan_on + timedelta(days=window.last_day))
    )
    return retry_at(
        failure,
        auto_tries=case.instalment.auto_tries,
        first_tried_at=case.instalment.first_tried_at or now,
        now=now,
        last_day=last_day,
        permission=permission,
    )


def _period_lost(case: Case, *, now: datetime) -> Case:
    agreement = agreements.period_failed(case.agreement, case.instalment.seq, now=now)
    flagged = agreement.flagged_at is not None and case.agreement.flagged_at is None
    happenings = (*case.happenings, Happening.RISK_FLAGGED) if flagged else case.happenings
    return replace(case, agreement=agreement, happenings=happenings)
