"""Growth stages: which one a pet is in on a day, and when the next one begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from shared.calendar import month_day


class Stage(StrEnum):
    """The four stages of a pet's life that plans know."""

    YOUNG = "young"
    GROWING = "growing"
    ADULT = "adult"
    SENIOR = "senior"


ORDER: Final = (Stage.YOUNG, Stage.GROWING, Stage.ADULT, Stage.SENIOR)

ANNOUNCED_BEFORE_DAYS: Final = 7
"""Days from telling the customer of a new stage to the first parcel of it."""

NOTICE_DAYS: Final = 5
"""The least such notice: a change of what was signed is told five days ahead."""

_BY_SPECIES: Final[Mapping[tuple[str, str], Sequence[int]]] = {
    ("cat", ""): (4, 12, 84),
    ("dog", "small"): (4, 10, 96),
    ("dog", "medium"): (4, 12, 84),
    ("dog", "large"): (4, 18, 72),
}
"""Months of age at which growing, adult and senior begin.  Source: product default."""

_ANY_SIZE: Final = {"cat": "", "dog": "medium"}


@dataclass(frozen=True, slots=True)
class StageChange:
    """From this day on parcels are those of *to_stage*; None before the first one."""

    from_stage: Stage | None
    to_stage: Stage
    from_day: date


def growth_stage(species: str, size: str, *, born_on: date, on: date) -> Stage:
    """
    Return the stage of a pet on the day *on*.

    A dog of unknown size counts as medium; species without a table are always adult.
    A pet not born yet is young.
    """
    begun = [stage for stage, day in _begins(species, size, born_on) if day <= on]
    if not _months(species, size):
        return Stage.ADULT
    return begun[-1] if begun else Stage.YOUNG


def next_stage_on(species: str, size: str, *, born_on: date, after: date) -> date | None:
    """Return the first day after *after* on which a new stage begins; None: never."""
    return next((day for _, day in _begins(species, size, born_on) if day > after), None)


def change_of_stage(
    species: str, size: str, *, born_on: date, stage: Stage, today: date
) -> StageChange | None:
    """
    Return the change to announce *today*, if the pet leaves *stage* within the notice.

    Parcels change when the new stage begins, never sooner than ``NOTICE_DAYS`` from now.
    """
    ahead = today + timedelta(days=ANNOUNCED_BEFORE_DAYS)
    coming = growth_stage(species, size, born_on=born_on, on=ahead)
    if coming is stage:
        return None
    begins = dict(_begins(species, size, born_on)).get(coming, today)
    earliest = today + timedelta(days=NOTICE_DAYS)
    return StageChange(stage, coming, max(begins, earliest))


def _months(species: str, size: str) -> Sequence[int]:
    known = _BY_SPECIES.get((species, size))
    return known or _BY_SPECIES.get((species, _ANY_SIZE.get(species, "")), ())


def _begins(species: str, size: str, born_on: date) -> list[tuple[Stage, date]]:
    return [
        (stage, month_day(born_on, months, day=born_on.day))
        for stage, months in zip(ORDER[1:], _months(species, size), strict=False)
    ]
