"""
Keys of callers: ``yf_<environment>_<id>_<secret>``, of which we keep a hash.

The secret is 192 random bits, so a plain SHA-256 of it cannot be guessed back.  A key
is rotated by issuing a second one and revoking the first when its last user has moved.
"""

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from shared.db import Connection
from shared.errors import NotFound, Unauthentic

REMEMBERED_FOR: Final = timedelta(seconds=30)
"""How long a revoked key may still work in a process that has just used it."""
REMEMBERED_MAX: Final = 4096

_TOKEN: Final = re.compile(r"yf_([a-z]{1,16})_([0-9a-f]{16})_([0-9a-f]{48})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the database knows it; ``tenant_id`` None is the operator's."""

    key_id: str
    secret_sha256: bytes
    tenant_id: UUID | None
    scopes: frozenset[str]
    name: str
    created_at: datetime
    not_after: datetime | None
    revoked_at: datetime | None

    def require(self, secret: str, *, now: datetime) -> None:
        """Raise Unauthentic unless *secret* opens this key at *now*."""
        fits = hmac.compare_digest(self.secret_sha256, hash_secret(secret))
        ended = self.revoked_at is not None or (self.not_after and self.not_after <= now)
        if not fits or ended:
            raise Unauthentic("This key is not valid.")


def hash_secret(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def read_token(header: str | None, *, environment: str) -> tuple[str, str]:
    """
    Return (key id, secret) from an Authorization header.

    Raises:
        Unauthentic: It is absent, not one of ours, or of another environment.
    """
    scheme, _, token = (header or "").partition(" ")
    found = _TOKEN.fullmatch(token.strip())
    if scheme.lower() != "bearer" or found is None:
        raise Unauthentic("Send a key: Authorization: Bearer yf_...")
    if found[1] != environment:
        raise Unauthentic("This key belongs to another environment.")
    return found[2], found[3]


def new_token(environment: str) -> str:
    """Return a key nobody else has; it opens nothing before it is installed."""
    return f"yf_{environment}_{secrets.token_hex(8)}_{secrets.token_hex(24)}"


async def issue_key(
    conn: Connection,
    *,
    tenant_id: UUID | None,
    scopes: list[str],
    name: str,
    now: datetime,
    not_after: datetime | None = None,
    environment: str = "live",
) -> str:
    """Make a key and return it; this is the only time anybody sees it whole."""
    token = new_token(environment)
    await install_key(
        conn, token, tenant_id=tenant_id, scopes=scopes, name=name, now=now, not_after=not_after
    )
    return token


async def install_key(
    conn: Connection,
    token: str,
    *,
    tenant_id: UUID | None,
    scopes: list[str],
    name: str,
    now: datetime,
    not_after: datetime | None = None,
) -> bool:
    """
    Let *token*, made elsewhere, open what *scopes* say; False if it stood already.

    Raises:
        ValueError: *token* does not look like a key.
    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ValueError("Not a key: yf_<environment>_<16 hex>_<48 hex> is expected")
    done = await conn.execute(
        """
        INSERT INTO api_keys
               (key_id, secret_sha256, tenant_id, scopes, name, created_at, not_after)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (key_id) DO NOTHING
        """,
        found[2],
        hash_secret(found[3]),
        tenant_id,
        sorted(scopes),
        name,
        now,
        not_after,
    )
    return bool(done == "INSERT 0 1")


async def revoke_key(conn: Connection, key_id: str, *, now: datetime) -> None:
    """
    Let the key open nothing any more, within ``REMEMBERED_FOR``; repeats safely.

    Raises:
        NotFound: There is no such key.
    """
    done = await conn.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE key_id = $1", key_id, now
    )
    if done == "UPDATE 0":
        raise NotFound("No such key.", key_id=key_id)


async def find_key(conn: Connection, key_id: str) -> ApiKey | None:
    """Return the key called *key_id*, whatever its state."""
    row = await conn.fetchrow(
        """
        SELECT key_id, secret_sha256, tenant_id, scopes, name, created_at, not_after, revoked_at
          FROM api_keys
         WHERE key_id = $1
        """,
        key_id,
    )
    return None if row is None else ApiKey(**{**row, "scopes": frozenset(row["scopes"])})


class KeyMemory:
    """Keys seen lately in this process, so that most requests ask no database."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[ApiKey, datetime]] = OrderedDict()

    def recall(self, key_id: str, *, now: datetime) -> ApiKey | None:
        """Return the key if it was looked up within ``REMEMBERED_FOR``."""
        seen = self._seen.get(key_id)
        return None if seen is None or now - seen[1] >= REMEMBERED_FOR else seen[0]

    def note(self, key: ApiKey, *, now: datetime) -> None:
        """Remember what the database said; the oldest note makes room."""
        self._seen[key.key_id] = (key, now)
        self._seen.move_to_end(key.key_id)
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
