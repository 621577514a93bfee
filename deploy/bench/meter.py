"""Measuring: wall time and CPU time of everything we started, ours and bare in turn."""

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")

Work = Callable[[], Awaitable[int]]
"""One run: does its work and returns how many items that was."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: items done, seconds of wall time, seconds of CPU time on all cores together."""

    items: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Return items per second."""
        return self.items / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """Return milliseconds of CPU per item."""
        return self.cpu_s * 1000 / self.items


@dataclass(frozen=True, slots=True)
class Compared:
    """The middle runs of ours and of the bare program."""

    ours: Run
    bare: Run


async def _nothing() -> None:
    """Prepare nothing."""


async def alternate(
    ours: Work, bare: Work, *, rounds: int, before: Callable[[], Awaitable[None]] = _nothing
) -> Compared:
    """
    Run both *rounds* times in turn, so that drift meets both, and return the middle ones.

    *before* prepares each round and is not measured.
    """
    runs: tuple[list[Run], list[Run]] = ([], [])
    for number in range(rounds):
        await before()
        order = (1, 0) if number % 2 == 0 else (0, 1)
        for which in order:
            runs[which].append(await measure((ours, bare)[which]))
    return Compared(middle(runs[0]), middle(runs[1]))


async def measure(work: Work) -> Run:
    """Run *work* once."""
    cpu_s, began_s = cpu_of_all(), time.perf_counter()
    items = await work()
    wall_s = time.perf_counter() - began_s
    return Run(items, wall_s, cpu_of_all() - cpu_s)


def middle(runs: list[Run]) -> Run:
    """Return the run whose figures are the medians of *runs*."""
    items = runs[0].items
    return Run(
        items,
        items / median(run.rate for run in runs),
        items * median(run.cpu_ms for run in runs) / 1000,
    )


def cpu_of_all() -> float:
    """
    Return the seconds of CPU that this process and everything below it have used.

    Where there is no ``/proc`` only this process and its ended children count.
    """
    if not Path("/proc/self/stat").exists():
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system
    children: dict[int, list[int]] = {}
    used: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="ascii", errors="replace")
        except OSError:  # it ended meanwhile
            continue
        # The name stands in brackets and may hold spaces; what follows is fixed (proc(5)).
        rest = fields.rpartition(")")[2].split()
        pid, parent = int(entry.name), int(rest[1])
        children.setdefault(parent, []).append(pid)
        used[pid] = sum(int(rest[number]) for number in range(11, 15))
    return sum(used.get(pid, 0) for pid in _below(os.getpid(), children)) / CLOCK_TICKS


def _below(pid: int, children: dict[int, list[int]]) -> list[int]:
    found = [pid]
    for child in children.get(pid, ()):
        found += _below(child, children)
    return found
