"""Whatever comes, in whatever order, how often and at once: the books end the same."""

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID

import pytest

from services.wallet.domain.accounts import Purse
from shared.db import Database
from shared.errors import Problem
from shared.events import Event
from shared.ids import derived_id, new_id
from tests.support.wallet_builders import (
    WalletForTests,
    a_collection,
    a_dispatch,
    a_refund,
    a_shipment_cancelled,
    a_signing,
    a_termination,
)

AGREEMENTS = [derived_id("agreement", number) for number in range(4)]
CUSTOMERS = [derived_id("customer", number // 2) for number in range(4)]
PERIODS = 3
ROUNDS = 40
"""How often an event that came too early may come again; far more than it needs."""


def life(chance: random.Random) -> list[Event]:
    """Return everything that happens to the agreements; every second one is ended."""
    events: list[Event] = []
    for number, agreement_id in enumerate(AGREEMENTS):
        who = {"agreement_id": agreement_id, "customer_id": CUSTOMERS[number]}
        events.append(a_signing(**who))
        for seq in range(1, PERIODS + 1):
            events.append(a_collection(seq, **who))
            if number % 2 == 0:
                events.append(chance.choice([a_dispatch, a_shipment_cancelled])(seq, **who))
        if number % 2 == 0:
            events.append(a_termination(**who, penalty_fen=chance.choice([0, 700])))
    return events


async def live(wallet: WalletForTests, events: Sequence[Event], chance: random.Random) -> None:
    """Hear *events* in random batches; what is too early comes again, as from the bus."""
    waiting = list(events)
    for _ in range(ROUNDS):
        chance.shuffle(waiting)
        too_early: list[Event] = []
        for batch in by_class(waiting, chance):
            try:
                await wallet.hear(*batch)
            except Problem:
                too_early += await one_by_one(wallet, batch)
        if not too_early:
            return
        waiting = too_early
    raise AssertionError(f"Never applied: {waiting}")


def by_class(events: Sequence[Event], chance: random.Random) -> list[list[Event]]:
    batches: list[list[Event]] = []
    for event in events:
        fitting = [b for b in batches if type(b[0]) is type(event) and chance.random() < 0.6]
        if fitting:
            fitting[-1].append(event)
        else:
            batches.append([event])
    return batches


async def one_by_one(wallet: WalletForTests, batch: Sequence[Event]) -> list[Event]:
    failed = []
    for event in batch:
        try:
            await wallet.hear(event)
        except Problem:
            failed.append(event)
    return failed


async def parcels_of_late_money(wallet: WalletForTests) -> set[UUID]:
    """Return the instalments for which nothing was held, because the agreement had ended."""
    funded = await wallet.told("wallet.instalment.funded.v1")
    return {UUID(t.body["instalment_id"]) for t in funded if t.body["hold_id"] is None}


@pytest.mark.parametrize("seed", range(8))
async def test_several_tasks_hear_everything_twice_and_reordered(wallet_db: Database, seed):
    chance = random.Random(seed)
    wallet = WalletForTests(wallet_db)
    events = life(chance)
    money = [event for event in events if not isinstance(event, PARCELS)]
    again = [event.model_copy(update={"event_id": new_id()}) for event in money]

    await asyncio.gather(
        live(wallet, money, random.Random(seed + 100)),
        live(wallet, again, random.Random(seed + 200)),
    )
    # Fulfillment ships only what was funded with a hold.
    unheld = await parcels_of_late_money(wallet)
    parcels = [e for e in events if isinstance(e, PARCELS) and e.instalment_id not in unheld]
    repeats = [event.model_copy(update={"event_id": new_id()}) for event in parcels]
    await asyncio.gather(
        live(wallet, parcels, random.Random(seed + 300)),
        live(wallet, repeats, random.Random(seed + 400)),
    )

    await wallet.assert_books_agree()
    await assert_ended_are_empty_and_refund_all(wallet)
    assert await wallet.balance("rail:alipay") == await kept(wallet)


PARCELS = type(a_dispatch()), type(a_shipment_cancelled())


async def assert_ended_are_empty_and_refund_all(wallet: WalletForTests) -> None:
    """Refund what was asked for; nothing may be on its way afterwards."""
    for told in await wallet.told("wallet.refund.requested.v1"):
        body = told.body
        await wallet.hear(
            a_refund(
                UUID(body["settlement_id"]),
                body["amount_fen"],
                agreement_id=UUID(body["agreement_id"]),
            )
        )
    assert await wallet.balance("refund:alipay") == 0
    await wallet.assert_books_agree()


async def kept(wallet: WalletForTests) -> int:
    """Return what is still owed to somebody: exactly what the rail must still have."""
    codes = ["merchant:payable", "platform:fee", "supplier:warehouse:payable"]
    owed = [await wallet.balance(code) for code in codes]
    purses = [
        await wallet.purse(purse, customer_id) for customer_id in set(CUSTOMERS) for purse in Purse
    ]
    running = 2 * PERIODS * 19900
    assert sum(purses) == running
    return sum(owed) + sum(purses)
