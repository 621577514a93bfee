"""What the figures stand on: one PostgreSQL with fsync, databases made for one figure each."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg

from deploy.embedded import Postgres
from deploy.schemas import AUDITOR, prepare_schema
from shared.db import Connection, Database

NOW: Final = datetime(2026, 12, 10, 2, 0, tzinfo=UTC)
"""Business time of every figure: ten in the morning in China, inside the hours for charges."""

POOL: Final = 10


@dataclass(frozen=True, slots=True)
class Ground:
    """The cluster, and the passwords of the roles in it."""

    postgres: Postgres
    passwords: dict[str, str]

    @asynccontextmanager
    async def fresh(self, service: str, *, bare: str) -> AsyncIterator[Database]:
        """
        Lend a new, migrated database of *service*, with the tables *bare* beside its own.

        *bare* is SQL that makes what the bare program needs, in the service's schema.
        """
        name = f"bench_{secrets.token_hex(4)}"
        admin = await asyncpg.connect(self.postgres.dsn())
        try:
            await admin.execute(f"CREATE DATABASE {name}")
            await self._prepare(name, service, bare)
            dsn = self.postgres.dsn(name, user=service, password=self.passwords[service])
            db = await Database.open(dsn, schema=service, name=f"bench-{service}", size=POOL)
            try:
                yield db
            finally:
                await db.close()
        finally:
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await admin.close()

    async def _prepare(self, name: str, service: str, bare: str) -> None:
        conn = await asyncpg.connect(self.postgres.dsn(name))
        try:
            passwords = {role: self.passwords[role] for role in (service, AUDITOR)}
            await prepare_schema(conn, service, passwords=passwords)
            await conn.execute(f"SET ROLE {service}_owner; SET search_path = {service}")
            await conn.execute(bare)
        finally:
            await conn.close()


async def analyse(db: Database) -> None:
    """Let the planner know what was just prepared, as autovacuum would have by then."""
    async with db.connection() as conn:
        await _analyse(conn)


async def _analyse(conn: Connection) -> None:
    rows = await conn.fetch(
        "SELECT format('%I', tablename) AS name FROM pg_tables WHERE schemaname = current_schema()"
    )
    for row in rows:
        await conn.execute(f"ANALYZE {row['name']}")
