"""Our adapters against the simulators: tokens, batches, refusals, paces, odd answers."""

import asyncio
from dataclasses import replace
from datetime import date

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.fulfillment.domain.agreement import Recipient
from services.fulfillment.domain.contents import Item, Why
from services.fulfillment.domain.parcel import ParcelState
from services.fulfillment.domain.shipment import OrderState
from services.fulfillment.gateways.carrier import TrackingRefused, TrackingUnclear
from services.fulfillment.gateways.jushuitan import Jushuitan
from services.fulfillment.gateways.kuaidi100 import Kuaidi100
from services.fulfillment.gateways.pace import Pace
from services.fulfillment.gateways.warehouse import Order, Refused, Taken, WarehouseUnclear
from shared.ids import derived_id
from tests.support.fulfillment_builders import (
    CONTACT,
    CUSTOMER,
    TEN,
    erp_account,
    tracker_account,
)


def an_order(number="YF1", **changes):
    order = Order(
        shipment_no=number,
        buyer_id=CUSTOMER,
        recipient=Recipient(**CONTACT),
        items=(Item("A", "粮", 1, 100, Why.BUNDLE), Item("B", "砂", 2, 50, Why.BUNDLE)),
        paid_fen=9999,
        paid_at=TEN,
        payment_no=derived_id("hold", 1).hex,
        deliver_by=date(2026, 3, 9),
    )
    return replace(order, **changes)


async def test_an_ended_token_is_renewed_once_for_all_who_wait(shop):
    account = replace(erp_account(shop.erp), token="ended")
    warehouse = Jushuitan(shop.http, account, shop.clock, per_second=0, per_minute=0)

    found = await asyncio.gather(*(warehouse.find(["YF1"]) for _ in range(5)))

    assert found == [{}] * 5
    assert shop.erp.sandbox.books.count("_tokens") == 1


async def test_more_orders_than_one_call_takes_are_several_calls(shop):
    orders = [an_order(f"YF{number}") for number in range(60)]

    answers = await shop.deps.warehouse.upload(orders)
    found = await shop.deps.warehouse.find([order.shipment_no for order in orders])

    assert all(isinstance(answer, Taken) for answer in answers.values())
    assert set(found) == set(answers)
    assert {report.state for report in found.values()} == {OrderState.ACCEPTED}
    assert found["YF7"].items == (("A", 1), ("B", 2))


async def test_one_refused_row_leaves_the_others(shop):
    await shop.erp.fault("YFBAD", "upload_row", "decline:地址超区")

    answers = await shop.deps.warehouse.upload([an_order("YFBAD"), an_order("YFGOOD")])

    assert answers["YFBAD"] == Refused("地址超区")
    assert isinstance(answers["YFGOOD"], Taken)


async def test_a_cancelled_order_is_cancelled_and_an_unknown_one_refused(shop):
    answers = await shop.deps.warehouse.upload([an_order()])
    order_no = answers["YF1"].order_no

    for _ in range(2):
        cancelled = await shop.deps.warehouse.cancel([order_no, "404"])
        assert isinstance(cancelled[order_no], Taken)
        assert isinstance(cancelled["404"], Refused)
    assert (await shop.deps.warehouse.find(["YF1"]))["YF1"].state is OrderState.CANCELLED


async def test_stock_is_what_nobody_else_has_been_promised(shop):
    await shop.erp.put("/_sandbox/stock/B", {"qty": 5})
    await shop.deps.warehouse.upload([an_order()])

    assert (await shop.deps.warehouse.stock(["B"])) == {"B": 3}


@pytest.mark.parametrize(
    "wrong",
    [{"app_secret": "wrong"}, {"app_key": "wrong"}, {"url": "http://127.0.0.1:9"}],
    ids=["secret", "app", "nobody listens"],
)
async def test_whatever_is_wrong_with_the_account_is_unclear_not_refused(shop, wrong):
    account = replace(erp_account(shop.erp), **wrong)
    warehouse = Jushuitan(shop.http, account, shop.clock, per_second=0, per_minute=0)

    with pytest.raises(WarehouseUnclear):
        await warehouse.upload([an_order()])


ODD = [b"", b"<html>", b"[]", b'{"code":0}', b'{"code":0,"data":{"datas":[1],"orders":[1]}}']


@pytest.mark.parametrize("body", ODD)
async def test_odd_answers_are_unclear(shop, body):
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        warehouse = Jushuitan(
            shop.http, replace(erp_account(shop.erp), url=url), shop.clock, per_second=0
        )
        carrier = Kuaidi100(shop.http, replace(tracker_account(shop.tracker), url=url))
        for ask in (
            warehouse.upload([an_order()]),
            warehouse.find(["YF1"]),
            warehouse.cancel(["1"]),
            warehouse.stock(["A"]),
            carrier.subscribe("sf", "SF1", phone="1", callback_url="http://localhost"),
        ):
            with pytest.raises((WarehouseUnclear, TrackingUnclear)):
                await ask


async def test_a_subscription_again_is_the_same_and_foreign_carriers_are_refused(shop):
    hook = f"{shop.url}/webhooks/kuaidi100/token"
    for _ in range(2):
        await shop.deps.carrier.subscribe("sf", "SF0000001", phone="138", callback_url=hook)

    assert len(await shop.tracker.books("parcels")) == 1
    with pytest.raises(TrackingRefused):
        await shop.deps.carrier.subscribe("某某物流", "X000001", phone="", callback_url=hook)


async def test_phones_are_given_only_to_carriers_that_need_them(shop):
    hook = f"{shop.url}/webhooks/kuaidi100/token"
    for carrier, number in (("yto", "YT0000001"), ("zto", "780000001")):
        await shop.deps.carrier.subscribe(carrier, number, phone="13800138000", callback_url=hook)

    given = {one["number"]: one["phone"] for one in await shop.tracker.books("parcels")}
    assert given == {"YT0000001": "", "780000001": "13800138000"}


async def test_a_track_is_asked_for_with_a_signature(shop):
    hook = f"{shop.url}/webhooks/kuaidi100/token"
    await shop.deps.carrier.subscribe("sf", "SF0000001", phone="138", callback_url=hook)
    assert await shop.deps.carrier.query("sf", "SF0000001", phone="138") is None
    await shop.tracker.advance(hours=7)

    track = await shop.deps.carrier.query("sf", "SF0000001", phone="138")

    assert track.tracking_no == "SF0000001"
    assert [node.state for node in track.nodes] == [ParcelState.PICKED_UP]
    stranger = Kuaidi100(shop.http, replace(tracker_account(shop.tracker), key="wrong"))
    with pytest.raises(TrackingUnclear):
        await stranger.query("sf", "SF0000001", phone="138")


async def test_calls_keep_their_pace():
    pace, loop = Pace(3, span_s=0.2), asyncio.get_running_loop()
    began = loop.time()
    moments = []
    for _ in range(7):
        await pace.wait()
        moments.append(loop.time() - began)

    assert moments[2] < 0.1
    assert all(
        later - earlier >= 0.199 for earlier, later in zip(moments, moments[3:], strict=False)
    )
    no_limit = Pace(0, span_s=60)
    await asyncio.gather(*(no_limit.wait() for _ in range(100)))
