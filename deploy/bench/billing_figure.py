"""Charges per second of the billing run, against a bare loop of the same calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp
from pydantic import SecretStr

from deploy.bench import bare_charges
from deploy.bench.bare_charges import BareRail
from deploy.bench.due import make_due, prepare_customers
from deploy.bench.ground import NOW, Ground, analyse
from deploy.bench.meter import alternate
from deploy.bench.rail import simulated_rail
from deploy.bench.report import Figure, figure
from services.billing.deps import Deps, open_deps
from services.billing.settings import BillingSettings
from services.billing.usecases.attempt_due_charges import attempt_due_charges
from shared.clock import TestClock
from shared.db import Database

NOWHERE: Final = "http://127.0.0.1:9"


async def billing_figure(ground: Ground, work: Path, *, charges: int, rounds: int) -> Figure:
    """Measure the use case as the job calls it, batch after batch, until nothing is due."""
    customers = charges * rounds
    async with (
        simulated_rail(work, 2 * customers) as url,
        ground.fresh("billing", bare=bare_charges.BARE_TABLES) as db,
        billing_deps(db, url, work, now=NOW + timedelta(seconds=1)) as deps,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session,
    ):
        rail = BareRail.open(session, f"{url}/gateway.do", work / "keys", f"{NOWHERE}/webhooks")
        await prepare_customers(db, customers)
        await _prepare_bare(db, first=customers, count=customers)
        begun = 0

        async def before() -> None:
            nonlocal begun
            await make_due(db, first=begun, count=charges)
            await _make_bare_due(db, charges)
            begun += charges
            await analyse(db)

        async def ours() -> int:
            while await attempt_due_charges(deps):
                pass
            return await _collected(db)

        async def bare() -> int:
            while await bare_charges.charge_batch(db, rail):
                pass
            return charges

        compared = await alternate(ours, bare, rounds=rounds, before=before)
    return figure(
        "billing run",
        "charges/s",
        compared,
        against="claim 500, RSA-sign, post to the same simulator, record 500 and their events",
    )


@asynccontextmanager
async def billing_deps(db: Database, url: str, work: Path, *, now: datetime) -> AsyncIterator[Deps]:
    """Open billing's dependencies with the keys below *work* and the rail at *url*."""
    settings = BillingSettings(
        dsn=SecretStr("unused"),
        alipay_gateway_url=f"{url}/gateway.do",
        wechatpay_url=NOWHERE,
        keys_dir=work / "keys",
        public_url=NOWHERE,
    )
    async with open_deps(settings, db, TestClock(now)) as deps:
        yield deps


async def _prepare_bare(db: Database, *, first: int, count: int) -> None:
    async with db.connection() as conn:
        await conn.execute(
            """
            INSERT INTO bare_due (due_id, agreement_no, customer_id, amount_fen, status)
            SELECT gen_random_uuid(), '20261210' || lpad(n::text, 12, '0'), gen_random_uuid(),
                   19900, 0
              FROM generate_series($1::int, $1 + $2 - 1) AS n
            """,
            first,
            count,
        )


async def _make_bare_due(db: Database, count: int) -> None:
    async with db.connection() as conn:
        await conn.execute(
            """
            UPDATE bare_due SET due_at = now() WHERE due_id IN (
                   SELECT due_id FROM bare_due WHERE due_at IS NULL LIMIT $1)
            """,
            count,
        )


async def _collected(db: Database) -> int:
    """Return how many charges the run collected: only their events count."""
    async with db.transaction() as conn:
        done = await conn.execute(
            """
            UPDATE outbox SET published_at = now()
             WHERE subject = 'billing.charge.collected.v1' AND published_at IS NULL
            """
        )
    return int(done.split()[-1])
