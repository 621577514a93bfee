"""
Everything that must stand before a service starts; ``python -m deploy.prepare``.

Roles, schemas, migrations, streams and consumers, on whatever PostgreSQL and NATS the
settings name.  Safe to repeat, and what it did before it is not done again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import environ
from typing import Final
from urllib.parse import unquote, urlsplit

import asyncpg
from nats.errors import NoServersError

from deploy import streams
from deploy.schemas import AUDITOR, prepare_schema
from deploy.topology import present
from shared.api_keys import install_key
from shared.clock import SystemClock
from shared.db import Connection

WAIT_S: Final = 60.0
"""How long the servers may take to answer."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """
    Where to prepare what.

    *admin_dsn* may make roles and schemas; *passwords* are by role: each service and the
    auditor.  *own_dsns* are for services whose database is not the common one.
    """

    admin_dsn: str
    nats_url: str
    nats_nkey_seed: str | None
    passwords: Mapping[str, str]
    services: tuple[str, ...]
    own_dsns: Mapping[str, str] = field(default_factory=dict)
    operator_key: str | None = None
    """A key that may do everything, let into every service; None: none."""
    nats_replicas: int = 1


def from_environment(env: Mapping[str, str]) -> Preparation:
    """
    Return the preparation that *env* describes.

    ``ADMIN_DSN`` (and ``BILLING_ADMIN_DSN`` where a service has its own server),
    ``NATS_URL``, ``BOOTSTRAP_NATS_NKEY_SEED``, ``NATS_REPLICAS``, ``OPERATOR_KEY``.  The
    passwords are those in ``BILLING_DSN`` and its like and in ``AUDIT_DSN``, so that each
    stands in one place.

    Raises:
        KeyError: One of them is missing.
        ValueError: A service's DSN logs in as somebody else.
    """
    services = present()
    passwords = {name: _password(env[f"{name.upper()}_DSN"], role=name) for name in services}
    passwords[AUDITOR] = _password(env["AUDIT_DSN"], role=AUDITOR)
    own = {name: env.get(f"{name.upper()}_ADMIN_DSN", "") for name in services}
    return Preparation(
        admin_dsn=env["ADMIN_DSN"],
        nats_url=env["NATS_URL"],
        nats_nkey_seed=env.get("BOOTSTRAP_NATS_NKEY_SEED"),
        passwords=passwords,
        services=services,
        own_dsns={name: dsn for name, dsn in own.items() if dsn},
        operator_key=env.get("OPERATOR_KEY"),
        nats_replicas=int(env.get("NATS_REPLICAS", "1")),
    )


async def prepare(plan: Preparation) -> list[str]:
    """Prepare everything and return the names of the migrations applied."""
    applied: list[str] = []
    for service in plan.services:
        conn = await asyncpg.connect(plan.own_dsns.get(service, plan.admin_dsn))
        try:
            applied += await prepare_schema(conn, service, passwords=plan.passwords)
            if plan.operator_key is not None:
                await _let_operator_in(conn, service, plan.operator_key)
        finally:
            await conn.close()
    await streams.declare(plan.nats_url, nkey_seed=plan.nats_nkey_seed, replicas=plan.nats_replicas)
    return applied


async def _prepare_when_they_answer(plan: Preparation) -> list[str]:
    """Try for ``WAIT_S`` while the servers are still starting."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await prepare(plan)
            except (OSError, asyncpg.CannotConnectNowError, NoServersError) as error:
                print(f"waiting: {error!r}")
                await asyncio.sleep(1)


async def _let_operator_in(conn: Connection, service: str, key: str) -> None:
    await conn.execute(f"SET search_path TO {service}")
    await install_key(
        conn, key, tenant_id=None, scopes=["*"], name="operator", now=SystemClock().now()
    )


def _password(dsn: str, *, role: str) -> str:
    parts = urlsplit(dsn)
    if parts.username != role or not parts.password:
        raise ValueError(f"The DSN of {role} must log in as {role}, with a password")
    return unquote(parts.password)


def main() -> None:
    """Prepare what the environment names, and say what was applied."""
    for name in asyncio.run(_prepare_when_they_answer(from_environment(environ))):
        print(f"applied {name}")
    print("prepared")


if __name__ == "__main__":
    main()
