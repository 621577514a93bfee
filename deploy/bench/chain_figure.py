"""Charge to wallet to shipment to message per second, on real processes, against a bare chain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import nats
from nats.js.api import StreamConfig

from deploy.bench import bare_chain
from deploy.bench.bare_chain import COMMON_TABLES, ROLES, TABLES
from deploy.bench.children import bare_process
from deploy.bench.due import make_due
from deploy.bench.ground import NOW
from deploy.bench.lives import live, until
from deploy.bench.meter import alternate
from deploy.bench.report import Figure, figure
from deploy.embedded import Nats
from deploy.platform import Platform
from shared.db import Database

DATABASE: Final = "bare_chain"


async def chain_figure(platform: Platform, *, charges: int, rounds: int) -> Figure:
    """Measure from the moment that *charges* are due until all is planned and queued."""
    customers = charges * rounds
    await live(platform, customers)
    begun = 0
    async with (
        _bare_chain(platform, first=customers, count=customers) as (bare_url, bare_admin),
        aiohttp.ClientSession(raise_for_status=True) as session,
    ):
        admin = await asyncpg.connect(platform.dsn("postgres"))
        billing = await Database.open(
            platform.dsn("postgres"), schema="billing", name="bench", size=2
        )

        async def before() -> None:
            nonlocal begun
            at = NOW + timedelta(minutes=1 + begun // charges)
            await make_due(billing, first=begun, count=charges, at=at)
            begun += charges
            await _make_bare_due(bare_admin, charges)
            await admin.execute("ANALYZE")
            await bare_admin.execute("ANALYZE")

        async def ours() -> int:
            now = (NOW + timedelta(minutes=begun // charges)).isoformat()
            await session.put(f"{platform.url('billing')}/ops/clock", json={"now": now})
            for count in _OURS:
                await until(admin, count, begun)
            await _quiet(session, platform)
            return charges

        async def bare() -> int:
            await session.post(f"{bare_url}/go")
            for count in _BARE:
                await until(bare_admin, count, begun)
            await _quiet(session, platform)
            return charges

        compared = await alternate(ours, bare, rounds=rounds, before=before)
        await billing.close()
        await admin.close()
    return figure(
        "whole chain",
        "charges/s",
        compared,
        against="bare processes: claim, sign, call, record, relay, batch consumers; same rail",
    )


_OURS: Final = (
    "SELECT count(*) FROM fulfillment.shipments",
    "SELECT count(DISTINCT instalment_id) FROM notify.messages WHERE cause = 'charge.collected'",
    "SELECT count(*) FROM billing.shipments_seen",
)
_BARE: Final = (
    "SELECT count(*) FROM fulfillment.shipments",
    "SELECT count(*) FROM notify.messages",
    "SELECT count(*) FROM billing.shipments_seen",
)


async def _quiet(session: aiohttp.ClientSession, platform: Platform) -> None:
    """Wait until the rail has told of every charge."""
    async with asyncio.timeout(60):
        while True:
            async with session.get(f"{platform.url('alipay')}/_sandbox/clock") as answer:
                if not (await answer.json())["busy"]:
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _bare_chain(
    platform: Platform, *, first: int, count: int
) -> AsyncIterator[tuple[str, "asyncpg.Connection[asyncpg.Record]"]]:
    """Run the bare processes on a database and a NATS server of their own."""
    dsn = platform.postgres.dsn(DATABASE)
    server = Nats(platform.directory / "nats-bare")
    await asyncio.to_thread(server.start)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, server.stop)
        await _prepare(platform, server.url, dsn, first=first, count=count)
        urls = {}
        for role in ROLES:
            environment = {
                "BARE_ROLE": role,
                "BARE_DSN": dsn,
                "BARE_NATS_URL": server.url,
                "BARE_RAIL_URL": f"{platform.url('alipay')}/gateway.do",
                "BARE_KEYS_DIR": str(platform.directory / "keys"),
            }
            urls[role] = await stack.enter_async_context(
                bare_process(
                    f"bare-{role}",
                    "deploy.bench.bare_chain",
                    logs=Path(platform.directory / "logs"),
                    environment=environment,
                )
            )
        admin = await asyncpg.connect(dsn)
        stack.push_async_callback(admin.close)
        yield urls["billing"], admin


async def _prepare(platform: Platform, nats_url: str, dsn: str, *, first: int, count: int) -> None:
    admin = await asyncpg.connect(platform.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {DATABASE}")
    await admin.close()
    admin = await asyncpg.connect(dsn)
    for role in ROLES:
        await admin.execute(f"CREATE SCHEMA {role}; SET search_path = {role}")
        await admin.execute(COMMON_TABLES + TABLES[role])
    await admin.execute(
        """
        INSERT INTO billing.bare_due (due_id, agreement_no, customer_id, amount_fen, status)
        SELECT gen_random_uuid(), '20261210' || lpad(n::text, 12, '0'), gen_random_uuid(),
               19900, 0
          FROM generate_series($1::int, $1::int + $2::int - 1) AS n
        """,
        first,
        count,
    )
    await admin.close()
    client = await nats.connect(nats_url)
    js = client.jetstream()
    for role in ROLES:
        await js.add_stream(StreamConfig(name=role, subjects=[f"{role}.>"]))
    for role in ROLES:
        stream, config = bare_chain.consumer(role)
        await js.add_consumer(stream, config)
    await client.close()


async def _make_bare_due(admin: "asyncpg.Connection[asyncpg.Record]", count: int) -> None:
    await admin.execute(
        """
        UPDATE billing.bare_due SET due_at = now() WHERE due_id IN (
               SELECT due_id FROM billing.bare_due WHERE due_at IS NULL LIMIT $1)
        """,
        count,
    )
