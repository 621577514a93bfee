"""Ledger postings per second by several consumers at once, against pgbench's own script."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import asyncpg

from deploy.bench.ground import NOW, Ground, analyse
from deploy.bench.meter import Compared, Run, measure, middle
from deploy.bench.report import Figure, figure
from deploy.bench.wallet_figure import Batch, batches
from deploy.embedded import postgres_binaries
from services.billing.contract import ChargeCollected
from services.wallet.consumers import CONSUMERS
from services.wallet.deps import Deps
from services.wallet.usecases.check_invariants import prove_balances
from shared.bus import Bus, durable
from shared.clock import TestClock
from shared.db import Database

CONSUMERS_AT_ONCE: Final = 4
PGBENCH_CLIENTS: Final = 10
PGBENCH_SCALE: Final = 10
"""Branches of pgbench's bank; one for the hot account."""

_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


async def postings_figures(
    ground: Ground, *, credits_a_run: int, rounds: int, seconds: int
) -> list[Figure]:
    """Measure postings on many merchants' accounts and on those of a single one."""
    return [
        await _postings(
            ground, name, credits_a_run, rounds, seconds, merchants=merchants, scale=scale
        )
        for name, merchants, scale in (
            ("postings, many merchants", 100, PGBENCH_SCALE),
            ("postings, one merchant", 1, 1),
        )
    ]


async def _postings(
    ground: Ground,
    name: str,
    credits_a_run: int,
    rounds: int,
    seconds: int,
    *,
    merchants: int,
    scale: int,
) -> Figure:
    """Let consumers share the batches of charges, then let pgbench move money as it does."""
    ours: list[Run] = []
    bare: list[Run] = []
    async with ground.fresh("wallet", bare="SELECT 1") as db:
        for number in range(rounds):
            todo = batches(number * credits_a_run, credits_a_run, merchants=merchants)
            await analyse(db)
            ours.append(await _measure_ours(db, todo))
            bare.append(await _pgbench(ground, scale=scale, seconds=seconds))
        differences = await prove_balances(db)
    assert not differences, differences
    return figure(
        name,
        "postings/s",
        Compared(middle(ours), middle(bare)),
        against=f"pgbench tpcb-like transactions, scale {scale}, {PGBENCH_CLIENTS} clients",
        consumers=float(CONSUMERS_AT_ONCE),
    )


async def _measure_ours(db: Database, todo: Sequence[Batch]) -> Run:
    before = await _transfers(db)
    bus = Bus(
        "wallet",
        CONSUMERS,
        db=db,
        clock=TestClock(NOW),
        deps=Deps(db=db, clock=TestClock(NOW)),
    )
    waiting = list(todo)

    async def consume() -> None:
        while waiting:
            batch = waiting.pop()
            events = [ChargeCollected.model_validate_json(body) for body in batch]
            await bus.apply(durable("wallet", ChargeCollected), events)

    async def work() -> int:
        await asyncio.gather(*(consume() for _ in range(CONSUMERS_AT_ONCE)))
        return 1

    run = await measure(work)
    return Run(await _transfers(db) - before, run.wall_s, run.cpu_s)


async def _transfers(db: Database) -> int:
    async with db.connection() as conn:
        return int(await conn.fetchval("SELECT count(*) FROM transfers"))


async def _pgbench(ground: Ground, *, scale: int, seconds: int) -> Run:
    """Run the built-in script on a database of its own on the same server."""
    name = "bench_pgbench"
    admin = await asyncpg.connect(ground.postgres.dsn())
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {name}")
        dsn = ground.postgres.dsn(name)
        await _call("--initialize", "--quiet", "--scale", str(scale), dsn)
        told: list[str] = []

        async def work() -> int:
            clients = ("--client", str(PGBENCH_CLIENTS), "--jobs", "2")
            told.append(await _call("--no-vacuum", *clients, "--time", str(seconds), dsn))
            return 1

        run = await measure(work)
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.close()
    found = _TPS.search(told[0])
    if found is None:
        raise RuntimeError(f"pgbench told no rate:\n{told[0]}")
    return Run(round(float(found[1]) * run.wall_s), run.wall_s, run.cpu_s)


async def _call(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        str(postgres_binaries() / "pgbench"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    text = out.decode("utf-8", "replace")
    if process.returncode:
        raise RuntimeError(f"pgbench failed:\n{text}")
    return text
