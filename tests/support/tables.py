"""Tables of cases in tests/data, read strictly: what is unknown, missing or miscounted fails."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parents[1] / "data"


class TableInvalid(AssertionError):
    """A table does not have the form that its test expects."""


def yaml_cases(
    name: str, *, needed: Sequence[str], optional: Sequence[str] = (), count: int
) -> list[dict[str, Any]]:
    """
    Return the cases of a YAML list; each has all *needed* keys and none but the *optional*.

    Raises:
        TableInvalid: A key is unknown or missing, a name stands twice, or the count differs.
    """
    cases = yaml.safe_load((DATA / name).read_text(encoding="utf-8"))
    for case in cases:
        keys = set(case)
        if not set(needed) <= keys <= {*needed, *optional}:
            raise TableInvalid(f"{name}: odd keys in {case}")
    names = [case["name"] for case in cases]
    if len(cases) != count or len(set(names)) != count:
        raise TableInvalid(f"{name}: {len(cases)} cases, {len(set(names))} names, not {count}")
    return list(cases)


def strict(name: str, row: dict[str, Any], *, allowed: Sequence[str]) -> dict[str, Any]:
    """Return *row* of a case; raises TableInvalid if it has a key that is not *allowed*."""
    if not set(row) <= set(allowed):
        raise TableInvalid(f"{name}: odd keys in {row}")
    return row


def csv_rows(name: str, *, header: Sequence[str], count: int) -> list[dict[str, str]]:
    """
    Return the rows of a CSV file with exactly this *header*.

    Raises:
        TableInvalid: Another header, an empty or surplus cell, or another number of rows.
    """
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if list(reader.fieldnames or ()) != list(header):
            raise TableInvalid(f"{name}: header {reader.fieldnames}")
        rows = list(reader)
    if len(rows) != count or any(not all(row.values()) or None in row for row in rows):
        raise TableInvalid(f"{name}: {len(rows)} rows, or cells missing")
    return rows
