"""A service's schema and roles in one database, and its migrations."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import pbkdf2_hmac, sha256
from hmac import digest
from pathlib import Path
from secrets import token_bytes
from typing import Final

from shared.db import Connection
from shared.migrate import migrate

AUDITOR: Final = "auditor"
SCRAM_ITERATIONS: Final = 4096
EXTENSIONS: Final = ("btree_gist",)

_ROOT = Path(__file__).resolve().parent.parent
_ROLES = _ROOT / "deploy" / "postgres" / "roles.sql"


async def prepare_schema(
    conn: Connection, service: str, *, passwords: Mapping[str, str]
) -> list[str]:
    """
    Make roles and schema of *service* in the database of *conn*, and migrate it.

    *passwords* are by role, the service's own and the auditor's.  Safe to repeat; a changed
    password replaces the old one.
    """
    await conn.execute("SELECT pg_advisory_lock(hashtextextended('yuefu:prepare', 0))")
    try:
        async with conn.transaction():
            await _extensions(conn)
            roles = _ROLES.read_text(encoding="utf-8").replace("{service}", service)
            await conn.execute(roles)
            for role in (service, AUDITOR):
                await _set_password(conn, role, passwords[role])
            database = await conn.fetchval("SELECT quote_ident(current_database())")
            await conn.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
            await conn.execute(f"GRANT CONNECT ON DATABASE {database} TO {service}, {AUDITOR}")
        return await migrate_service(conn, service)
    finally:
        if not conn.is_closed():
            await conn.execute("SELECT pg_advisory_unlock(hashtextextended('yuefu:prepare', 0))")


async def migrate_service(conn: Connection, service: str) -> list[str]:
    """
    Apply the plumbing's and the service's own migrations; return the names applied.

    They run as the service's owner role, whatever role *conn* logged in as.
    """
    await conn.execute(f"SET ROLE {service}_owner")
    try:
        own = _ROOT / "services" / service / "store" / "migrations"
        applied = await migrate(
            conn, _ROOT / "shared" / "migrations", schema=service, series="shared"
        )
        applied += await migrate(conn, own, schema=service, series=service)
        await conn.execute(
            f"REVOKE INSERT, UPDATE, DELETE ON {service}.schema_migrations FROM {service}"
        )
    finally:
        await conn.execute("RESET ROLE")
    return applied


async def _extensions(conn: Connection) -> None:
    await conn.execute("CREATE SCHEMA IF NOT EXISTS extensions")
    for name in EXTENSIONS:
        await conn.execute(f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA extensions")


async def _set_password(conn: Connection, role: str, password: str) -> None:
    """Send the verifier, never the password: a statement may end up in the server's log."""
    statement = await conn.fetchval(
        "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", role, _scram(password)
    )
    await conn.execute(statement)


def _scram(password: str) -> str:
    """Return what PostgreSQL stores for *password*, plain ASCII (RFC 5803)."""
    salt = token_bytes(16)
    salted = pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ITERATIONS)
    stored = sha256(digest(salted, b"Client Key", "sha256")).digest()
    server = digest(salted, b"Server Key", "sha256")
    parts = [b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"
