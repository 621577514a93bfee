"""The ladder after a missed period: so many days late, and what is done about it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.calendar import at_in_china


class Rung(StrEnum):
    """What happens on one step."""

    REMINDER = "reminder"
    STAFF_TASK = "staff_task"
    EXTENSION = "extension"
    LAWFUL_PROCEDURE = "lawful_procedure"


@dataclass(frozen=True, slots=True)
class Step:
    """One step, *days_late* days after the missed charge."""

    days_late: int
    rung: Rung


FAST: Final = (
    Step(1, Rung.REMINDER),
    Step(3, Rung.STAFF_TASK),
    Step(7, Rung.EXTENSION),
    Step(30, Rung.LAWFUL_PROCEDURE),
)
"""Preset of the withholding operator's handbook; the default (rule D1)."""

GENTLE: Final = (
    Step(1, Rung.REMINDER),
    Step(3, Rung.REMINDER),
    Step(7, Rung.REMINDER),
    Step(30, Rung.STAFF_TASK),
    Step(60, Rung.LAWFUL_PROCEDURE),
)
"""Preset of the merchant platform's handbook (rule D1)."""

PRESETS: Final = {"fast": FAST, "gentle": GENTLE}

EXTENSION_DAYS: Final = 7
"""How long the extension voucher keeps any penalty away (rule B7)."""

DUNNING_HOUR: Final = 10
"""Nobody is dunned from 22:00 to 08:00; ten in the morning is far from both."""

TASK_WITHIN: Final = timedelta(days=2)


def step_at(ladder: tuple[Step, ...], rung: int) -> Step | None:
    """Return step number *rung* (from 0), None past the end."""
    return ladder[rung] if rung < len(ladder) else None


def step_moment(step: Step, *, overdue_since: date) -> datetime:
    """Return when *step* is taken."""
    return at_in_china(overdue_since + timedelta(days=step.days_late), DUNNING_HOUR)
