"""Numbered SQL files, applied once each and in order to one schema."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.db import Connection

NO_TRANSACTION: Final = "-- yuefu: no transaction"
"""First line of a file whose one statement refuses a transaction; it must repeat safely."""

LOCK_TIMEOUT: Final = "10s"
"""A migration that waits longer for a table gives up rather than queue everybody behind it."""

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_SCHEMA = re.compile(r"[a-z][a-z0-9_]*")


class MigrationError(Exception):
    """The files and what was applied do not fit each other."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: *name* is ``series/NNNN_words``, under which it is remembered."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read(directory: Path, *, series: str) -> list[Migration]:
    """
    Return the files of *directory* in the order of their numbers; none if it is missing.

    Raises:
        MigrationError: A name is not ``NNNN_words.sql``, or a number stands twice.
    """
    found: dict[str, Migration] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"Not a migration's name: {path.name}")
        if match[1] in found:
            raise MigrationError(f"Number {match[1]} stands twice in {series}")
        found[match[1]] = Migration(f"{series}/{path.stem}", path.read_text(encoding="utf-8"))
    return list(found.values())


async def migrate(
    conn: Connection, directory: Path, *, schema: str, series: str = "service"
) -> list[str]:
    """
    Apply what is new in *directory* to *schema* and return the names applied.

    *series* tells apart files of several directories in one schema.  Safe to repeat and
    to run from several processes at once.  *conn* must be outside a transaction, as a
    role that may create tables in *schema*; its search path is *schema* afterwards.

    Raises:
        MigrationError: An applied file was edited, or the directory is out of order.
        asyncpg.PostgresError: A statement failed; its file left nothing behind.
    """
    if not _SCHEMA.fullmatch(schema):
        raise MigrationError(f"Not a schema's name: {schema!r}")
    files = read(directory, series=series)
    lock = f"yuefu:migrate:{schema}"
    await conn.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", lock)
    try:
        await conn.execute(f"SET search_path TO {schema}; SET lock_timeout TO '{LOCK_TIMEOUT}'")
        await conn.execute(
            """
            CREATE TABLE IF NOT EXISTS schema_migrations (
                name text PRIMARY KEY,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT clock_timestamp())
            """
        )
        pending = await _pending(conn, files)
        for file in pending:
            await _apply(conn, file)
    finally:
        if not conn.is_closed():
            await conn.execute("RESET lock_timeout")
            await conn.execute("SELECT pg_advisory_unlock(hashtextextended($1, 0))", lock)
    return [file.name for file in pending]


async def _pending(conn: Connection, files: Sequence[Migration]) -> list[Migration]:
    rows = await conn.fetch("SELECT name, checksum FROM schema_migrations")
    applied = {row["name"]: row["checksum"] for row in rows}
    for file in files:
        if applied.get(file.name, file.checksum) != file.checksum:
            raise MigrationError(f"{file.name} was edited after it was applied")
    return [file for file in files if file.name not in applied]


async def _apply(conn: Connection, file: Migration) -> None:
    if file.sql.startswith(NO_TRANSACTION):
        await conn.execute(file.sql)
        await _remember(conn, file)
        return
    async with conn.transaction():
        await conn.execute(file.sql)
        await _remember(conn, file)


async def _remember(conn: Connection, file: Migration) -> None:
    await conn.execute(
        "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", file.name, file.checksum
    )
