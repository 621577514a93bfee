"""A platform whose books agree, with its simulators' books served over HTTP."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from deploy.audit import read_json
from deploy.audit.books import read_books
from deploy.audit.finding import Scene
from deploy.running import RunningPlatform
from deploy.topology import SERVICES
from shared.db import Connection
from tests.audit import books, state
from tests.audit.books import Doc
from tests.support.servers import TestDatabases

Shown = dict[str, dict[str, list[Doc]]]


@dataclass
class Platform:
    """Something to audit, and to spoil: what a test changes is undone after it."""

    running: RunningPlatform
    db: Connection
    """In a transaction of a superuser, whom no trigger and no foreign key stops."""
    books: Shown = field(default_factory=books.books)
    at_second_look: Callable[[], object] = lambda: None

    async def scene(self) -> Scene:
        """Return the platform with what this test has done to it."""
        return Scene(self.db, await read_books(self.running))


@pytest.fixture(scope="session")
async def written(databases: TestDatabases) -> AsyncIterator[str]:
    """The name of a database that has the whole platform in it."""
    async with databases.fresh_name(*SERVICES) as name:
        db = await asyncpg.connect(databases.cluster.dsn(name))
        await state.write(db)
        await db.close()
        yield name


@pytest.fixture
async def platform(databases: TestDatabases, written: str) -> AsyncIterator[Platform]:
    looks = 0

    async def get_books(request: web.Request) -> web.Response:
        nonlocal looks
        name = request.match_info["name"]
        looks += name == "alipay"
        if looks > 1:
            made.at_second_look()
        return web.json_response({"summary": {}, **made.books[name]})

    async def get_clock(_request: web.Request) -> web.Response:
        return web.json_response({"now": state.NOW.isoformat(), "busy": False})

    app = web.Application()
    app.router.add_get("/{name}/_sandbox/books", get_books)
    app.router.add_get("/{name}/_sandbox/clock", get_clock)
    db = await asyncpg.connect(databases.cluster.dsn(written))
    async with TestServer(app) as server:
        running = RunningPlatform(
            services={},
            simulators={key: str(server.make_url(f"/{key}")) for key in books.books()},
            processes={},
            operator_key="",
            auditor_dsn=databases.dsn(written, role="auditor"),
            nats_url="",
            nats_monitor_url="",
            nats_bootstrap_seed="",
            test_clock=True,
        )
        await read_json(db)
        await db.execute("SET session_replication_role = replica; SET jit = off; BEGIN")
        made = Platform(running, db)
        yield made
        await db.close()
