"""The warehouse lacks something: what was agreed goes out instead, or it waits."""

from dataclasses import replace

import pytest

from services.fulfillment.domain.shipment import ShipmentState
from tests.support.fulfillment_builders import (
    Crash,
    DyingWarehouse,
    a_funding,
    a_termination,
    china,
)


async def empty_shelf(shop, sku="ADULT", qty=0):
    await shop.erp.put(f"/_sandbox/stock/{sku}", {"qty": qty})


async def test_a_consented_substitute_is_sent_instead(shop):
    await shop.stock_the_catalogue()
    await shop.allow_substitute("ADULT", "ADULT-FISH")
    await shop.sign()
    await shop.hear(a_funding())
    await empty_shelf(shop)

    await shop.move_to(china(3, 4, 16))

    sent = await shop.shipment()
    assert sent.state is ShipmentState.DISPATCHED
    assert await shop.skus_of() == ["ADULT-FISH", "LITTER"]
    told = (await shop.told("%out_of_stock%"))[0].body
    assert (told["sku"], told["substitute_sku"], told["wait_until"]) == (
        "ADULT",
        "ADULT-FISH",
        None,
    )
    (order,) = await shop.erp.books("orders")
    assert [item["sku_id"] for item in order["row"]["items"]] == ["ADULT-FISH", "LITTER"]
    left = (await shop.told("%dispatched%"))[0].body
    assert left["supply_cost_fen"] == 5400 + 2 * 1500


async def test_what_was_published_after_the_signature_is_not_consented_to(shop):
    await shop.sign()
    shop.clock.advance(minutes=1)
    await shop.allow_substitute("ADULT", "ADULT-FISH")
    await shop.hear(a_funding())
    await empty_shelf(shop)

    await shop.move_to(china(3, 4, 16))

    waiting = await shop.shipment()
    assert waiting.state is ShipmentState.OUT_OF_STOCK
    assert waiting.due_at == china(3, 5, 9)
    told = (await shop.told("%out_of_stock%"))[0].body
    assert (told["substitute_sku"], told["wait_until"]) == (None, "2026-03-11")


async def test_a_substitute_that_harms_the_pet_is_not_sent(shop):
    await shop.stock_the_catalogue()
    await shop.allow_substitute("ADULT", "YOUNG")
    await shop.sign(allergies=("Salmon",))
    await shop.hear(a_funding())
    await empty_shelf(shop)

    await shop.move_to(china(3, 4, 12))

    assert (await shop.shipment()).state is ShipmentState.OUT_OF_STOCK


async def test_stock_that_comes_within_the_week_goes_out(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await empty_shelf(shop)
    await shop.move_to(china(3, 6, 20))
    assert (await shop.shipment()).state is ShipmentState.OUT_OF_STOCK

    await empty_shelf(shop, qty=100)
    await shop.move_to(china(3, 10))

    assert (await shop.shipment()).state is ShipmentState.DELIVERED
    assert len(await shop.told("%out_of_stock%")) == 1


async def test_after_a_week_without_stock_it_is_cancelled_and_the_money_freed(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await empty_shelf(shop)

    await shop.move_to(china(3, 12))

    ended = await shop.shipment()
    assert (ended.state, ended.reason) == (ShipmentState.CANCELLED, "out_of_stock")
    assert (await shop.erp.books("orders"))[0]["status"] == "Cancelled"
    subjects = await shop.subjects()
    assert subjects.count("shipment.out_of_stock") == 1
    assert subjects.count("shipment.cancelled") == 1


async def test_an_agreement_that_ends_while_waiting_for_stock_is_cancelled(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await empty_shelf(shop)
    await shop.move_to(china(3, 5))

    await shop.hear(a_termination())
    await shop.move_to(china(3, 6))

    assert (await shop.shipment()).state is ShipmentState.CANCELLED


async def test_a_hold_at_the_warehouse_that_is_no_shortage_is_asked_about_daily(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.erp.fault("ADULT", "ship", "decline:面单异常")

    await shop.move_to(china(3, 5))

    held = await shop.shipment()
    assert held.state is ShipmentState.ACCEPTED
    assert held.due_at == china(3, 5, 18)


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("method", ["stock", "find"])
async def test_a_process_that_dies_while_resolving_substitutes_once(shop, method, after):
    await shop.stock_the_catalogue()
    await shop.allow_substitute("ADULT", "ADULT-FISH")
    await shop.sign()
    await shop.hear(a_funding())
    await shop.move_to(china(3, 4, 8))
    await empty_shelf(shop)
    shop.clock.set(china(3, 4, 9))
    await shop.erp.advance(hours=1)
    from services.fulfillment.usecases.push_shipments import push_shipments
    from services.fulfillment.usecases.resolve_shortages import resolve_shortages

    await push_shipments(shop.deps)
    dying = DyingWarehouse(shop.deps.warehouse, method=method, after=after)
    with pytest.raises(Crash):
        await resolve_shortages(replace(shop.deps, warehouse=dying))

    await shop.move_to(china(3, 4, 16))

    assert (await shop.shipment()).revision == 2
    assert (await shop.shipment()).state is ShipmentState.DISPATCHED
    assert len(await shop.told("%out_of_stock%")) == 1


async def test_a_warehouse_that_cannot_tell_its_stock_is_asked_again(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await empty_shelf(shop)
    await shop.erp.fault("*", "inventory", "http_500", times=2)

    await shop.move_to(china(3, 4, 12))

    assert (await shop.shipment()).state is ShipmentState.OUT_OF_STOCK
    assert len(await shop.told("%out_of_stock%")) == 1
