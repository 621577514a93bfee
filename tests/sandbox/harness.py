"""One simulator over real HTTP, its control endpoints, and a listener that takes its pushes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import BaseTestServer, TestServer

from deploy.sandbox.kit import Options, Sandbox

START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # Monday, 10:00 in China
DEADLINE_S = 10


@dataclass
class Push:
    """One request that the simulator sent to us."""

    headers: dict[str, str]
    query: dict[str, str]
    raw: bytes
    form: dict[str, str]


@dataclass
class Hook:
    """Our side of a push: keeps what comes, answers what the test says."""

    url: str = ""
    answer: Any = None
    status: int = 200
    pushes: list[Push] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        form = {key: str(value) for key, value in (await request.post()).items()}
        async with self.came:
            self.pushes.append(Push(dict(request.headers), dict(request.query), raw, form))
            self.came.notify_all()
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        return web.json_response(self.answer, status=self.status)

    async def wait_for(self, count: int) -> list[Push]:
        async with asyncio.timeout(DEADLINE_S), self.came:
            await self.came.wait_for(lambda: len(self.pushes) >= count)
        return self.pushes


@asynccontextmanager
async def hook(answer: Any) -> AsyncIterator[Hook]:
    taker = Hook(answer=answer)
    app = web.Application()
    app.router.add_post("/hook", taker.take)
    async with TestServer(app) as server:
        taker.url = str(server.make_url("/hook"))
        yield taker


@dataclass
class Simulator:
    """A running simulator and a client of it."""

    sandbox: Sandbox
    server: BaseTestServer
    http: ClientSession

    @property
    def now(self) -> datetime:
        return self.sandbox.now()

    @property
    def host(self) -> str:
        return f"{self.server.host}:{self.server.port}"

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))

    async def put(self, path: str, body: Any) -> Any:
        async with self.http.put(self.url(path), json=body) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any, *, status: int = 200) -> Any:
        async with self.http.post(self.url(path), json=body) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def fault(self, account: str, on: str, do: str, **rest: Any) -> None:
        await self.put(f"/_sandbox/faults/{account}", {"steps": [{"on": on, "do": do, **rest}]})

    async def books(self, kind: str) -> list[dict[str, Any]]:
        async with self.http.get(self.url("/_sandbox/books"), params={"kind": kind}) as answer:
            rows: list[dict[str, Any]] = (await answer.json())[kind]
            return rows

    async def advance(self, **delta: float) -> None:
        """Move business time and wait until everything due by then was done."""
        then = self.now + timedelta(**delta)
        state = await self.put("/_sandbox/clock", {"now": then.isoformat()})
        async with asyncio.timeout(DEADLINE_S):
            while state["busy"]:
                await asyncio.sleep(0.01)
                async with self.http.get(self.url("/_sandbox/clock")) as answer:
                    state = await answer.json()


@asynccontextmanager
async def running(
    build: Callable[[Options], Sandbox], options: Options | None = None, **extra: Any
) -> AsyncIterator[Simulator]:
    chosen = options or Options(now=START, extra={key: str(value) for key, value in extra.items()})
    sandbox = build(chosen)
    async with TestServer(sandbox.app) as server, ClientSession() as http:
        yield Simulator(sandbox, server, http)
