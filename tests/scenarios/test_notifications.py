"""Notifications of the rails that come twice, late, in the wrong order or from a stranger."""

import pytest

from shared import webhooks
from tests.support import looking
from tests.support.dates import at
from tests.support.gateway import Shop

RAILS = pytest.mark.parametrize("rail", ["alipay", "wechatpay"])


@RAILS
@pytest.mark.parametrize("trouble", ["duplicate", "reorder:45", "bad_signature"])
async def test_a_disturbed_notification_changes_nothing(shop: Shop, rail: str, trouble: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    world.fault(rail, agreement.payer, {"on": "notify", "do": trouble, "times": 3})

    await world.until(at("2027-02-25"))

    assert await looking.captures(world, agreement) == [29900, 29900]
    assert len(world.told("billing.charge.collected.v1")) == 2
    assert await looking.purse(world, agreement) == 20000
    assert len(await looking.shipments(world, agreement)) == 2
    kept = await world.rows(
        "billing", "SELECT verdict, count(*) AS n FROM webhook_inbox GROUP BY verdict"
    )
    verdicts = {row["verdict"]: row["n"] for row in kept}
    assert verdicts["accepted"] > 0
    assert ("rejected" in verdicts) == (trouble == "bad_signature")


@RAILS
async def test_a_notification_of_another_amount_is_not_believed_but_kept(shop: Shop, rail: str):
    """The rail is asked instead; a person finds the odd one among those without a place."""
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    world.fault(rail, agreement.payer, {"on": "notify", "do": "wrong_amount"})

    await world.until(at("2027-01-25"))

    assert await looking.captures(world, agreement) == [29900]
    assert await looking.purse(world, agreement) == 10000
    path = "/v1/unplaced-notifications"
    status, page = await world.call("billing", "GET", path, key=world.operator)
    assert status == 200
    assert len(page["items"]) == 1
    async with world.members["billing"].db.transaction() as conn:
        (odd,) = await webhooks.unplaced(conn, limit=10)
        await webhooks.mark_placed(conn, odd.webhook_id, now=world.now)


async def test_contracts_told_twice_and_late_are_granted_and_revoked_once(shop: Shop):
    world = shop.world
    agreement = await shop.sign(rail="wechatpay", charge_day=20)
    world.fault("wechatpay", agreement.payer, {"on": "notify", "do": "duplicate", "times": 4})

    await shop.revoke(agreement)
    await world.pass_time(days=1)

    assert await looking.mandate_state(world, agreement) == "revoked"
    assert len(world.told("signing.mandate.granted.v1")) == 1
    assert len(world.told("signing.mandate.revoked.v1")) == 1
