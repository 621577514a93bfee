"""The rail says no, or says nothing."""

import pytest

from tests.support import looking
from tests.support.dates import at, said
from tests.support.gateway import Shop

NO_MONEY = {"alipay": "BUYER_BALANCE_NOT_ENOUGH", "wechatpay": "NOTENOUGH"}
RAILS = pytest.mark.parametrize("rail", ["alipay", "wechatpay"])


@RAILS
async def test_declined_in_the_morning_paid_the_same_day(shop: Shop, rail: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    world.fault(rail, agreement.payer, {"on": "pay", "do": f"decline:{NO_MONEY[rail]}"})

    # 20 January: no money, and some again a few hours later.
    await world.until(at("2027-01-20 23:00"))

    tried = await looking.attempts(world, agreement)
    assert [one["state"] for one in tried] == ["failed", "succeeded"]
    assert {said(one["created_at"])[:10] for one in tried} == {"2027-01-20"}
    assert await looking.captures(world, agreement) == [29900]
    assert await looking.purse(world, agreement) == 10000
    causes = {cause for _, _, cause in await looking.told(world, agreement)}
    assert {"charge.failed", "charge.collected"} <= causes


@RAILS
async def test_a_hidden_answer_is_asked_for_and_paid_once(shop: Shop, rail: str):
    """The rail books the charge, the line breaks, and its notification is lost as well."""
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    call = "pay" if rail == "alipay" else "apply"
    world.fault(
        rail, agreement.payer, {"on": call, "do": "hide_answer"}, {"on": "notify", "do": "drop"}
    )

    await world.until(at("2027-01-25"))

    assert await looking.captures(world, agreement) == [29900]
    (attempt,) = await looking.attempts(world, agreement)
    assert (attempt["state"], attempt["queries"] > 0) == ("succeeded", True)
    assert await looking.purse(world, agreement) == 10000
    assert len(await looking.shipments(world, agreement)) == 1


@RAILS
async def test_every_try_declined_climbs_the_ladder_until_the_link_is_paid(shop: Shop, rail: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    world.fault(
        rail,
        agreement.payer,
        {
            "on": "pay",
            "do": f"decline:{NO_MONEY[rail]}",
            "until": at("2027-01-23").isoformat(),
        },
    )

    # 20 January: at most three tries within a day, then only the customer can pay.
    await world.until(at("2027-01-21 18:00"))
    tried = await looking.attempts(world, agreement)
    assert 2 <= len(tried) <= 3
    assert {one["state"] for one in tried} == {"failed"}
    assert (await looking.states(world, agreement))[0] == "overdue"

    # 21 January, 10:00 a reminder; 23 a task for the shop; 27 an extension.
    await world.until(at("2027-01-28"))
    rungs = [
        (said(event["occurred_at"])[:10], event["rung"])
        for event in world.told("billing.instalment.overdue.v1")
    ]
    assert rungs == [
        ("2027-01-21", "reminder"),
        ("2027-01-23", "staff_task"),
        ("2027-01-27", "extension"),
    ]
    assert await looking.captures(world, agreement) == []
    assert await looking.parcels(world, agreement) == []

    # 28 January: the customer pays by the link; the parcel follows, the ladder ends.
    await world.until(at("2027-01-28 20:00"))
    await shop.pay(agreement, await shop.open_payment(agreement, 1))
    await world.until(at("2027-02-03"))
    assert (await looking.states(world, agreement))[0] == "paid"
    assert await looking.captures(world, agreement) == [29900]
    assert len(world.told("billing.instalment.settled.v1")) == 1
    assert await looking.parcels(world, agreement) == ["delivered"]
    await world.until(at("2027-03-01"))
    assert len(world.told("billing.instalment.overdue.v1")) == 3
    assert await looking.captures(world, agreement) == [29900, 29900]


@RAILS
async def test_a_payment_by_link_races_the_automatic_charge(shop: Shop, rail: str):
    """
    One of them wins whatever the order; nobody pays twice for good.

    The link is opened before the hour of the charge and paid after it.
    """
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    await world.until(at("2027-01-20 08:50"))

    payment = await shop.open_payment(agreement, 1)
    charge_at = (await looking.instalments(world, agreement))[0]["charge_at"]
    await world.until(max(charge_at, world.now))
    status, _ = await shop.try_to_pay(agreement, payment)
    await world.until(at("2027-01-23"))

    taken = sum(await looking.captures(world, agreement))
    assert taken - await looking.given_back(world, agreement) == 29900, status
    assert await looking.purse(world, agreement) == 10000
    assert (await looking.states(world, agreement))[0] == "paid"
    assert len(await looking.shipments(world, agreement)) == 1


@RAILS
async def test_paid_ahead_by_the_link_is_not_charged_again(shop: Shop, rail: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    await world.until(at("2027-01-19 20:00"))
    await shop.pay(agreement, await shop.open_payment(agreement, 1))

    await world.until(at("2027-01-23"))

    assert await looking.captures(world, agreement) == [29900]
    assert await looking.purse(world, agreement) == 10000
    assert len(world.told("billing.charge.collected.v1")) == 1
