"""What a running platform says of itself in its ``platform.json``, for tools that talk to it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from deploy.clock import Participant, TestClockDriver

VAR = Path("var")


class NoPlatform(Exception):
    """No platform is running where one was looked for."""


@dataclass(frozen=True)
class RunningPlatform:
    """Addresses and keys of a platform that somebody else runs."""

    services: Mapping[str, str]
    """Base URL of each service's first process, by service."""
    simulators: Mapping[str, str]
    processes: Mapping[str, str]
    """Base URL of every process of every service, by process name."""
    operator_key: str
    auditor_dsn: str
    nats_url: str
    nats_monitor_url: str
    nats_bootstrap_seed: str
    test_clock: bool
    outside: Mapping[str, str] = field(default_factory=dict)
    """Base URL of every simulator process, each of which has one clock; empty: unknown."""

    @classmethod
    def read(cls, path: Path | None = None) -> "RunningPlatform":
        """
        Read *path*, or the newest ``var/*/platform.json``.

        Raises:
            NoPlatform: There is none.
        """
        found = path or _newest()
        try:
            state: dict[str, Any] = orjson.loads(found.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise NoPlatform(f"No platform runs at {found}; start one with `make run`.") from error
        return cls(
            services=state["services"],
            simulators=state["simulators"],
            processes=_processes(state, "service"),
            outside=_processes(state, "simulator"),
            operator_key=state["operator_key"],
            auditor_dsn=state["postgres"]["auditor"],
            nats_url=state["nats"]["url"],
            nats_monitor_url=state["nats"]["monitor_url"],
            nats_bootstrap_seed=state["nats"]["bootstrap_seed"],
            test_clock=state["test_clock"],
        )

    @asynccontextmanager
    async def clock(self) -> AsyncIterator[TestClockDriver]:
        """Lend a driver of this platform's test clock."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield TestClockDriver(
                session, self.participants(), nats_monitor_url=self.nats_monitor_url
            )

    def participants(self) -> list[Participant]:
        """Return every process that lives by the test clock."""
        return [
            Participant(name, f"{url}/ops/clock", service=True)
            for name, url in self.processes.items()
        ] + [
            Participant(name, f"{url}/_sandbox/clock", service=False)
            for name, url in (self.outside or self.simulators).items()
        ]


def _processes(state: dict[str, Any], kind: str) -> dict[str, str]:
    return {
        process["name"]: process["url"] for process in state["processes"] if process["kind"] == kind
    }


def _newest() -> Path:
    files = sorted(VAR.glob("*/platform.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise NoPlatform("No platform is running here; start one with `make run`.")
    return files[-1]
