"""Keeps child processes alive: starts them, waits until they answer, restarts what dies."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 25.0
RESTART_AFTER_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Waits before each restart in a row; a process that answered begins anew."""
DEATHS_BEFORE_READY: Final = 3
"""A process that dies this often before it ever answered is not started again."""


class PlatformError(Exception):
    """A process does not start; the sentence ends with the last lines it wrote."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep alive: ``python -m module arguments``, ready when *probes* answer."""

    name: str
    kind: str
    module: str
    url: str
    probes: tuple[str, ...]
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A running program; its output goes to ``logs/<name>.log``, the runs after each other."""

    def __init__(
        self, program: Program, *, logs: Path, restart: bool, changed: Callable[[str], None]
    ) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self.restarts = 0
        self._restart = restart
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._wanted = False
        self._answered = False
        self._given_up = False

    @property
    def pid(self) -> int | None:
        """Return the process id, None while it is not running."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    def start(self) -> None:
        """Start it, and from now on again whenever it dies; does nothing if it runs."""
        if self._task is None or self._task.done():
            self._wanted, self._answered, self._given_up = True, False, False
            self._task = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")

    async def stop(self) -> None:
        """End it in order, at once if that takes too long; it stays down until started."""
        self._wanted = False
        if self.pid is not None and self._process is not None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._process.wait()
        await self.abandon()

    async def abandon(self) -> None:
        """End it without ceremony; it stays down until started."""
        self._wanted = False
        self.kill()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._process is not None:
            await self._process.wait()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send SIGKILL (or *number*) now; the supervisor starts it again as after any death."""
        if self.pid is not None and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def ready(self, *, timeout_s: float = READY_TIMEOUT_S) -> None:
        """
        Wait until every probe of the program answers 200.

        Raises:
            PlatformError: It does not within *timeout_s*, or dies again and again.
        """
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while not self._given_up:
                        if self.pid is not None and await _all_answer(session, self.program):
                            self._answered = True
                            return
                        await asyncio.sleep(0.05)
        raise PlatformError(f"{self.program.name} does not answer; {self.log} ends:\n{self.tail()}")

    def tail(self, size: int = 3000) -> str:
        """Return the last *size* bytes it wrote."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - size))
            return file.read().decode("utf-8", "replace")

    async def _keep(self) -> None:
        deaths = 0
        while self._wanted:
            self._process = await self._spawn()
            self._changed("")
            code = await self._process.wait()
            if not self._wanted or not self._restart:
                return
            deaths = 0 if self._answered else deaths + 1
            if deaths >= DEATHS_BEFORE_READY:
                self._given_up = True
                return
            self.restarts += 1
            self._changed(f"{self.program.name} ended with {code} and is started again")
            await asyncio.sleep(RESTART_AFTER_S[min(deaths, len(RESTART_AFTER_S) - 1)])

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self.log.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.program.module,
                *self.program.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env=_surrounding() | dict(self.program.environment),
            )


async def _all_answer(session: aiohttp.ClientSession, program: Program) -> bool:
    for probe in program.probes:
        try:
            async with session.get(probe) as answer:
                if answer.status != 200:  # noqa: PLR2004
                    return False
        except (aiohttp.ClientError, TimeoutError):
            return False
    return True


def _surrounding() -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH")
    return os.environ | {
        "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root,
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }
