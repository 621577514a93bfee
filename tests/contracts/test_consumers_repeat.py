"""
Every subscriber of every service survives its events twice, late and in the wrong order.

The events are those of a busy quarter of a year, recorded as they were told.  Who listens to
what comes from the services' own tables: a new subscriber is tested by being there, and fails
here until some life in the quarter makes its event.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.secrets import Secrets
from deploy.topology import SERVICES
from shared.bus import durable
from shared.calendar import CHINA
from shared.errors import Problem
from shared.events import Event
from shared.ids import derived_id
from tests.support import canonical
from tests.support.dates import at
from tests.support.gateway import Agreement, Shop
from tests.support.servers import TestDatabases
from tests.support.world import World, world_of
from tests.support.world_parts import Told

BEGIN: Final = "2027-01-04 10:00"
END: Final = "2027-04-10"
SUBSCRIPTIONS: Final = [
    (name, on.event)
    for name in SERVICES
    for on in import_module(f"services.{name}.consumers").CONSUMERS
]

CAME_AND_WENT: Final = {"accounts", "holds", "transfers"}
"""Tables of wallet that have fewer rows when nothing was held for a while."""

PAUSE: Final = {"periods": 1, "reason": "pet_sick", "evidence_ref": "vet-1"}
CONSENT: Final = {"agreed": True, "text_version": "amend-1", "shown_ms": 6000}

Heard = tuple[str, str, Event]
"""Service, consumer, event."""


async def quarter(world: World) -> None:
    """Live a quarter in which everything happens that anybody listens to."""
    shop = Shop(world, merchant_id=derived_id("merchant", "repeat"))
    await shop.open(plan={"periods": 2})
    await shop.sign(charge_day=15)
    given = await shop.publish(periods=2, monthly_fen=19_900, offer={"free_periods": [2]})
    await shop.sign(charge_day=15, plan_id=given)
    declined = await shop.sign(rail="wechatpay", charge_day=15)
    cancelled = await shop.sign(charge_day=20)
    terminated = await shop.sign(rail="wechatpay", charge_day=20)
    revoked = await shop.sign(charge_day=12)
    untold = await shop.sign(charge_day=18)
    await shop.sign(charge_day=15, pet_age=timedelta(days=334))
    lost = await shop.sign(charge_day=14)
    changed = await shop.sign(charge_day=15)

    await shop.pay(cancelled, await shop.open_payment(cancelled, 1))
    await world.until(at("2027-01-05 12:00"))
    await shop.cancel(cancelled)
    path = f"/v1/customers/{declined.customer_id}/contact"
    status, _ = await world.call("signing", "PUT", path, {"phone": "13912345678"}, key=shop.key)
    assert status == 200
    no_money = {"on": "pay", "do": "decline:NOTENOUGH", "until": at("2027-01-18").isoformat()}
    world.fault("wechatpay", declined.payer, no_money)
    world.fault("kuaidi100", lost.person.phone, {"on": "track", "do": "decline:lost"})
    await world.until(at("2027-01-10"))
    down = {"on": "send", "do": "outage", "until": at("2027-01-17 12:00").isoformat()}
    world.fault("sms", untold.person.phone, down)
    await world.until(at("2027-01-14 12:00"))
    await shop.revoke(revoked)
    await world.act("jst", "PUT", "/_sandbox/stock/FOOD-GROWING", {"qty": 0})
    await world.until(at("2027-01-20 20:00"))
    await shop.pay(declined, await shop.open_payment(declined, 1))
    refused = {"on": "refund_result", "do": "decline:CLOSED", "times": 20}
    world.fault("wechatpay", terminated.payer, refused)
    await shop.terminate(terminated)
    await _change(shop, changed, ("pause", PAUSE | {"periods": 2}))
    await world.until(at("2027-02-20 12:00"))
    amendment = {"charge_day": 28, "reason": "x", "consent": CONSENT}
    await _change(shop, changed, ("resume", None), ("amendment", amendment), ("pause", PAUSE))
    await world.until(at(END))
    await world.night()
    await _deposit(shop)
    suspension = f"/v1/merchants/{shop.merchant_id}/suspension"
    status, _ = await world.call(
        "signing", "POST", suspension, {"reason": "x"}, key=world.operator, idempotency_key="once"
    )
    assert status == 200
    await world.settle()


async def _deposit(shop: Shop) -> None:
    """Ask for a guarantee deposit, which is short until it is paid."""
    world, path = shop.world, f"/v1/merchants/{shop.merchant_id}"
    day = at(END).astimezone(CHINA).date().isoformat()
    needed = {"from_day": day, "guarantee_floor_fen": 10_000_000}
    status, told = await world.call("wallet", "PUT", f"{path}/terms", needed, key=world.operator)
    assert status == 200, told
    await world.settle()
    paid = {"amount_fen": 10_000_000, "reference": "BANK1"}
    status, told = await world.call(
        "wallet",
        "POST",
        f"{path}/guarantee/deposits",
        paid,
        key=world.operator,
        idempotency_key="deposit",
    )
    assert status == 201, told
    await world.settle()


async def _change(shop: Shop, agreement: Agreement, *changes: tuple[str, Any]) -> None:
    for what, body in changes:
        await shop.post("signing", f"/v1/agreements/{agreement.agreement_id}/{what}", body)
        await shop.world.settle()


@pytest.fixture(scope="module")
async def lived(
    databases: TestDatabases, parties: Path, platform_secrets: Secrets
) -> AsyncIterator[World]:
    async with world_of(databases, parties, platform_secrets, now=at(BEGIN)) as world:
        await quarter(world)
        world.assert_nothing_refused()
        yield world


@pytest.fixture(scope="module")
async def in_order(
    databases: TestDatabases, parties: Path, platform_secrets: Secrets, lived: World
) -> AsyncIterator[World]:
    """Services that know nothing but what they hear, in the order it was told."""
    async with world_of(databases, parties, platform_secrets, now=at(END)) as world:
        await tell(world, heard(lived.streams.told))
        yield world


@pytest.fixture(scope="module")
async def in_reverse(
    databases: TestDatabases, parties: Path, platform_secrets: Secrets, lived: World
) -> AsyncIterator[World]:
    """Services that hear the last first; what they refuse comes again."""
    async with world_of(databases, parties, platform_secrets, now=at(END)) as world:
        await tell(world, heard(lived.streams.told)[::-1])
        yield world


def heard(told: Sequence[Told], service: str = "") -> list[Heard]:
    """Return what each consumer hears of *told*."""
    return [
        (name, durable(name, event), event.model_validate_json(one.body))
        for one in told
        for name, event in SUBSCRIPTIONS
        if event.subject == one.subject and service in {"", name}
    ]


async def tell(world: World, waiting: Sequence[Heard]) -> list[Heard]:
    """Apply one by one; refused ones again, until nothing moves; return what is left."""
    while True:
        left = [one for one in waiting if not await _applied(world, one)]
        if len(left) == len(waiting):
            return left
        waiting = left


async def _applied(world: World, one: Heard) -> bool:
    name, consumer, event = one
    try:
        await world.members[name].bus.apply(consumer, [event])
    except Problem:
        return False
    return True


async def forget_what_was_heard(world: World, service: str) -> None:
    """Lose the inbox: natural keys alone must know what stands already."""
    async with world.members[service].db.transaction() as conn:
        await conn.execute("DELETE FROM inbox")


async def everything(world: World, service: str) -> dict[str, Any]:
    """Return a service's lasting rows, and how many rows each of its tables has."""
    names = await world.rows(
        service,
        """
        SELECT relname FROM pg_class
         WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
           AND relname NOT SIMILAR TO '(outbox|inbox|%history|webhook_inbox|api_keys|job_runs)'
        """,
    )
    counts = {
        row["relname"]: await world.value(service, f"SELECT count(*) FROM {row['relname']}")
        for row in names
    }
    return {"counts": counts, **await canonical.tables(world, service)}


@pytest.mark.parametrize(
    ("service", "event"), SUBSCRIPTIONS, ids=lambda one: getattr(one, "subject", one)
)
def test_the_quarter_has_an_event_for_every_subscriber(
    lived: World, service: str, event: type[Event]
):
    assert event.subject in {one.subject for one in lived.streams.told}, service


@pytest.mark.parametrize("service", SERVICES)
async def test_events_that_come_again_late_change_nothing(lived: World, service: str):
    """Once by the inbox, and once more after the inbox was lost."""
    before = await everything(lived, service)
    again = heard(lived.streams.told, service)

    assert await tell(lived, again) == []
    assert await everything(lived, service) == before

    await forget_what_was_heard(lived, service)
    await tell(lived, again)
    assert await everything(lived, service) == before


@pytest.mark.parametrize("service", SERVICES)
async def test_events_in_reversed_order_come_to_the_same(
    in_order: World, in_reverse: World, service: str
):
    backwards, forwards = await everything(in_reverse, service), await everything(in_order, service)

    assert lasting(backwards) == lasting(forwards)


def lasting(state: dict[str, Any]) -> dict[str, Any]:
    """
    Return what must not depend on the order.

    Money that arrives after its agreement has ended is never held for a parcel; money that
    was there before is held and released again.  The balances are the same either way.
    """
    if "wallet.holds" not in state:
        return state
    passing = tuple(
        f"kind={bonus}{kind} " for bonus in ("", "bonus_") for kind in ("held", "released")
    )
    transfers, holds = state["wallet.transfers"], state["wallet.holds"]
    return {
        "wallet.accounts": state["wallet.accounts"],
        "wallet.transfers": {k: n for k, n in transfers.items() if not k.startswith(passing)},
        "wallet.holds": {k: n for k, n in holds.items() if "state=released" not in k},
        "counts": {k: n for k, n in state["counts"].items() if k not in CAME_AND_WENT},
    }
