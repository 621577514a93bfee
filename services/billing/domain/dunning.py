"""The ladder after a missed period, as data: so many days late, and what is done about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from services.billing.domain.task import TaskKind
from shared.calendar import at_in_china


class Rung(StrEnum):
    """What happens on one step."""

    REMINDER = "reminder"
    STAFF_TASK = "staff_task"
    EXTENSION = "extension"
    DEMAND = "demand"
    LAWFUL_PROCEDURE = "lawful_procedure"


class Condition(StrEnum):
    """When a step is taken at all."""

    ALWAYS = "always"
    COLLECTIBLE = "collectible"  # only where money is really owed


BOTH: Final = ("sms", "mini_program")
"""A reminder on both channels is one contact: the same words at the same moment."""


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step, *days_late* days after the missed charge.

    ``text`` is the key of the words the customer gets on ``channels``, empty for none;
    ``task`` is what staff must do, None for nothing.
    """

    days_late: int
    rung: Rung
    text: str = ""
    task: TaskKind | None = None
    condition: Condition = Condition.ALWAYS
    channels: tuple[str, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Policy:
    """A named ladder; another ladder under the same name gets a higher ``version``."""

    preset: str
    version: int
    steps: tuple[Step, ...]


_OWED: Final = Condition.COLLECTIBLE

FAST: Final = (
    Step(1, Rung.REMINDER, "reminder"),
    Step(3, Rung.STAFF_TASK, task=TaskKind.FOLLOW_UP),
    Step(7, Rung.EXTENSION, "extension"),
    Step(15, Rung.DEMAND, "demand", condition=_OWED),
    Step(30, Rung.LAWFUL_PROCEDURE, "lawful_procedure", TaskKind.LAWFUL_PROCEDURE, _OWED),
)
"""
Preset of the withholding operator's handbook; the default (rule D1).

The demand on day 15 is the law's: fifteen days to pay before any procedure (rule DN-08).
"""

GENTLE: Final = (
    Step(1, Rung.REMINDER, "reminder"),
    Step(3, Rung.REMINDER, "reminder"),
    Step(7, Rung.REMINDER, "reminder"),
    Step(8, Rung.STAFF_TASK, task=TaskKind.FOLLOW_UP),
    Step(13, Rung.STAFF_TASK, task=TaskKind.FOLLOW_UP, condition=_OWED),
    Step(18, Rung.STAFF_TASK, task=TaskKind.FOLLOW_UP, condition=_OWED),
    Step(23, Rung.STAFF_TASK, task=TaskKind.FOLLOW_UP, condition=_OWED),
    Step(30, Rung.STAFF_TASK, task=TaskKind.FOLLOW_UP),
    Step(45, Rung.DEMAND, "demand", condition=_OWED),
    Step(60, Rung.LAWFUL_PROCEDURE, "lawful_procedure", TaskKind.LAWFUL_PROCEDURE, _OWED),
)
"""
Preset of the merchant platform's handbook (rule D1): reminders to day 7, one person every
five days to day 30, the lawful procedure on day 60, fifteen days after the demand.
"""

PRESETS: Final[Mapping[str, tuple[Step, ...]]] = {"fast": FAST, "gentle": GENTLE}

POLICIES: Final[Mapping[str, Policy]] = {
    "fast": Policy("fast", 1, FAST),
    "gentle": Policy("gentle", 1, GENTLE),
}

TEXT_WHERE_NOTHING_IS_OWED: Final[Mapping[str, str]] = {"reminder": "topup"}
"""Prepaid money that did not come is a top-up not made, and is called so (rule X18)."""

TASK_WHERE_NOTHING_IS_OWED: Final[Mapping[TaskKind, TaskKind]] = {
    TaskKind.FOLLOW_UP: TaskKind.SERVICE_CALL
}
"""Staff then ask whether to pause, change or end; they collect nothing (rules X18, CT-14)."""

EXTENSION_DAYS: Final = 7
"""How long the extension voucher keeps any penalty away (rule B7)."""

CURE_DAYS: Final = 15
"""Days between the demand and the lawful procedure, at least (Civil Code 563, 634; DN-08)."""

DUNNING_HOUR: Final = 10
"""Nobody is dunned from 22:00 to 08:00; ten in the morning is far from both."""


def step_at(ladder: Sequence[Step], rung: int) -> Step | None:
    """Return step number *rung* (from 0), None past the end."""
    return ladder[rung] if rung < len(ladder) else None


def step_moment(step: Step, *, overdue_since: date) -> datetime:
    """Return when *step* is taken."""
    return at_in_china(overdue_since + timedelta(days=step.days_late), DUNNING_HOUR)


def steps_as_json(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return *steps* as a case keeps them."""
    return [
        {
            "day": step.days_late,
            "rung": step.rung.value,
            "text": step.text,
            "task": step.task and step.task.value,
            "condition": step.condition.value,
            "channels": list(step.channels),
        }
        for step in steps
    ]


def steps_from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Return what ``steps_as_json`` was given."""
    return tuple(
        Step(
            days_late=row["day"],
            rung=Rung(row["rung"]),
            text=row["text"],
            task=row["task"] and TaskKind(row["task"]),
            condition=Condition(row["condition"]),
            channels=tuple(row["channels"]),
        )
        for row in rows
    )
