"""Real PostgreSQL and NATS for tests: one of each per test process, started when first needed."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import asyncpg

from deploy.embedded import Nats, Postgres, exit_on_signals, place_for_ordinary_user
from deploy.nats.accounts import BOOTSTRAP, Hears, authorization, new_seed
from deploy.processes import process_runs
from deploy.schemas import AUDITOR, prepare_schema
from deploy.topology import SERVICES
from shared.db import Connection, Database

BACKEND = os.environ.get("YUEFU_TEST_BACKEND", "embedded")


class Cluster(Protocol):
    """A PostgreSQL server whose superuser we are."""

    def dsn(self, database: str = ..., *, user: str = ..., password: str | None = ...) -> str: ...


@dataclass
class TestDatabases:
    """
    Databases for tests, each cloned from one that ran a service's real migrations.

    A service's template is made when a test first asks for that service.
    """

    __test__ = False

    cluster: Cluster
    passwords: dict[str, str] = field(
        default_factory=lambda: {name: secrets.token_hex(8) for name in (*SERVICES, AUDITOR)}
    )
    _templates: dict[str, str] = field(default_factory=dict)
    _connection: tuple[asyncio.AbstractEventLoop, Connection] | None = None

    @asynccontextmanager
    async def fresh(self, service: str) -> AsyncIterator[Database]:
        """Lend a new, migrated database of *service*, connected as the service's own role."""
        async with self.fresh_name(service) as name:
            db = await Database.open(
                self.dsn(name, role=service), schema=service, name=f"test-{service}", size=5
            )
            try:
                yield db
            finally:
                await db.close()

    @asynccontextmanager
    async def fresh_name(self, *services: str) -> AsyncIterator[str]:
        """Lend the name of a new database that has the schemas of *services*."""
        template = await self._template(*services)
        name = f"test_{secrets.token_hex(6)}"
        await self._admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            # A database does not inherit what its template grants on itself.
            roles = ", ".join((*services, AUDITOR))
            await self._admin(
                f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;"
                f"GRANT CONNECT ON DATABASE {name} TO {roles}"
            )
            yield name
        finally:
            await self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    def dsn(self, database: str, *, role: str) -> str:
        """Return the DSN of *database* for *role*, a service or the auditor."""
        return self.cluster.dsn(database, user=role, password=self.passwords[role])

    async def _template(self, *services: str) -> str:
        key = "_".join(services)
        if key not in self._templates:
            name = f"template_{key}"
            await self._admin(f"DROP DATABASE IF EXISTS {name}")
            await self._admin(f"CREATE DATABASE {name}")
            conn = await asyncpg.connect(self.cluster.dsn(name))
            try:
                for service in services:
                    await prepare_schema(conn, service, passwords=self.passwords)
            finally:
                await conn.close()
            self._templates[key] = name
        return self._templates[key]

    async def _admin(self, statement: str) -> None:
        loop = asyncio.get_running_loop()
        if self._connection is None or self._connection[0] is not loop:
            self._connection = (loop, await asyncpg.connect(self.cluster.dsn()))
        await self._connection[1].execute(statement)


@dataclass(frozen=True)
class NatsForTests:
    """A NATS server; with users, *seeds* are their keys by service, and the bootstrap user's."""

    url: str
    seeds: dict[str, str]


class _ContainerCluster:
    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)

    def dsn(
        self, database: str = "postgres", *, user: str = "postgres", password: str | None = None
    ) -> str:
        where = f"{self._parts.hostname}:{self._parts.port}"
        return f"postgresql://{user}:{password or self._parts.password}@{where}/{database}"


@contextmanager
def postgres() -> Iterator[Cluster]:
    """Run a cluster that forgets everything, without fsync."""
    if BACKEND == "containers":
        from testcontainers.postgres import PostgresContainer

        with PostgresContainer("postgres:18", username="postgres", driver=None) as container:
            yield _ContainerCluster(container.get_connection_url())
        return
    with _directory() as directory:
        server = Postgres(directory / "postgres", fsync=False)
        server.start()
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(place_for_ordinary_user(server.directory), ignore_errors=True)


@contextmanager
def nats(*, hears: dict[str, list[Hears]] | None = None) -> Iterator[NatsForTests]:
    """
    Run a NATS server that forgets everything.

    With *hears*, by service, it admits only the services and the bootstrap user, each
    with its own permissions; without, anybody may do anything.
    """
    seeds = {} if hears is None else {name: new_seed() for name in (BOOTSTRAP, *SERVICES)}
    if BACKEND == "containers" and hears is None:
        from testcontainers.community.nats import NatsContainer

        with NatsContainer("nats:2.15", jetstream=True) as container:
            yield NatsForTests(container.nats_uri(), seeds)
        return
    with _directory() as directory:
        users = authorization(seeds, hears) if hears is not None else ""
        server = Nats(directory / "nats", users=users)
        server.start()
        try:
            yield NatsForTests(server.url, seeds)
        finally:
            server.stop()


@contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory for a server, and clear away what killed test runs left behind."""
    exit_on_signals()
    base = Path(tempfile.gettempdir()) / f"yuefu-tests-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    for left in base.iterdir():
        owner = left.name.partition("-")[0]
        if owner.isdigit() and not process_runs(int(owner), needle="python"):
            _clear(left)
    directory = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=base))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _clear(directory: Path) -> None:
    """Stop servers that still run in *directory*, by the ids they wrote there, and remove it."""
    Postgres(directory / "postgres").end_stale()
    Nats(directory / "nats").end_stale()
    shutil.rmtree(place_for_ordinary_user(directory / "postgres"), ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)
