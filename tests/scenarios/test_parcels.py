"""What is sent when things run out, and when pets grow up."""

from datetime import timedelta

from tests.support import looking
from tests.support.dates import at, said
from tests.support.gateway import Shop


async def test_out_of_stock_is_substituted_for_those_who_agreed(shop: Shop):
    world = shop.world
    agreement = await shop.sign(charge_day=15, substitutes=True)
    await world.act("jst", "PUT", "/_sandbox/stock/FOOD-ADULT", {"qty": 0})

    await world.until(at("2027-01-20"))

    assert await looking.contents(world, agreement) == [["FOOD-ADULT-B"]]
    assert await looking.parcels(world, agreement) == ["delivered"]
    (event,) = world.told("fulfillment.shipment.out_of_stock.v1")
    assert (event["sku"], event["substitute_sku"]) == ("FOOD-ADULT", "FOOD-ADULT-B")
    assert "shipment.substituted" in {one[2] for one in await looking.told(world, agreement)}


async def test_out_of_stock_waits_for_those_who_did_not(shop: Shop):
    world = shop.world
    agreement = await shop.sign(charge_day=15, substitutes=False)
    await world.act("jst", "PUT", "/_sandbox/stock/FOOD-ADULT", {"qty": 0})

    # 17 January: there is none.  20: there is again.
    await world.until(at("2027-01-19 12:00"))
    assert await looking.parcels(world, agreement) == ["out_of_stock"]
    assert await looking.purse(world, agreement, "held") == 19900
    await world.act("jst", "PUT", "/_sandbox/stock/FOOD-ADULT", {"qty": 100})
    await world.until(at("2027-01-24"))

    assert await looking.parcels(world, agreement) == ["delivered"]
    assert await looking.contents(world, agreement) == [["FOOD-ADULT"]]
    assert await looking.purse(world, agreement, "held") == 0


async def test_what_never_comes_back_into_stock_is_cancelled_and_free_again(shop: Shop):
    world = shop.world
    agreement = await shop.sign(charge_day=15, substitutes=False)
    await world.act("jst", "PUT", "/_sandbox/stock/FOOD-ADULT", {"qty": 0})

    await world.until(at("2027-02-01"))

    assert await looking.parcels(world, agreement) == ["cancelled"]
    assert await looking.purse(world, agreement, "held") == 0
    assert await looking.purse(world, agreement) == 29900


async def test_a_kitten_grows_up_and_its_parcels_with_it(shop: Shop):
    world = shop.world
    # Eleven months old on 4 January: adult on 4 February.
    agreement = await shop.sign(charge_day=15, pet_age=timedelta(days=334))

    await world.until(at("2027-02-25"))

    assert await looking.contents(world, agreement) == [["FOOD-GROWING"], ["FOOD-ADULT"]]
    (event,) = world.told("fulfillment.stage.changed.v1")
    assert (event["from_stage"], event["to_stage"]) == ("growing", "adult")
    assert said(event["occurred_at"]) < str(event["from_day"])
    assert "stage.changed" in {one[2] for one in await looking.told(world, agreement)}
