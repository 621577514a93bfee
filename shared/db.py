"""A service's database: a pool bound to its schema, transactions, and a doorbell after commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Self, TypeAlias
from uuid import UUID
from weakref import WeakSet

import asyncpg
import orjson

from shared.errors import TryLater

Row: TypeAlias = asyncpg.Record
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)

OLDEST_SERVER: Final = 180000
STATEMENT_TIMEOUT_S: Final = 30
IDLE_IN_TRANSACTION_TIMEOUT_S: Final = 30
ACQUIRE_TIMEOUT_S: Final = 30
CLOSE_TIMEOUT_S: Final = 10

_JSONB_VERSION: Final = b"\x01"


class DatabaseBusy(TryLater):
    """No connection came free in time."""

    code = "database-busy"


class Doorbell:
    """
    Tells those in this process who wait for work that something was committed.

    A convenience that saves waiting, never a queue: other processes ring nothing here,
    so everybody who waits for the bell also polls.
    """

    def __init__(self) -> None:
        self._events: WeakSet[asyncio.Event] = WeakSet()

    def subscribe(self) -> asyncio.Event:
        """Return an event that every ring sets; the waiter clears it before it looks."""
        event = asyncio.Event()
        self._events.add(event)
        return event

    def unsubscribe(self, event: asyncio.Event) -> None:
        """Stop setting *event*; forgetting it altogether does the same."""
        self._events.discard(event)

    def ring(self) -> None:
        """Wake everybody who subscribed."""
        for event in list(self._events):
            event.set()


class Database:
    """A pool of connections that see one schema; ``committed`` rings after each commit."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, schema: str, name: str) -> None:
        self._pool = pool
        self.schema = schema
        self.name = name
        self.committed = Doorbell()

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        schema: str,
        name: str,
        size: int = 10,
        min_size: int = 1,
        statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    ) -> Self:
        """
        Connect as the role in *dsn*, with *schema* alone on the search path.

        *name* is the application name the server shows; at most *size* connections are
        held.  Nobody may leave session state behind: released connections are not reset.

        Raises:
            RuntimeError: The server is older than PostgreSQL 18.
            OSError, asyncpg.PostgresError: It cannot be reached, or refuses us.
        """
        pool = await asyncpg.create_pool(
            dsn,
            min_size=min(min_size, size),
            max_size=size,
            init=_prepare_connection,
            reset=_leave_as_is,
            command_timeout=statement_timeout_s + 5,
            server_settings={
                "search_path": schema,
                "application_name": name,
                "timezone": "UTC",
                "statement_timeout": f"{int(statement_timeout_s * 1000)}",
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_S * 1000}",
            },
        )
        database = cls(pool, schema=schema, name=name)
        try:
            await database.require_version(OLDEST_SERVER)
        except BaseException:
            pool.terminate()
            raise
        return database

    async def close(self) -> None:
        """Wait a little for running work, then close every connection; repeats safely."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def ping(self, *, timeout_s: float = 1.0) -> bool:
        """Return whether the server answers within *timeout_s*."""
        with suppress(OSError, TryLater, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with asyncio.timeout(timeout_s), self.connection() as conn:
                return bool(await conn.fetchval("SELECT true"))
        return False

    async def require_version(self, oldest: int) -> None:
        """Raise RuntimeError unless the server is at least *oldest* (180000 is 18.0)."""
        async with self.connection() as conn:
            found = await conn.fetchval("SELECT current_setting('server_version_num')::int")
        if found < oldest:
            raise RuntimeError(f"PostgreSQL {oldest // 10000} or newer is needed, not {found}")

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """
        Lend a connection, each statement its own transaction; the doorbell stays silent.

        Raises:
            DatabaseBusy: None came free within ``ACQUIRE_TIMEOUT_S``.
        """
        try:
            conn = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        except TimeoutError as error:
            raise DatabaseBusy("No database connection came free in time.") from error
        try:
            yield conn
        finally:
            await self._pool.release(conn)

    @asynccontextmanager
    async def transaction(self, *, quiet: bool = False) -> AsyncIterator[Connection]:
        """
        Lend a connection inside a transaction: commits at the end, rolls back on any error.

        A commit rings ``committed``; *quiet* does not.  Who polls because the bell rang
        polls quietly, or it would wake itself for ever.

        Raises:
            DatabaseBusy: No connection came free within ``ACQUIRE_TIMEOUT_S``.
            asyncpg.InvalidCachedStatementError: A migration ran meanwhile; repeat it all.
        """
        async with self.connection() as conn, conn.transaction():
            yield conn
        if not quiet:
            self.committed.ring()


async def _prepare_connection(conn: Connection) -> None:
    await conn.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=_encode_jsonb,
        decoder=_decode_jsonb,
    )


async def _leave_as_is(_: Connection) -> None:
    """Save the reset of every release; the pool still rolls back an open transaction."""


def _encode_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + orjson.dumps(value, default=_plain)


def _plain(value: object) -> str:
    """Let asyncpg's own UUIDs, a subclass that orjson does not know, be texts."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"Not JSON: {type(value).__name__}")


def _decode_jsonb(raw: bytes) -> object:
    return orjson.loads(raw[1:])
