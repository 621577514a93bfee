"""A database on one connection inside one transaction: any moment can be returned to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from shared.db import Connection, Database, Doorbell


class PinnedDatabase(Database):
    """
    Lends always the same connection; what would commit releases a savepoint.

    *committed_one* is called after each commit: a process may die there.  Tasks wait for each
    other, as they would for the agreement's lock; one task may ask again inside its own turn.
    """

    def __init__(self, conn: Connection, *, schema: str, committed_one: Callable[[], None]) -> None:
        self.schema = schema
        self.name = "pinned"
        self.committed = Doorbell()
        self._conn = conn
        self._turn = asyncio.Lock()
        self._owner: asyncio.Task[object] | None = None
        self._committed_one = committed_one

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._mine(), self._conn.transaction():
            yield self._conn

    @asynccontextmanager
    async def transaction(self, *, quiet: bool = False) -> AsyncIterator[Connection]:
        async with self._mine(), self._conn.transaction():
            yield self._conn
        self._committed_one()

    @asynccontextmanager
    async def _mine(self) -> AsyncIterator[None]:
        me = asyncio.current_task()
        if self._owner is me:
            yield
            return
        async with self._turn:
            self._owner = me
            try:
                yield
            finally:
                self._owner = None
