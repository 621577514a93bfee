"""A funded instalment becomes a parcel at the door: through the real wire formats, by date."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.fulfillment.domain.shipment import ShipmentState
from shared.ids import derived_id
from shared.sealing import seal
from tests.support.fulfillment_builders import (
    AGREEMENT,
    CONTACT,
    MERCHANT,
    PUBLIC_KEY,
    TEN,
    Crash,
    DyingWarehouse,
    a_cancellation,
    a_customer,
    a_funding,
    a_pet,
    a_plan,
    a_signing,
    a_termination,
    china,
    number_of,
    shipment_of,
)


async def test_a_funded_instalment_is_planned_told_pushed_sent_and_delivered(shop):
    await shop.sign()
    await shop.hear(a_funding())

    planned = await shop.shipment()
    assert planned.ship_on == date(2026, 3, 4)
    assert planned.deliver_by == date(2026, 3, 9)

    # 3 March 10:00 - the customer is told what leaves tomorrow.
    await shop.move_to(china(3, 3, 10))
    assert (await shop.shipment()).state is ShipmentState.REMINDED
    reminder = (await shop.told("%reminder_due%"))[0].body
    assert [item["sku"] for item in reminder["items"]] == ["ADULT", "LITTER"]
    assert reminder["stage"] == "adult"

    # 4 March 09:00 - the warehouse has it.
    await shop.move_to(china(3, 4, 9))
    assert (await shop.shipment()).state is ShipmentState.ACCEPTED
    order = (await shop.erp.books("orders"))[0]
    assert order["so_id"] == number_of(1)
    assert order["row"]["receiver_mobile"] == CONTACT["phone"]
    assert order["row"]["pay_amount"] == "160.00"

    # 4 March 15:00 - it leaves; two days later it is there.
    await shop.move_to(china(3, 4, 15))
    assert (await shop.shipment()).state is ShipmentState.DISPATCHED
    left = (await shop.told("%dispatched%"))[0].body
    assert left["supply_cost_fen"] == 5500 + 2 * 1500

    await shop.move_to(china(3, 6, 16))
    assert (await shop.shipment()).state is ShipmentState.DELIVERED
    assert await shop.subjects() == [
        "shipment.planned",
        "shipment.reminder_due",
        "shipment.pushed",
        "shipment.dispatched",
        "shipment.delivered",
    ]

    await shop.move_to(china(3, 16))
    assert (await shop.shipment()).state is ShipmentState.CLOSED
    assert await shop.violations() == []


async def test_a_wallet_only_instalment_ships_nothing(shop):
    await shop.sign()
    await shop.hear(a_funding(hold_id=None, hold_fen=0))

    await shop.move_to(china(3, 6))

    assert await shop.told() == []


async def test_a_funding_heard_twice_even_without_memory_ships_once(shop):
    await shop.sign()
    funded = a_funding()
    await shop.hear(funded, funded)
    await shop.forget_what_was_heard()
    await shop.hear(funded, a_funding())

    await shop.move_to(china(3, 5))

    assert len(await shop.erp.books("orders")) == 1
    assert (await shop.subjects()).count("shipment.planned") == 1


async def test_a_funding_before_its_agreement_comes_again(shop):
    with pytest.raises(Exception, match="agreement-unknown"):
        await shop.hear(a_funding())

    await shop.sign()
    await shop.hear(a_funding())

    assert (await shop.shipment()).state is ShipmentState.PLANNED


async def test_people_learnt_after_the_agreement_are_in_time(shop):
    await shop.stock_the_catalogue()
    await shop.hear(a_signing())
    await shop.hear(a_funding())
    await shop.run_due()
    await shop.hear(a_pet())
    await shop.hear(a_customer())
    await shop.hear(a_plan())

    await shop.move_to(china(3, 4, 16))

    assert (await shop.shipment()).state is ShipmentState.DISPATCHED


async def test_an_older_address_does_not_replace_a_newer_one(shop):
    await shop.sign()
    moved = CONTACT | {"address": "新居 2 号"}
    later = TEN + timedelta(hours=1)
    await shop.hear(a_customer(sealed_for_fulfillment=seal(PUBLIC_KEY, moved), occurred_at=later))
    await shop.hear(a_customer())
    await shop.hear(a_funding())

    await shop.move_to(china(3, 4, 9))

    assert (await shop.erp.books("orders"))[0]["row"]["receiver_address"] == "新居 2 号"


async def test_an_address_is_not_readable_in_the_database(shop, fulfillment_db):
    await shop.sign()

    async with fulfillment_db.connection() as conn:
        stored = await conn.fetchval("SELECT contact FROM recipients")

    assert CONTACT["phone"] not in stored
    assert stored.startswith("1:")


async def test_without_an_address_it_waits_a_week_and_is_then_cancelled(shop):
    await shop.sign()
    async with shop.db.transaction() as conn:
        await conn.execute("DELETE FROM recipients")
    await shop.hear(a_funding())

    await shop.move_to(china(3, 15))

    ended = await shop.shipment()
    assert (ended.state, ended.reason) == (ShipmentState.CANCELLED, "address_unknown")
    assert (await shop.subjects())[-1] == "shipment.cancelled"


async def test_a_sku_without_a_catalogue_entry_delays_the_parcel(shop):
    await shop.sign()
    async with shop.db.transaction() as conn:
        await conn.execute("DELETE FROM skus WHERE sku = 'LITTER'")
    await shop.hear(a_funding())
    await shop.move_to(china(3, 3, 11))
    assert (await shop.shipment()).ship_on == date(2026, 3, 5)

    await shop.stock_the_catalogue()
    await shop.move_to(china(3, 5, 16))

    assert (await shop.shipment()).state is ShipmentState.DISPATCHED


async def test_a_kitten_grows_and_its_parcels_change_after_notice(shop):
    # Born 10 November: growing from 10 March, adult from 10 November.
    await shop.sign(born_on=date(2025, 11, 10))
    await shop.hear(a_funding(1))
    await shop.move_to(china(3, 4, 12))
    assert await shop.skus_of(1) == ["YOUNG", "LITTER"]

    changed = (await shop.told("%stage.changed%"))[0].body
    assert (changed["from_stage"], changed["to_stage"]) == ("young", "growing")
    assert changed["from_day"] == "2026-03-10"
    assert changed["occurred_at"].startswith("2026-03-03T02:00")

    await shop.move_to(china(3, 10, 11))
    await shop.hear(a_funding(2))
    await shop.move_to(china(3, 12, 12))
    assert await shop.skus_of(2) == ["GROWING", "LITTER"]
    assert (await shop.shipment(2)).stage == "growing"

    await shop.move_to(china(11, 12, 11))
    await shop.hear(a_funding(3))
    await shop.move_to(china(11, 14, 12))
    assert await shop.skus_of(3) == ["ADULT", "LITTER"]
    stages = [one.body["to_stage"] for one in await shop.told("%stage.changed%")]
    assert stages == ["growing", "adult"]


async def test_a_late_reminder_moves_the_departure_so_that_it_stays_a_day_ahead(shop):
    await shop.sign()
    await shop.hear(a_funding())
    shop.clock.set(china(3, 6, 12))
    for simulator in (shop.erp, shop.tracker):
        await simulator.advance(seconds=(china(3, 6, 12) - simulator.now).total_seconds())

    await shop.run_due()

    assert (await shop.shipment()).ship_on == date(2026, 3, 7)
    assert (await shop.shipment()).due_at == china(3, 7, 9)


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("method", ["upload", "find"])
async def test_a_process_that_dies_while_pushing_sends_one_parcel(shop, method, after):
    await shop.sign()
    await shop.hear(a_funding())
    dying = DyingWarehouse(shop.deps.warehouse, method=method, after=after)
    with pytest.raises(Crash):
        await shop.move_to(china(3, 4, 9), replace(shop.deps, warehouse=dying))
    assert (await shop.shipment()).state is ShipmentState.PUSHED

    await shop.move_to(china(3, 6, 16))

    orders = await shop.erp.books("orders")
    assert [order["uploads"] for order in orders] == [1]
    assert (await shop.shipment()).state is ShipmentState.DELIVERED
    assert (await shop.subjects()).count("shipment.pushed") == 1
    assert (await shop.subjects()).count("shipment.dispatched") == 1


@pytest.mark.parametrize("fault", ["hide_answer", "http_500", "decline:199"])
async def test_an_unclear_upload_is_asked_for_before_it_is_repeated(shop, fault):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.erp.fault(number_of(1), "upload", fault)

    await shop.move_to(china(3, 4, 9))
    assert (await shop.shipment()).state is ShipmentState.PUSHED
    await shop.move_to(china(3, 4, 16))

    assert (await shop.shipment()).state is ShipmentState.DISPATCHED
    assert [order["uploads"] for order in await shop.erp.books("orders")] == [1]


async def test_a_refused_order_is_tried_each_morning_and_cancelled_after_a_week(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.erp.fault(number_of(1), "upload_row", "decline:地址超区", times=50)

    await shop.move_to(china(3, 12))

    ended = await shop.shipment()
    assert (ended.state, ended.reason) == (ShipmentState.CANCELLED, "warehouse_refused")


async def test_a_lost_departure_push_is_found_by_asking_in_the_evening(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.move_to(china(3, 4, 10))
    await shop.erp.fault(number_of(1), "notify", "drop")

    await shop.move_to(china(3, 4, 17))
    assert (await shop.shipment()).state is ShipmentState.ACCEPTED
    await shop.move_to(china(3, 4, 18))

    assert (await shop.shipment()).state is ShipmentState.DISPATCHED


@pytest.mark.parametrize("fault", ["duplicate", "reorder:90", "bad_signature"])
async def test_pushes_that_come_twice_late_or_badly_signed_harm_nothing(shop, fault):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.erp.fault(number_of(1), "notify", fault, times=3)
    await shop.move_to(china(3, 5, 16))
    parcel = (await shop.tracker.books("parcels"))[0]["number"]
    await shop.tracker.fault(parcel, "notify", fault, times=9)

    await shop.move_to(china(3, 8))

    assert (await shop.shipment()).state is ShipmentState.DELIVERED
    subjects = await shop.subjects()
    assert len(subjects) == len(set(subjects))


async def test_a_terminated_agreement_takes_back_what_has_not_left(shop):
    await shop.sign()
    await shop.hear(a_funding(1))
    await shop.move_to(china(3, 4, 10))
    await shop.hear(a_funding(2))

    await shop.hear(a_termination())
    assert (await shop.shipment(2)).state is ShipmentState.CANCELLED
    assert (await shop.shipment(1)).state is ShipmentState.CANCELLING
    await shop.move_to(china(3, 5))

    assert (await shop.shipment(1)).state is ShipmentState.CANCELLED
    assert (await shop.erp.books("orders"))[0]["status"] == "Cancelled"
    reasons = [one.body["reason"] for one in await shop.told("%shipment.cancelled%")]
    assert reasons == ["agreement_terminated"] * 2
    assert await shop.violations() == []


async def test_money_that_comes_after_the_end_is_freed_at_once(shop):
    await shop.sign()
    await shop.hear(a_cancellation())

    await shop.hear(a_funding())

    assert await shop.subjects() == ["shipment.planned", "shipment.cancelled"]


async def test_an_end_heard_twice_or_before_the_signature(shop):
    with pytest.raises(Exception, match="agreement-unknown"):
        await shop.hear(a_termination())
    await shop.sign()
    await shop.hear(a_funding())
    for _ in range(2):
        await shop.hear(a_termination())

    assert (await shop.subjects()).count("shipment.cancelled") == 1


async def test_what_has_left_when_the_agreement_ends_stays_sent(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.move_to(china(3, 4, 10))
    await shop.erp.fault(number_of(1), "notify", "drop")
    await shop.move_to(china(3, 4, 15))  # left, but nobody told us

    await shop.hear(a_termination())
    await shop.move_to(china(3, 7))

    assert (await shop.shipment()).state is ShipmentState.DELIVERED
    assert "shipment.cancelled" not in await shop.subjects()


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
async def test_a_process_that_dies_while_cancelling_cancels_once(shop, after):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.move_to(china(3, 4, 10))
    await shop.hear(a_termination())
    dying = DyingWarehouse(shop.deps.warehouse, method="cancel", after=after)
    with pytest.raises(Crash):
        await shop.run_due(replace(shop.deps, warehouse=dying))

    await shop.move_to(china(3, 5))

    assert (await shop.shipment()).state is ShipmentState.CANCELLED
    assert (await shop.subjects()).count("shipment.cancelled") == 1


async def test_an_agreement_that_ends_while_an_upload_is_unclear_sends_nothing(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.erp.fault(number_of(1), "upload", "hide_answer")
    await shop.move_to(china(3, 4, 9))

    await shop.hear(a_termination())
    await shop.move_to(china(3, 5))

    assert (await shop.shipment()).state is ShipmentState.CANCELLED
    assert (await shop.erp.books("orders"))[0]["status"] == "Cancelled"


async def test_a_parcel_that_falls_silent_is_noticed_and_then_lost(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.move_to(china(3, 4, 15))
    parcel = (await shop.tracker.books("parcels"))[0]["number"]
    await shop.tracker.put(f"/_sandbox/parcels/{parcel}", {"fate": "lost"})

    await shop.move_to(china(3, 11))
    async with shop.db.connection() as conn:
        assert await conn.fetchval("SELECT stuck_at FROM parcels") is not None
    assert (await shop.shipment()).state is ShipmentState.DISPATCHED
    await shop.move_to(china(3, 17))

    assert (await shop.shipment()).state is ShipmentState.LOST
    assert (await shop.subjects())[-1] == "shipment.lost"


async def test_a_refused_parcel_comes_back(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.move_to(china(3, 4, 15))
    parcel = (await shop.tracker.books("parcels"))[0]["number"]
    await shop.tracker.put(f"/_sandbox/parcels/{parcel}", {"fate": "refused"})

    await shop.move_to(china(3, 9))

    assert (await shop.shipment()).state is ShipmentState.RETURNED
    assert (await shop.subjects())[-1] == "shipment.returned"


@pytest.mark.parametrize("fault", ["hide_answer", "http_500", "decline:501", "decline:500"])
async def test_an_unclear_subscription_is_tried_again(shop, fault):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.tracker.fault(CONTACT["phone"], "subscribe", fault)
    await shop.tracker.fault("7", "subscribe", fault)
    await shop.tracker.fault("S", "subscribe", fault)
    await shop.tracker.fault("Y", "subscribe", fault)
    await shop.move_to(china(3, 4, 17))

    async with shop.db.connection() as conn:
        assert await conn.fetchval("SELECT subscribed_at FROM parcels") is not None


async def test_five_hundred_fundings_are_planned_in_one_batch(shop):
    await shop.sign()
    fundings = [
        a_funding(seq, instalment_id=derived_id("many", seq), hold_id=derived_id("h", seq))
        for seq in range(1, 501)
    ]

    await shop.hear(*fundings)

    assert len(await shop.told("%planned%")) == 500
    assert {one.body["agreement_id"] for one in await shop.told()} == {str(AGREEMENT)}
    assert MERCHANT.hex not in shipment_of(1).hex
