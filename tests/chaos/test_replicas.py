"""Two workers and two relays at once change nothing but speed."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import nats
from nats.js.api import StreamConfig

from services.billing.contract import ChargeCollected
from services.billing.usecases.attempt_due_charges import attempt_due_charges
from services.billing.usecases.query_unclear import query_unclear
from services.signing.contract import Rail
from services.wallet.consumers import CONSUMERS
from services.wallet.deps import Deps
from shared import outbox
from shared.bus import Bus, consumer_config
from shared.clock import TestClock
from shared.db import Database
from shared.ids import derived_id
from shared.outbox import Relay
from tests.support.servers import NatsForTests
from tests.support.wallet_builders import NOON, WalletForTests, a_collection

CUSTOMERS = 12
COLLECTIONS = 1500


async def a_due_day(world):
    """Sign, let the banks refuse and the rails lie, and live until everything is due."""
    for number in range(CUSTOMERS):
        rail = (Rail.ALIPAY, Rail.WECHATPAY)[number % 2]
        payer = f"2088{number:012d}" if rail is Rail.ALIPAY else f"oTwo{number:024d}"
        await world.signed(number + 1, rail=rail, payer=payer, periods=1)
        told = (
            {"on": "pay", "do": "hide_answer"},
            {"on": "pay", "do": "http_500"},
            {"on": "notify", "do": "duplicate"},
        )[number % 3]
        await world.faulty(rail.value, told, account=payer)
    rows = [
        row for agreement in await agreements(world) for row in await world.instalments(agreement)
    ]
    await world.live_until(min(row.charge_at for row in rows) - timedelta(minutes=1))
    return max(row.charge_at for row in rows)


async def agreements(world):
    async with world.db.connection() as conn:
        rows = await conn.fetch("SELECT agreement_id FROM agreements ORDER BY agreement_no")
    return [row["agreement_id"] for row in rows]


async def books(world):
    """Return what the day came to, without moments."""
    found: list[object] = []
    for agreement in await agreements(world):
        for row in await world.instalments(agreement):
            tries = [(one.trade_no, one.state, one.surplus) for one in await world.attempts(row)]
            found.append((row.instalment_id, row.state, tries))
    return found, [await world.books(rail) for rail in world.urls]


async def test_two_billing_workers_at_once_leave_the_books_of_one(world, billing_db: Database):
    last = await a_due_day(world)
    world.clock.set(last)
    for rail in world.urls:
        await world.ask(rail, "PUT", "/clock", {"now": last.isoformat()})
    other = replace(world.deps, terms=replace(world.deps.terms, batch=3))

    async def work(deps):
        done = 0
        while batch := await attempt_due_charges(deps):
            done += batch
            await query_unclear(deps)
        return done

    shares = await asyncio.gather(work(replace(other)), work(other))

    assert sum(shares) == CUSTOMERS
    assert all(shares), "one of them did everything"
    await world.live(days=2)
    found, (alipay, wechat, _) = await books(world)
    assert {state for _, state, _ in found} == {"paid"}
    assert all([one[1:] for one in tries] == [("succeeded", False)] for _, _, tries in found)
    assert alipay["double_captures"] == wechat["double_captures"] == 0
    assert alipay["captures"] + wechat["captures"] == CUSTOMERS
    said = [body["instalment_id"] for body in world.said(ChargeCollected)]
    assert len(said) == len(set(said)) == CUSTOMERS


async def test_two_relays_and_two_readers_leave_the_books_of_one(
    wallet_db: Database, fresh_database, nats_server: NatsForTests
):
    alone = WalletForTests(await fresh_database("wallet"))
    events = [
        a_collection(number % 12 + 1, agreement_id=derived_id("two", number // 12))
        for number in range(COLLECTIONS)
    ]
    await alone.hear(*events)
    billing_db = await fresh_database("billing")
    async with billing_db.transaction() as conn:
        await outbox.add(conn, *events)
    async with AsyncExitStack() as stack:
        client = await nats.connect(nats_server.url)
        stack.push_async_callback(client.close)
        js = client.jetstream()
        await js.add_stream(StreamConfig(name="billing", subjects=["billing.>"]))
        stack.push_async_callback(js.delete_stream, "billing")
        await js.add_consumer("billing", consumer_config("wallet", ChargeCollected))
        readers = tuple(on for on in CONSUMERS if on.event is ChargeCollected)
        clock = TestClock(NOON)
        for _ in range(2):
            deps = Deps(db=wallet_db, clock=clock)
            bus = Bus("wallet", readers, db=wallet_db, clock=clock, deps=deps)
            await stack.enter_async_context(bus.listening(nats_server.url, nkey_seed=None))
        relays = [Relay(billing_db, js, source="/yuefu/billing") for _ in range(2)]

        async def drain(relay: Relay) -> None:
            while await relay.publish_batch():
                pass

        await asyncio.gather(*map(drain, relays))
        await until_heard(wallet_db, COLLECTIONS)

    together = WalletForTests(wallet_db)
    await together.assert_books_agree()
    assert await balances(together) == await balances(alone)
    assert len(await together.told("wallet.instalment.funded.v1")) == COLLECTIONS


async def until_heard(db, wanted):
    async def heard():
        async with db.connection() as conn:
            return await conn.fetchval("SELECT count(*) FROM inbox")

    found: list[int] = []

    async def look():
        while not found or found[-1] < wanted:
            found.append(await heard())

    async with asyncio.timeout(30):
        await look()
    assert found[-1] == wanted


async def balances(wallet):
    async with wallet.db.connection() as conn:
        rows = await conn.fetch("SELECT code, balance_fen FROM accounts ORDER BY code")
    return [tuple(row) for row in rows]
