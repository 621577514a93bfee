"""
How fast the billing run is: ``python -m tests.billing.measure_charges [charges]``.

Prints charges per second without any rail (claim, gate, write, record, announce), with a
real client against the simulator in the same process, and of RSA signing alone.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from deploy.sandbox import keys
from services.billing.deps import Deps
from services.billing.domain.attempt import Attempt
from services.billing.domain.findings import Finding, Paid
from services.billing.domain.notices import CHANNELS, Notice, NoticeKind
from services.billing.gateways.alipay import AlipayRail
from services.billing.store import instalments, notices
from services.billing.store.notices import ProofLine
from services.billing.usecases.attempt_due_charges import attempt_due_charges
from shared.ids import derived_id
from tests.support import servers
from tests.support.billing_builders import agreement_id
from tests.support.billing_world import BillingWorld, billing_world
from tests.support.servers import TestDatabases


class FastRail(AlipayRail):
    """Answers at once."""

    async def charge(self, attempt: Attempt) -> Finding:
        return Paid("1", attempt.amount_fen)


async def prepare(world: BillingWorld, first: int, count: int) -> None:
    for n in range(first, first + count):
        await world.signed(n, active=False, periods=1, payer=f"2088{n:012d}")
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE agreements SET state = 'active'")
        rows = [
            row
            for n in range(first, first + count)
            for row in await instalments.of_agreement(conn, agreement_id(n))
        ]
        at = rows[0].charge_at.replace(hour=1, minute=0)
        due = [replace(row, charge_at=at, next_try_at=at) for row in rows]
        await instalments.save(conn, [replace(row, next_notice_at=None) for row in due])
        asked = [
            Notice(
                derived_id("n", row.instalment_id, kind),
                row.instalment_id,
                row.merchant_id,
                kind,
                CHANNELS,
                row.charge_on,
                row.amount_fen,
                at - timedelta(days=7),
                at,
            )
            for row in due
            for kind in (NoticeKind.ADVANCE, NoticeKind.REMINDER)
        ]
        await notices.add(conn, asked)
        told = at - timedelta(days=6)
        await notices.record(
            conn,
            [
                ProofLine(one.notice_id, channel, None, told, told)
                for one in asked
                for channel in CHANNELS
            ],
        )
        await conn.execute("ANALYZE")
    if world.clock.now() < at:
        world.clock.set(at)
        await world.ask("alipay", "PUT", "/clock", {"now": at.isoformat()})


async def charges_per_s(deps: Deps, count: int) -> float:
    started = time.perf_counter()
    done = 0
    while done < count:
        done += await attempt_due_charges(deps)
    return count / (time.perf_counter() - started)


@asynccontextmanager
async def a_world(directory: Path) -> AsyncIterator[BillingWorld]:
    with servers.postgres() as cluster:
        async with (
            TestDatabases(cluster).fresh("billing") as db,
            billing_world(db, directory) as world,
        ):
            yield world


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        keys.make(Path(name))
        async with a_world(Path(name)) as world:
            alipay = world.deps.rails["alipay"]
            assert isinstance(alipay, AlipayRail)
            fast = FastRail(alipay.client, notify_url="", product_codes={})
            world.alipay.faults.set("*", [{"on": "notify", "do": "drop", "times": 10**6}])
            await prepare(world, 1, count)
            bare = await charges_per_s(replace(world.deps, rails={"alipay": fast}), count)
            print(f"without a rail: {bare:.0f} charges/s")  # noqa: T201
            await prepare(world, 10**5, count)
            whole = await charges_per_s(world.deps, count)
            print(f"with the simulator in this process: {whole:.0f} charges/s")  # noqa: T201
            started = time.perf_counter()
            signer = alipay.client._signer
            await asyncio.gather(*(signer.sign_soon(b"x" * 400) for _ in range(count)))
            print(f"signing alone: {count / (time.perf_counter() - started):.0f}/s")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
