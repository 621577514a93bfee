"""One missed period being followed up: what the ladder asks for now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.billing.domain.agreement import Agreement, AgreementState
from services.billing.domain.contact_rules import Contact, ContactKind, inside_hours, next_allowed
from services.billing.domain.dunning import (
    CURE_DAYS,
    DUNNING_HOUR,
    Condition,
    Rung,
    Step,
    step_at,
    step_moment,
)
from services.billing.domain.instalment import Instalment, InstalmentState
from shared.calendar import at_in_china, day_in_china

DEMAND_FIRST: Final = "demand"


@dataclass(frozen=True, slots=True)
class DunningCase:
    """
    A case keeps its ladder until it is closed, whatever the merchant chooses meanwhile.

    ``demanded_on`` is when payment was demanded in writing, ``promised_on`` until when the
    customer promised to pay: nothing is asked of them before that day is over.
    """

    case_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    overdue_since: date
    preset: str
    preset_version: int
    merchant_version: int
    ladder: tuple[Step, ...]
    opened_at: datetime
    demanded_on: date | None = None
    promised_on: date | None = None
    closed_at: datetime | None = None
    close_reason: str | None = None


class Verdict(StrEnum):
    """What to do with a step of the ladder."""

    TAKE = "take"
    DEMAND = "demand"  # the step may be taken only so many days after a demand: demand now
    SKIP = "skip"  # nothing is owed, so this step is not taken
    WAIT = "wait"
    END = "end"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, and if it is to wait, until when and why."""

    verdict: Verdict
    step: Step | None = None
    until: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class DunningFacts:
    """What a decision looks at; ``contacts`` are those of the customer in recent days."""

    instalment: Instalment
    agreement: Agreement
    case: DunningCase
    contacts: Sequence[Contact]
    collectible_fen: int


def decide(facts: DunningFacts, *, now: datetime) -> Decision:
    """Return what the ladder asks for now; a wait always ends later than *now*."""
    instalment, case = facts.instalment, facts.case
    step = step_at(case.ladder, instalment.rung)
    if instalment.state is not InstalmentState.OVERDUE or step is None:
        return Decision(Verdict.END)
    rest = _rest(facts, step, now=now)
    if rest is not None:
        return rest
    if step.condition is Condition.COLLECTIBLE and facts.collectible_fen == 0:
        return Decision(Verdict.SKIP, step)
    if not inside_hours(now):
        return _wait(next_allowed(ContactKind.CALL, (), now=now), "quiet_hours")
    return _speak(facts, step, now=now)


def tomorrow(now: datetime) -> datetime:
    """Return ten o'clock of the next day in China."""
    return _morning_after(day_in_china(now))


def _rest(facts: DunningFacts, step: Step, *, now: datetime) -> Decision | None:
    if facts.agreement.holds or facts.agreement.state is AgreementState.PAUSED:
        # Nobody is dunned while a claim or a hardship case is open (rule DN-05).
        return _wait(tomorrow(now), "on_hold")
    promised_on = facts.case.promised_on
    if promised_on is not None and day_in_china(now) <= promised_on:
        return _wait(_morning_after(promised_on), "promised")
    moment = step_moment(step, overdue_since=facts.case.overdue_since)
    return _wait(moment, "not_yet") if now < moment else None


def _speak(facts: DunningFacts, step: Step, *, now: datetime) -> Decision:
    demanded_on = facts.case.demanded_on
    lawful = step.rung is Rung.LAWFUL_PROCEDURE
    if lawful and demanded_on is not None:
        cured = demanded_on + timedelta(days=CURE_DAYS)
        if day_in_china(now) < cured:
            return _wait(at_in_china(cured, DUNNING_HOUR), "cure_days")
    if step.text:
        allowed = next_allowed(ContactKind.MESSAGE, facts.contacts, now=now)
        if allowed > now:
            return _wait(allowed, "cap")
    if lawful and demanded_on is None:
        return Decision(Verdict.DEMAND, step)
    return Decision(Verdict.TAKE, step)


def _wait(until: datetime, why: str) -> Decision:
    return Decision(Verdict.WAIT, until=until, why=why)


def _morning_after(day: date) -> datetime:
    return at_in_china(day + timedelta(days=1), DUNNING_HOUR)
