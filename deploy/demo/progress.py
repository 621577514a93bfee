"""How far the year is: one line that changes on a terminal, plain lines elsewhere."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TextIO

import asyncpg

from deploy.demo.words import Language, say
from shared.calendar import day_in_china
from shared.db import Connection

LOOK_EVERY_S: Final = 1.0

_COUNTS: Final = """
    SELECT (SELECT count(*) FROM billing.attempts WHERE state = 'succeeded') AS charges,
           (SELECT count(*) FROM fulfillment.parcels) AS parcels
    """


@dataclass
class Progress:
    """Follows the clock; ``step`` is told of every moment."""

    language: Language
    begin: datetime
    months: int
    out: TextIO = sys.stdout
    moment: datetime | None = None
    steps: int = 0
    charges: int = 0
    parcels: int = 0
    _month: int = 0

    def step(self, moment: datetime) -> None:
        """Note that time has come to *moment*."""
        self.moment = moment
        self.steps += 1

    @property
    def month(self) -> int:
        """Return which month of the year is being lived, from 1."""
        if self.moment is None:
            return 1
        begin, now = day_in_china(self.begin), day_in_china(self.moment)
        passed = (now.year - begin.year) * 12 + now.month - begin.month - (now.day < begin.day)
        return min(passed + 1, self.months)

    def show(self) -> None:
        """Write the line, on a terminal over the last one, elsewhere once a month."""
        if self.moment is None:
            return
        line = say(
            self.language,
            "progress",
            month=self.month,
            months=self.months,
            day=day_in_china(self.moment),
            charges=self.charges,
            parcels=self.parcels,
        )
        if self.out.isatty():
            self.out.write(f"\r\x1b[2K{line}")
        elif self.month != self._month:
            self.out.write(f"{line}\n")
        self._month = self.month
        self.out.flush()

    def note(self, text: str) -> None:
        """Write a line of its own above the one that changes."""
        self.out.write(f"\r\x1b[2K{text}\n" if self.out.isatty() else f"{text}\n")
        self.out.flush()

    def end(self) -> None:
        """Leave the last line standing."""
        self._month = 0
        self.show()
        if self.out.isatty():
            self.out.write("\n")
            self.out.flush()


@asynccontextmanager
async def watching(progress: Progress, dsn: str) -> AsyncIterator[None]:
    """Count charges and parcels beside the run, as the auditor, and show the line."""
    conn = await asyncpg.connect(dsn)

    async def watch() -> None:
        while True:
            await _count(progress, conn)
            progress.show()
            await asyncio.sleep(LOOK_EVERY_S)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(asyncpg.PostgresError, OSError):
            await _count(progress, conn)
        progress.end()
        await conn.close()


async def _count(progress: Progress, conn: Connection) -> None:
    row = await conn.fetchrow(_COUNTS)
    if row is not None:
        progress.charges, progress.parcels = row["charges"], row["parcels"]


def stopwatch() -> Callable[[], float]:
    """Return a function that tells the seconds since now."""
    begin = time.monotonic()
    return lambda: time.monotonic() - begin
