"""A big billing day: how fast due instalments are selected, passed through the gate and written."""

import resource
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from deploy.bench import bare_charges
from deploy.bench.billing_figure import billing_deps
from deploy.bench.due import make_due, prepare_customers
from deploy.bench.ground import NOW, Ground, analyse
from deploy.bench.meter import Compared, Run, measure
from deploy.bench.report import Figure, figure
from deploy.sandbox import keys
from services.billing.usecases.attempt_due_charges import claim_charges
from shared.db import Database

PERIODS: Final = 2
MILLION: Final = 1_000_000


async def billing_day_figure(ground: Ground, work: Path, *, due: int) -> Figure:
    """
    Claim *due* instalments batch after batch, each decided and committed as an attempt.

    No rail is asked: this is the part of a billing day that grows with the day.  The memory
    of this process is told as it was after a tenth of the day and at its end.
    """
    keys.make(work / "keys")
    async with (
        ground.fresh("billing", bare=bare_charges.BARE_TABLES) as db,
        billing_deps(db, "http://127.0.0.1:9", work, now=NOW + timedelta(seconds=1)) as deps,
    ):
        await prepare_customers(db, due, periods=PERIODS)
        await make_due(db, first=0, count=due)
        await _prepare_bare(db, due)
        await analyse(db)
        early_mb = 0.0

        async def ours() -> int:
            nonlocal early_mb
            done = 0
            while run := await claim_charges(deps):
                if not run.changed:
                    return done
                done += len(run.attempts)
                if not early_mb and done >= due // 10:
                    early_mb = peak_mb()
            return done

        async def bare() -> int:
            return await _claim_all(db)

        slow, quick = await measure(ours), await measure(bare)
        assert slow.items == due, f"{slow.items} of {due} attempts"
    return figure(
        "billing day, selection",
        "instalments/s",
        Compared(_each(slow, due), _each(quick, due)),
        against="claim 500 with SKIP LOCKED, insert 500 attempts, commit",
        due=float(due),
        minutes_per_million=slow.wall_s / due * MILLION / 60,
        peak_mb_after_a_tenth=early_mb,
        peak_mb=peak_mb(),
    )


def peak_mb() -> float:
    """Return the most memory this process has held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _each(run: Run, due: int) -> Run:
    return Run(due, run.wall_s, run.cpu_s)


async def _prepare_bare(db: Database, count: int) -> None:
    async with db.connection() as conn:
        await conn.execute(
            """
            INSERT INTO bare_due (due_id, agreement_no, customer_id, amount_fen, status, due_at)
            SELECT gen_random_uuid(), lpad(n::text, 12, '0'), gen_random_uuid(), 19900, 0, now()
              FROM generate_series(1, $1::int) AS n
            """,
            count,
        )


async def _claim_all(db: Database) -> int:
    done = 0
    while True:
        async with db.transaction() as conn:
            rows = await conn.fetch(
                """
                UPDATE bare_due SET status = 1
                 WHERE due_id IN (SELECT due_id FROM bare_due
                                   WHERE status = 0 AND due_at <= now()
                                   ORDER BY due_at, due_id LIMIT $1
                                     FOR UPDATE SKIP LOCKED)
                RETURNING due_id, amount_fen
                """,
                bare_charges.BATCH,
            )
            await conn.execute(
                """
                INSERT INTO bare_attempts
                SELECT 'T' || id::text, id, '', fen, now()
                  FROM unnest($1::uuid[], $2::bigint[]) AS n (id, fen)
                """,
                [row["due_id"] for row in rows],
                [row["amount_fen"] for row in rows],
            )
        if not rows:
            return done
        done += len(rows)
