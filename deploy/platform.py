"""
The whole platform on this machine; ``python -m deploy.platform`` keeps it up for ``make run``.

Embedded servers, preparation, provider simulators and services, each a process of its own, under
one supervisor that restarts what dies and stops everything in order.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import asyncpg
import orjson

from deploy.embedded import Nats, Postgres, Server
from deploy.environment import (
    Simulator,
    Surroundings,
    present_simulators,
    service_environment,
    simulator_arguments,
    simulator_environment,
)
from deploy.nats.accounts import BOOTSTRAP, authorization
from deploy.prepare import Preparation, prepare
from deploy.processes import EmbeddedError, end_process, free_port, process_runs
from deploy.secrets import load_or_make, write_private
from deploy.supervisor import Child, PlatformError, Program
from deploy.topology import SERVICES, hears, present
from shared.calendar import CHINA

DATABASE: Final = "yuefu"
CHECK_SERVERS_EVERY_S: Final = 0.2
SERVER_OPTIONS: Final = {"max_connections": "300", "shared_buffers": "256MB"}


class Platform:
    """
    A running platform in *directory*: an async context manager.

    *now* starts a test clock there; None runs on the machine's clock.  *replicas* says how
    many processes of a service run (1 if not named); *modules* replaces a service's program;
    *extra_env* adds variables to the processes of a service or simulator.  Leaving the
    context stops everything; the data stay in *directory*, and a platform started there again
    goes on with them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        now: datetime | None = None,
        services: Sequence[str] = SERVICES,
        replicas: Mapping[str, int] | None = None,
        modules: Mapping[str, str] | None = None,
        simulators: Sequence[Simulator] | None = None,
        extra_env: Mapping[str, Mapping[str, str]] | None = None,
        fsync: bool = True,
        restart: bool = True,
        say: Callable[[str], None] = print,
    ) -> None:
        self.directory = directory.absolute()
        self.now = now
        self.notes: list[str] = []
        self._say = say
        self._restart = restart
        self._modules = dict(modules or {})
        runnable = {*present(tuple(services)), *self._modules}
        self.services = tuple(name for name in services if name in runnable)
        self.skipped = tuple(name for name in services if name not in runnable)
        self._replicas = dict(replicas or {})
        self._simulators = tuple(present_simulators() if simulators is None else simulators)
        self._extra_env = dict(extra_env or {})
        self.directory.mkdir(parents=True, exist_ok=True)
        self.secrets = load_or_make(self.directory / "secrets.json")
        self.postgres = Postgres(
            self.directory / "postgres", fsync=fsync, options=dict(SERVER_OPTIONS)
        )
        self.nats = Nats(self.directory / "nats")
        self._children: dict[str, Child] = {}
        self._resting: set[str] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()

    @property
    def operator_key(self) -> str:
        """Return the API key that may do everything."""
        return self.secrets.operator_key

    @property
    def state_file(self) -> Path:
        """Return the file that tells other programs where everything is."""
        return self.directory / "platform.json"

    def url(self, name: str) -> str:
        """Return the base URL of a service, or of what a simulator serves."""
        if name in self._around.services:
            return self._around.services[name]
        return self._around.simulators[name]

    def urls(self, service: str) -> list[str]:
        """Return the base URLs of all processes of *service*."""
        return [
            child.program.url
            for name, child in self._children.items()
            if name == service or name.startswith(f"{service}-")
        ]

    def dsn(self, role: str) -> str:
        """Return the DSN for *role*: a service, ``auditor`` or ``postgres``."""
        return self._dsns()[role]

    @property
    def processes(self) -> dict[str, int | None]:
        """Return the process id of everything that should run, by name."""
        servers: dict[str, int | None] = {one.name: one.pid for one in self._servers}
        return servers | {name: child.pid for name, child in self._children.items()}

    def restarts(self, name: str) -> int:
        """Return how often process *name* has been started again."""
        return self._children[name].restarts

    def kill(self, name: str) -> None:
        """End a process or server with SIGKILL; the supervisor starts it again."""
        for server in self._servers:
            if server.name == name:
                server.kill()
                return
        self._children[name].kill()

    async def stop(self, name: str) -> None:
        """Stop one process in order; it stays down until ``start``."""
        await self._children[name].stop()
        self._write_state()

    async def start(self, name: str) -> None:
        """Start one stopped process, and return when it answers."""
        self._children[name].start()
        await self._children[name].ready()

    @contextlib.asynccontextmanager
    async def without(self, server: Server) -> AsyncIterator[None]:
        """Stop *server* in order, and start it again at the end; its clients find it away."""
        self._resting.add(server.name)
        await asyncio.to_thread(server.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(server.start)
            self._resting.discard(server.name)
            self._write_state()

    def program(self, name: str) -> Program:
        """Return how process *name* is started."""
        return self._children[name].program

    async def wait_ready(self, name: str, *, timeout_s: float = 60.0) -> None:
        """Wait until process *name* answers; PlatformError if it does not."""
        await self._children[name].ready(timeout_s=timeout_s)

    def end_leftovers(self) -> None:
        """
        End what a supervisor that was killed in this directory left running.

        Raises:
            PlatformError: The platform there is alive.
        """
        self._refuse_two()
        self._end_leftovers()
        self.postgres.end_stale()
        self.nats.end_stale()

    async def __aenter__(self) -> Self:
        """Start everything, and return when all of it answers."""
        self.end_leftovers()
        try:
            self._stack.enter_context(_sigterm_cancels())
            await self._start_servers()
            await self._prepare()
            await self._start_children()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop services, then simulators, then the servers."""
        await self._leave()

    async def _start_servers(self) -> None:
        self._say("Starting PostgreSQL and NATS")
        self.nats.users = authorization(
            self.secrets.nats_seeds, {name: hears(name) for name in self.services}
        )
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in self._servers))
        self._watcher = asyncio.create_task(self._watch_servers(), name="watch servers")

    async def _prepare(self) -> None:
        self._say("Preparing schemas, roles and streams")
        if self._simulators:
            from deploy.sandbox import keys

            await asyncio.to_thread(keys.make, self.directory / "keys")
        await _create_database(self.postgres.dsn())
        plan = Preparation(
            admin_dsn=self.postgres.dsn(DATABASE),
            nats_url=self.nats.url,
            nats_nkey_seed=self.secrets.nats_seeds[BOOTSTRAP],
            passwords=self.secrets.passwords,
            services=self.services,
            operator_key=self.operator_key,
        )
        for name in await prepare(plan):
            self._note(f"applied {name}", aloud=False)

    async def _start_children(self) -> None:
        for name in self.skipped:
            self._note(f"{name} is not here: there is no services/{name}/__main__.py")
        self._children = {
            program.name: Child(
                program, logs=self._logs, restart=self._restart, changed=self._changed
            )
            for program in self._programs()
        }
        for kind in ("simulator", "service"):
            started = [one for one in self._children.values() if one.program.kind == kind]
            if started:
                self._say(f"Starting {', '.join(one.program.name for one in started)}")
            for child in started:
                child.start()
            await asyncio.gather(*(child.ready() for child in started))
        self._write_state()

    def _programs(self) -> list[Program]:
        ports = {name: free_port() for one in self._simulators for name in one.serves}
        names = [
            f"{service}-{number}" if number > 1 else service
            for service in self.services
            for number in range(1, self._replicas.get(service, 1) + 1)
        ]
        own = {name: free_port() for name in names}
        simulators = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self._around = Surroundings(
            directory=self.directory,
            secrets=self.secrets,
            dsns=self._dsns(),
            nats_url=self.nats.url,
            services={name: f"http://127.0.0.1:{own[name]}" for name in self.services},
            simulators=simulators,
            clock_url=self._clock_url(simulators),
        )
        return [self._simulator(one, ports) for one in self._simulators] + [
            self._service(name, port) for name, port in own.items()
        ]

    def _clock_url(self, simulators: Mapping[str, str]) -> str | None:
        if self.now is None or not simulators:
            return None
        return f"{next(iter(simulators.values()))}/_sandbox/clock"

    def _simulator(self, simulator: Simulator, ports: Mapping[str, int]) -> Program:
        books = self.directory / "sandbox"
        books.mkdir(exist_ok=True)
        if len(simulator.serves) == 1:  # a file; who serves several gets the directory
            books /= f"{simulator.name}.sqlite"
        time = ["--now", self.now.isoformat()] if self.now is not None else ["--real-time"]
        return Program(
            name=simulator.name,
            kind="simulator",
            module=simulator.module,
            url=self._around.simulators[simulator.serves[0]],
            probes=tuple(f"{self._around.simulators[name]}/healthz" for name in simulator.serves),
            arguments=[
                *simulator_arguments(simulator, ports),
                *("--keys", str(self._around.keys)),
                *("--books", str(books)),
                *time,
            ],
            environment=simulator_environment(simulator, self._around)
            | dict(self._extra_env.get(simulator.name, {})),
        )

    def _service(self, name: str, port: int) -> Program:
        service = name.partition("-")[0]
        environment = service_environment(service, self._around, port=port)
        url = f"http://127.0.0.1:{port}"
        return Program(
            name=name,
            kind="service",
            module=self._modules.get(service, f"services.{service}"),
            url=url,
            probes=(f"{url}/readyz",),
            environment=environment | dict(self._extra_env.get(service, {})),
        )

    def _dsns(self) -> dict[str, str]:
        dsns = {
            role: self.postgres.dsn(DATABASE, user=role, password=word)
            for role, word in self.secrets.passwords.items()
        }
        return dsns | {"postgres": self.postgres.dsn(DATABASE)}

    @property
    def _servers(self) -> tuple[Server, ...]:
        return (self.postgres, self.nats)

    @property
    def _logs(self) -> Path:
        logs = self.directory / "logs"
        logs.mkdir(exist_ok=True)
        return logs

    async def _watch_servers(self) -> None:
        while True:
            for server in self._servers:
                if server.pid is None and server.name not in self._resting:
                    self._note(f"{server.name} ended and is started again")
                    await asyncio.to_thread(server.start)
                    self._write_state()
            await asyncio.sleep(CHECK_SERVERS_EVERY_S)

    async def _leave(self) -> None:
        children = list(self._children.values())
        for kind in ("service", "simulator"):
            await asyncio.gather(
                *(child.stop() for child in children if child.program.kind == kind)
            )
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        for server in reversed(self._servers):
            await asyncio.to_thread(server.stop)
        self.state_file.unlink(missing_ok=True)
        await self._stack.aclose()

    def _changed(self, note: str) -> None:
        if note:
            self._note(note)
        if self.state_file.exists():
            self._write_state()

    def _note(self, text: str, *, aloud: bool = True) -> None:
        self.notes.append(text)
        if aloud:
            self._say(text)

    def _write_state(self) -> None:
        processes = [
            {
                "name": name,
                "kind": child.program.kind,
                "module": child.program.module,
                "pid": child.pid,
                "url": child.program.url,
                "log": str(child.log),
            }
            for name, child in self._children.items()
        ]
        servers = [{"name": one.name, "kind": "server", "pid": one.pid} for one in self._servers]
        state = {
            "pid": os.getpid(),
            "written_at": datetime.now(UTC).isoformat(),
            "test_clock": self.now is not None,
            "operator_key": self.operator_key,
            "postgres": self._dsns(),
            "nats": {
                "url": self.nats.url,
                "monitor_url": self.nats.monitor_url,
                "bootstrap_seed": self.secrets.nats_seeds[BOOTSTRAP],
            },
            "services": dict(self._around.services),
            "simulators": dict(self._around.simulators),
            "keys": str(self._around.keys),
            "processes": servers + processes,
        }
        write_private(self.state_file, orjson.dumps(state, option=orjson.OPT_INDENT_2))

    def _read_state(self) -> dict[str, object]:
        with contextlib.suppress(OSError, orjson.JSONDecodeError):
            state = orjson.loads(self.state_file.read_bytes())
            if isinstance(state, dict):
                return state
        return {}

    def _refuse_two(self) -> None:
        pid = self._read_state().get("pid")
        if isinstance(pid, int) and pid != os.getpid() and process_runs(pid, needle="python"):
            raise PlatformError(f"A platform runs in {self.directory} already (process {pid})")

    def _end_leftovers(self) -> None:
        """End the children of a supervisor that was killed; the servers end their own."""
        found = self._read_state().get("processes")
        for process in found if isinstance(found, list) else ():
            pid, module = process.get("pid"), process.get("module")
            if isinstance(pid, int) and isinstance(module, str):
                end_process(pid, needle=f"-m {module}", numbers=(signal.SIGTERM, signal.SIGKILL))
        self.state_file.unlink(missing_ok=True)


@contextlib.contextmanager
def _sigterm_cancels() -> Iterator[None]:
    """Let SIGTERM cancel the task that runs the platform, so that leaving it stops everything."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _create_database(admin_dsn: str) -> None:
    conn = await asyncpg.connect(admin_dsn)
    try:
        if not await conn.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await conn.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await conn.close()


async def _run(directory: Path, *, now: datetime | None) -> None:
    async with Platform(directory, now=now) as platform:
        print(f"\nThe platform is up; {platform.state_file} has everything in one place.")
        for service in platform.services:
            print(f"  {service:<12} {platform.url(service)}   {platform.url(service)}/openapi.json")
        print(f"  operator key {platform.operator_key}\nCtrl-C stops it.")
        await asyncio.Event().wait()


def instant(text: str) -> datetime:
    """
    Return the instant that *text* names; without an offset it is meant in China.

    Raises:
        ValueError: It is no ISO date and time.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=CHINA)


def main() -> None:
    """Run the platform until Ctrl-C or SIGTERM; what stands in its way is said in a sentence."""
    parser = argparse.ArgumentParser(description="Run the platform on this machine.")
    parser.add_argument("--directory", type=Path, default=Path("var/run"))
    parser.add_argument(
        "--now",
        type=instant,
        metavar="INSTANT",
        help="start a test clock at this instant, e.g. 2026-03-01T00:00:00+00:00",
    )
    given = parser.parse_args()
    try:
        asyncio.run(_run(given.directory, now=given.now))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return
    except (PlatformError, EmbeddedError) as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"The platform cannot run in {given.directory}: {error}")


if __name__ == "__main__":
    main()
