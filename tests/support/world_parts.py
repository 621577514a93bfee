"""What a world is made of: streams in memory, databases whose process may die, open sockets."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from shared.db import Connection, Database


class Crash(BaseException):
    """The process of a service dies here; nothing in it may catch this and go on."""


@dataclass(frozen=True)
class Told:
    """One event as it was published."""

    subject: str
    body: bytes


@dataclass
class Streams:
    """What JetStream does for us, in memory: it keeps every event, and gives it to readers."""

    told: list[Told] = field(default_factory=list)
    _new: deque[Told] = field(default_factory=deque)

    async def publish_async(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
    ) -> asyncio.Future[object]:
        self.told.append(Told(subject, payload))
        self._new.append(self.told[-1])
        stored: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored

    def take(self) -> list[Told]:
        taken = list(self._new)
        self._new.clear()
        return taken


class MortalDatabase(Database):
    """A database whose process may die around a commit: *around* sees each of them."""

    around: Callable[[str], None] | None = None
    """Called with ``before`` and ``after`` at each commit; raising Crash there is dying."""
    dead = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        if self.dead:
            raise Crash(self.schema)
        async with super().connection() as conn:
            yield conn

    @asynccontextmanager
    async def transaction(self, *, quiet: bool = False) -> AsyncIterator[Connection]:
        async with super().transaction(quiet=quiet) as conn:
            yield conn
            self._pass("before")
        self._pass("after")

    def _pass(self, where: str) -> None:
        if self.dead:
            raise Crash(self.schema)
        if self.around is None:
            return
        try:
            self.around(where)
        except Crash:
            self.dead = True
            raise


@web.middleware
async def hang_up(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let callers of a process that dies see what they would see: the line is dead."""
    try:
        return await handler(request)
    except Crash:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)


@asynccontextmanager
async def served(app: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    """Serve *app* on a socket that stays open when the app ends."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, listening.dup()).start()
        yield
    finally:
        await runner.cleanup()


def listening() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0), backlog=256)
    made.setblocking(False)
    return made
