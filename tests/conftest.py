"""Fixtures of all tests: databases, a NATS server."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from deploy import secrets
from deploy.sandbox import keys
from deploy.secrets import Secrets
from shared.db import Database
from tests.support import servers
from tests.support.servers import NatsForTests, TestDatabases

Lend: TypeAlias = Callable[[str], Awaitable[Database]]


@pytest.fixture(scope="session")
def databases() -> Iterator[TestDatabases]:
    """The test session's PostgreSQL: `async with databases.fresh("billing") as db`."""
    with servers.postgres() as cluster:
        yield TestDatabases(cluster)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsForTests]:
    """A NATS server where anybody may do anything; tests use subjects of their own."""
    with servers.nats() as server:
        yield server


@pytest.fixture(scope="session")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's directory, with the keys of every party of the sandbox in ``keys``."""
    directory = tmp_path_factory.mktemp("parties")
    keys.make(directory / "keys")
    return directory


@pytest.fixture(scope="session")
def platform_secrets() -> Secrets:
    """Our own keys, for all services."""
    return secrets.make()


@pytest.fixture
async def fresh_database(databases: TestDatabases) -> AsyncIterator[Lend]:
    """`await fresh_database("wallet")`: a new database, connected as the service's own role."""
    async with AsyncExitStack() as stack:

        def lend(service: str) -> Awaitable[Database]:
            return stack.enter_async_context(databases.fresh(service))

        yield lend


@pytest.fixture
async def signing_db(fresh_database: Lend) -> Database:
    return await fresh_database("signing")


@pytest.fixture
async def billing_db(fresh_database: Lend) -> Database:
    return await fresh_database("billing")


@pytest.fixture
async def wallet_db(fresh_database: Lend) -> Database:
    return await fresh_database("wallet")


@pytest.fixture
async def fulfillment_db(fresh_database: Lend) -> Database:
    return await fresh_database("fulfillment")


@pytest.fixture
async def notify_db(fresh_database: Lend) -> Database:
    return await fresh_database("notify")
