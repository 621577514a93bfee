"""Agreements that end before their last period, and mandates that end before them."""

import pytest

from tests.support import looking
from tests.support.dates import at
from tests.support.gateway import Shop

RAILS = pytest.mark.parametrize("rail", ["alipay", "wechatpay"])


@RAILS
async def test_cancelled_while_cooling_off_everything_goes_back(shop: Shop, rail: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)

    # 4 January: paid ahead at once, full of joy.
    await shop.pay(agreement, await shop.open_payment(agreement, 1))
    assert await looking.purse(world, agreement, "held") == 19900

    # 5 January: thought better of it.
    await world.until(at("2027-01-05 15:00"))
    await shop.cancel(agreement)
    await world.until(at("2027-01-08"))

    assert await looking.agreement_state(world, agreement) == "cancelled"
    assert await looking.mandate_state(world, agreement) == "closed"
    assert await looking.given_back(world, agreement) == 29900
    assert await looking.purse(world, agreement) == 0
    assert await looking.purse(world, agreement, "held") == 0
    assert await looking.parcels(world, agreement) == ["cancelled"]
    assert set(await looking.states(world, agreement)) == {"refunded", "cancelled"}
    await world.until(at("2027-02-25"))
    assert await looking.captures(world, agreement) == [29900]


@RAILS
async def test_terminated_early_what_is_unspent_goes_back_to_the_fen(shop: Shop, rail: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)

    # 20 February: the second charge; its parcel has not left a day later.
    await world.until(at("2027-02-21 20:00"))
    assert await looking.parcels(world, agreement) == ["closed", "reminded"]
    assert await looking.purse(world, agreement) == 20000
    await shop.terminate(agreement)
    await world.until(at("2027-02-25"))

    # Two periods of 299.00 were paid; one parcel of 199.00 was sent.
    assert await looking.agreement_state(world, agreement) == "terminated"
    assert (await looking.parcels(world, agreement))[1] == "cancelled"
    assert await looking.given_back(world, agreement) == 2 * 29900 - 19900
    assert await looking.purse(world, agreement) == 0
    assert await looking.purse(world, agreement, "held") == 0
    assert await looking.mandate_state(world, agreement) == "closed"
    await world.until(at("2027-04-01"))
    assert await looking.captures(world, agreement) == [29900, 29900]


@RAILS
async def test_a_mandate_revoked_at_the_rail_stops_charges_not_the_agreement(shop: Shop, rail: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    await world.until(at("2027-01-25"))

    # 25 January: revoked in the wallet; February is not charged.
    await shop.revoke(agreement)
    assert await looking.mandate_state(world, agreement) == "revoked"
    await world.until(at("2027-02-22"))
    assert await looking.captures(world, agreement) == [29900]
    assert await looking.agreement_state(world, agreement) == "active"
    causes = {cause for _, _, cause in await looking.told(world, agreement)}
    assert "mandate.revoked" in causes

    # 22 February: the customer pays it by hand, and gets the parcel.
    await shop.pay(agreement, await shop.open_payment(agreement, 2))
    await world.until(at("2027-02-28"))
    assert (await looking.states(world, agreement))[:2] == ["paid", "paid"]
    assert (await looking.parcels(world, agreement))[1] == "delivered"
