"""The presets of dunning day by day, as tables, and what really happened on each day."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

DATA: Final = Path(__file__).parents[1] / "data"
DAY: Final = {
    "day",
    "rung",
    "text",
    "channels",
    "task",
    "extended_until_day",
    "state",
    "demanded",
    "case",
    "collectible_fen",
}
DAYS: Final = range(61)


class TableWrong(Exception):
    """A table has keys or days that it must not have."""


@dataclass(frozen=True, slots=True)
class Day:
    """What happens on one day after the missed charge; None and empty mean nothing."""

    day: int
    rung: str | None = None
    text: str = ""
    channels: tuple[str, ...] = ()
    task: str | None = None
    extended_until_day: int | None = None
    state: str = "overdue"
    demanded: bool = False
    case: str = "open"
    collectible_fen: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """One preset for one kind of agreement, day by day from 0 to 60."""

    preset: str
    legal_type: str
    amount_fen: int
    days: tuple[Day, ...]


def load(name: str) -> Table:
    """
    Read a table: named days, and between them days on which nothing happens.

    A quiet day keeps what the day before left (state, case, extension, demand).

    Raises:
        TableWrong: A key is unknown or missing, a day stands twice or out of order.
    """
    return parse(yaml.safe_load((DATA / name).read_text(encoding="utf-8")))


def parse(found: Any) -> Table:
    """Return the table that *found* describes; raises TableWrong."""
    _require(set(found), {"preset", "legal_type", "amount_fen", "days"})
    numbers = [row.get("day") for row in found["days"]]
    if numbers != sorted(set(numbers)) or numbers[0] != 0 or not set(numbers) <= set(DAYS):
        raise TableWrong(f"days out of order: {numbers}")
    named = {row["day"]: row for row in found["days"]}
    days: list[Day] = []
    for number in DAYS:
        before = days[-1] if days else Day(-1)
        row = named.get(number, {})
        if not set(row) <= DAY:
            raise TableWrong(f"unknown on day {number}: {sorted(set(row) - DAY)}")
        if row and "rung" not in row and number != 0:
            raise TableWrong(f"day {number} says nothing: leave it out")
        days.append(_day(number, row, before))
    return Table(found["preset"], found["legal_type"], found["amount_fen"], tuple(days))


def _day(number: int, row: dict[str, Any], before: Day) -> Day:
    return Day(
        day=number,
        rung=row.get("rung"),
        text=row.get("text", ""),
        channels=tuple(row.get("channels", ())),
        task=row.get("task"),
        extended_until_day=row.get("extended_until_day", before.extended_until_day),
        state=row.get("state", before.state),
        demanded=row.get("demanded", before.demanded),
        case=row.get("case", before.case),
        collectible_fen=row.get("collectible_fen", 0),
    )


def _require(found: set[str], wanted: set[str]) -> None:
    if found != wanted:
        raise TableWrong(f"keys differ: {sorted(found ^ wanted)}")
