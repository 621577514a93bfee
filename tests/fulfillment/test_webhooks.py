"""Calls of the warehouse and the carriers: true, forged, stale, unknown, garbage."""

import hashlib
import json
from urllib.parse import urlencode
from uuid import UUID

import pytest

from services.fulfillment.domain.shipment import ShipmentState
from services.fulfillment.gateways import jushuitan
from tests.support.fulfillment_builders import (
    SALT,
    a_funding,
    a_termination,
    china,
    number_of,
)


def push(shop, biz, *, secret="sandbox-jst-secret", age_s=0, **more):
    fields = {
        "action_code": "business_logistics_syn",
        "timestamp": str(int(shop.clock.now().timestamp()) - age_s),
        "biz": biz if isinstance(biz, str) else json.dumps(biz, ensure_ascii=False),
    } | more
    text = "".join(key + fields[key] for key in sorted(fields))
    return fields | {"sign": hashlib.md5(f"{secret}{text}".encode()).hexdigest()}


def departure(so_id, **more):
    return {
        "so_id": so_id,
        "o_id": 10000001,
        "l_id": "SF0000000000001",
        "lc_id": "SF",
        "logistics_company": "顺丰速运",
        "send_date": "2026-03-04 15:00:00",
        "is_send_all": True,
        "items": [{"sku_id": "ADULT", "qty": 1}, {"sku_id": "LITTER", "qty": 2}],
    } | more


def track(number, *nodes, salt=SALT, status="polling", **more):
    told = {
        "status": status,
        "lastResult": {
            "nu": number,
            "com": "shunfeng",
            "state": "0",
            "data": [
                {"ftime": at, "time": at, "context": text, "statusCode": code, "status": ""}
                for at, code, text in nodes
            ],
        }
        | more,
    }
    param = json.dumps(told, ensure_ascii=False)
    return {"param": param, "sign": hashlib.md5((param + salt).encode()).hexdigest().upper()}


async def send(shop, path, body):
    raw = body if isinstance(body, bytes) else urlencode(body).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with shop.http.post(f"{shop.url}/webhooks/{path}", data=raw, headers=headers) as answer:
        return answer.status, await answer.json()


async def inbox(shop):
    async with shop.db.connection() as conn:
        rows = await conn.fetch("SELECT verdict, reason FROM webhook_inbox ORDER BY webhook_id")
    return [(row["verdict"], row["reason"]) for row in rows]


async def accepted(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.move_to(china(3, 4, 9))


async def test_a_departure_is_applied_once_however_often_it_is_told(shop):
    await accepted(shop)
    for age_s in (0, 1, 2):
        status, answer = await send(
            shop, "jushuitan", push(shop, departure(number_of(1)), age_s=age_s)
        )
        assert (status, answer) == (200, {"code": "0", "msg": "执行成功"})

    sent = (await shop.told("%dispatched%"))[0].body
    assert (sent["carrier"], sent["tracking_no"]) == ("sf", "SF0000000000001")
    assert len(await shop.told("%dispatched%")) == 1


async def test_two_boxes_are_two_parcels_and_arrive_together(shop):
    await accepted(shop)
    for box in ("SF0000000000001", "SF0000000000002"):
        biz = departure(number_of(1), l_id=box, is_send_all=False)
        await send(shop, "jushuitan", push(shop, biz))
    async with shop.db.connection() as conn:
        tokens = [row["token"] for row in await conn.fetch("SELECT token FROM parcels ORDER BY 1")]
        numbers = [
            await conn.fetchval("SELECT tracking_no FROM parcels WHERE token = $1", token)
            for token in tokens
        ]
    for token, number in zip(tokens, numbers, strict=True):
        assert (await shop.shipment()).state is ShipmentState.DISPATCHED
        news = track(number, ("2026-03-04 08:00:00", "301", "已签收"))
        await send(shop, f"kuaidi100/{token}", news)

    assert (await shop.shipment()).state is ShipmentState.DELIVERED
    assert len(await shop.told("%dispatched%")) == 1


@pytest.mark.parametrize(
    "forge",
    [
        lambda shop: push(shop, departure(number_of(1)), secret="stranger"),
        lambda shop: push(shop, departure(number_of(1)), age_s=901),
        lambda shop: push(shop, departure(number_of(1))) | {"sign": ""},
        lambda shop: {"biz": "{}"},
        lambda shop: b"\xff\xfe garbage",
        lambda shop: b"",
        lambda shop: b"a=1&" * 30,
    ],
    ids=["forged", "stale", "unsigned", "no fields", "bytes", "nothing", "many fields"],
)
async def test_what_the_warehouse_did_not_say_is_refused_and_kept(shop, forge):
    await accepted(shop)

    status, answer = await send(shop, "jushuitan", forge(shop))

    assert (status, answer["code"]) == (401, "10")
    assert (await inbox(shop))[-1][0] == "rejected"
    assert (await shop.shipment()).state is ShipmentState.ACCEPTED


async def test_a_forged_call_does_not_take_the_place_of_the_true_one(shop):
    await accepted(shop)
    await send(shop, "jushuitan", push(shop, departure(number_of(1)), secret="stranger"))

    await send(shop, "jushuitan", push(shop, departure(number_of(1))))

    assert (await shop.shipment()).state is ShipmentState.DISPATCHED


@pytest.mark.parametrize(
    ("so_id", "reason"),
    [("YF" + UUID(int=7).hex, "unknown order"), ("P2024-1", "unknown order")],
)
async def test_an_unknown_order_is_kept_for_a_person(shop, so_id, reason):
    status, answer = await send(shop, "jushuitan", push(shop, departure(so_id)))

    assert (status, answer["code"]) == (200, "0")
    assert await inbox(shop) == [("unplaced", reason)]


@pytest.mark.parametrize(
    "biz",
    ["not json", "[1]", departure(number_of(1), send_date="yesterday"),
     departure(number_of(1), items=[{"qty": "many"}])],
)  # fmt: skip
async def test_signed_nonsense_is_kept_for_a_person(shop, biz):
    await accepted(shop)

    status, _ = await send(shop, "jushuitan", push(shop, biz))

    assert status == 200
    assert (await inbox(shop))[-1][0] == "unplaced"
    assert (await shop.shipment()).state is ShipmentState.ACCEPTED


async def test_other_kinds_of_news_are_taken_and_ignored(shop):
    status, _ = await send(shop, "jushuitan", push(shop, {"sku_id": "A", "qty": 3}))

    assert status == 200
    assert await inbox(shop) == [("accepted", None)]


async def test_a_parcel_that_left_although_cancelled_is_a_persons_business(shop):
    await accepted(shop)
    await shop.hear(a_termination())
    await shop.run_due()

    await send(shop, "jushuitan", push(shop, departure(number_of(1))))

    assert (await shop.shipment()).state is ShipmentState.CANCELLED
    assert ("unplaced", "dispatched although cancelled") in await inbox(shop)
    assert await shop.told("%dispatched%") == []


async def test_a_departure_told_before_the_upload_was_answered(shop):
    await shop.sign()
    await shop.hear(a_funding())
    await shop.erp.fault(number_of(1), "upload", "hide_answer")
    await shop.move_to(china(3, 4, 9))
    assert (await shop.shipment()).state is ShipmentState.PUSHED

    await send(shop, "jushuitan", push(shop, departure(number_of(1))))

    assert (await shop.shipment()).state is ShipmentState.DISPATCHED
    assert (await shop.subjects())[-2:] == ["shipment.pushed", "shipment.dispatched"]


async def dispatched(shop):
    await accepted(shop)
    await send(shop, "jushuitan", push(shop, departure(number_of(1))))
    async with shop.db.connection() as conn:
        return await conn.fetchval("SELECT token FROM parcels")


GOOD = ("2026-03-04 08:30:00", "103", "快递员13812345678已揽收")


async def test_a_track_is_kept_line_by_line_and_masked(shop):
    token = await dispatched(shop)
    for _ in range(2):
        status, answer = await send(shop, f"kuaidi100/{token}", track("SF0000000000001", GOOD))
        assert (status, answer["returnCode"], answer["result"]) == (200, "200", True)

    async with shop.db.connection() as conn:
        told = [row["told"] for row in await conn.fetch("SELECT told FROM tracks")]
    assert told == ["快递员138****5678已揽收"]


async def test_an_older_track_that_comes_late_does_not_move_the_parcel_back(shop):
    token = await dispatched(shop)
    newer = ("2026-03-04 08:50:00", "501", "已放入快递柜")
    for nodes in ([newer, GOOD], [GOOD]):
        await send(shop, f"kuaidi100/{token}", track("SF0000000000001", *nodes))

    async with shop.db.connection() as conn:
        assert await conn.fetchval("SELECT state FROM parcels") == "ready_for_pickup"


@pytest.mark.parametrize(
    "body",
    [track("SF0000000000001", GOOD, salt="stranger"), {"param": "{}"}, b"\xff", b""],
    ids=["forged", "unsigned", "bytes", "nothing"],
)
async def test_what_the_carrier_did_not_say_is_refused_in_its_own_words(shop, body):
    token = await dispatched(shop)

    status, answer = await send(shop, f"kuaidi100/{token}", body)

    assert (status, answer["result"], answer["returnCode"]) == (401, False, "500")
    assert (await inbox(shop))[-1][0] == "rejected"


@pytest.mark.parametrize(
    ("known", "body", "reason"),
    [
        (False, track("SF0000000000001", GOOD), "unknown address"),
        (True, track("SF9", GOOD), "another waybill"),
        (True, track("SF0000000000001", ("soon", "1", "")), "This is not a time."),
        (True, track("SF0000000000001", data=[1]), "The track makes no sense."),
    ],
)
async def test_tracks_that_cannot_be_placed_are_kept_and_taken(shop, known, body, reason):
    token = await dispatched(shop)

    status, _ = await send(shop, f"kuaidi100/{token if known else 'nobodys'}", body)

    assert status == 200
    assert (await inbox(shop))[-1] == ("unplaced", reason)


async def test_an_unknown_code_is_kept_and_moves_nothing(shop):
    token = await dispatched(shop)

    news = track("SF0000000000001", ("2026-03-04 08:40:00", "999", "?"), state="99")
    await send(shop, f"kuaidi100/{token}", news)

    async with shop.db.connection() as conn:
        assert await conn.fetchval("SELECT state FROM parcels") == "created"
        assert await conn.fetchval("SELECT count(*) FROM tracks") == 1


def test_the_published_vectors_of_the_warehouse_hold():
    fields = {
        "app_key": "AK1",
        "access_token": "AT1",
        "timestamp": "1700000000",
        "charset": "utf-8",
        "version": "2",
        "biz": '{"so_ids":["P2024-1"],"page_index":1}',
        "sign": "whatever",
    }
    assert jushuitan.sign("SEC1", fields) == "43f81b27e969e3e3cff3fd3870a2fec4"
