"""The report: one figure per path, each beside what this machine could do at best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from deploy.bench.meter import Compared

TARGET: Final = 0.5
"""The domain may cost as much again as the bare program, not more."""


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One measured rate and its *ceiling*, a bare program's rate in the same run.

    *detail* holds what explains the two; ``cpu_ms`` and ``ceiling_cpu_ms`` are CPU per item,
    which other work on the machine disturbs less than rates.
    """

    name: str
    rate: float
    unit: str
    ceiling: float
    detail: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Return how much of the ceiling was reached."""
        return self.rate / self.ceiling

    def row(self) -> dict[str, object]:
        """Return the figure as it stands in the report."""
        shown: dict[str, object] = {
            "name": self.name,
            "rate": round(self.rate, 1),
            "unit": self.unit,
            "ceiling": round(self.ceiling, 1),
            "ratio": round(self.ratio, 3),
        }
        return shown | {
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in self.detail.items()
        }


def figure(
    name: str, unit: str, compared: Compared, *, against: str, **detail: float | str
) -> Figure:
    """Return what comparing two programs says; *against* describes the bare one."""
    ours, bare = compared.ours, compared.bare
    costs = {
        "cpu_ms": ours.cpu_ms,
        "ceiling_cpu_ms": bare.cpu_ms,
        "cpu_ratio": bare.cpu_ms / ours.cpu_ms if ours.cpu_ms else 0.0,
    }
    return Figure(name, ours.rate, unit, bare.rate, {"against": against} | costs | detail)


def write(figures: Sequence[Figure], file: Path) -> None:
    """Write the report as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [one.row() for one in figures]
    file.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2) + b"\n")


def table(figures: Sequence[Figure]) -> str:
    """Return the report for a person."""
    heads = ("rate", "unit", "ceiling", "ratio", "CPU ms", "bare", "ratio")
    lines = ["{:<28}{:>9} {:<12}{:>9}{:>7}{:>9}{:>7}{:>7}".format("", *heads)]
    for one in figures:
        cpu = [one.detail.get(key, "") for key in ("cpu_ms", "ceiling_cpu_ms", "cpu_ratio")]
        costs = [f"{value:.2f}" if isinstance(value, float) else "" for value in cpu]
        below = "" if one.ratio >= TARGET else "  below target"
        lines.append(
            f"{one.name:<28}{one.rate:>9.0f} {one.unit:<12}{one.ceiling:>9.0f}{one.ratio:>7.2f}"
            f"{costs[0]:>9}{costs[1]:>7}{costs[2]:>7}{below}"
        )
    return "\n".join(lines)
