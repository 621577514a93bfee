"""The warehouse's ERP over real HTTP, with forms signed by the test."""

import asyncio
import hashlib
import json
from datetime import timedelta

import pytest
from aiohttp import ServerDisconnectedError

from deploy.sandbox.jushuitan import Jushuitan
from tests.sandbox.harness import START, Simulator, hook, running

OK = {"code": "0", "msg": "执行成功"}
UPLOAD = "/open/jushuitan/orders/upload"
QUERY = "/open/orders/single/query"
CANCEL = "/open/jushuitan/orderbyoid/cancel"


def erp(**extra):
    """A warehouse without the limits of calls that only some tests are about."""
    return running(Jushuitan, **{"jst_calls_per_second": 0, "jst_calls_per_minute": 0} | extra)


def order(so_id="S-1", *, sku="CAT-KITTEN-2KG", qty=1, amount="88.00", **more):
    line = {"sku_id": sku, "qty": qty, "amount": amount, "outer_oi_id": f"{so_id}-1", "name": "粮"}
    return {
        "shop_id": 1,
        "so_id": so_id,
        "order_date": "2026-03-02 10:00:00",
        "shop_status": "WAIT_SELLER_SEND_GOODS",
        "shop_buyer_id": "c-1",
        "receiver_state": "上海",
        "receiver_name": "王小明",
        "receiver_address": "世纪大道1号",
        "receiver_mobile": "13800000000",
        "pay_amount": amount,
        "freight": "0.00",
        "items": [line],
        "pay": {"outer_pay_id": f"P{so_id}", "pay_date": "2026-03-02 10:00:00", "amount": amount},
    } | more


async def call(simulator: Simulator, path: str, biz, *, secret="sandbox-jst-secret", **more):
    fields = {
        "app_key": "sandbox-jst-app",
        "access_token": "sandbox-jst-token",
        "timestamp": str(int(simulator.now.timestamp())),
        "charset": "utf-8",
        "version": "2",
        "biz": json.dumps(biz, ensure_ascii=False),
    } | more
    text = "".join(f"{key}{fields[key]}" for key in sorted(fields))
    fields["sign"] = hashlib.md5(f"{secret}{text}".encode()).hexdigest()
    async with simulator.http.post(simulator.url(path), data=fields) as answer:
        if answer.status != 200:
            return {"status": answer.status}
        return await answer.json()


async def upload(simulator: Simulator, *rows):
    answer = await call(simulator, UPLOAD, list(rows))
    assert answer["code"] == 0
    return answer["data"]["datas"]


async def look(simulator: Simulator, so_id="S-1"):
    answer = await call(simulator, QUERY, {"so_ids": [so_id], "page_index": 1})
    (found,) = answer["data"]["orders"]
    return found


def heard(push):
    fields = {key: value for key, value in push.form.items() if key != "sign"}
    text = "".join(f"{key}{fields[key]}" for key in sorted(fields))
    expected = hashlib.md5(f"sandbox-jst-secret{text}".encode()).hexdigest()
    return fields["action_code"], json.loads(fields["biz"]), push.form["sign"] == expected


async def test_an_order_is_accepted_at_once_and_ships_at_three_in_china():
    async with hook(OK) as us, erp(jst_push_url=us.url) as simulator:
        (row,) = await upload(simulator, order())
        await us.wait_for(1)
        await simulator.advance(hours=4, minutes=59)
        assert len(us.pushes) == 1
        await simulator.advance(minutes=1)
        await us.wait_for(2)

        (accepted, first, signed_1), (shipped, second, signed_2) = map(heard, us.pushes)
        assert signed_1
        assert signed_2
        assert (accepted, first["status"]) == ("business_order_syn", "WaitConfirm")
        assert (shipped, second["o_id"]) == ("business_logistics_syn", row["o_id"])
        assert second["send_date"] == "2026-03-02 15:00:00"
        assert second["is_send_all"] is True
        assert (await look(simulator))["l_id"] == second["l_id"]


async def test_an_order_after_three_waits_for_the_next_day():
    async with erp() as simulator:
        await simulator.advance(hours=5)
        await upload(simulator, order())
        await simulator.advance(hours=23)
        before = await look(simulator)
        await simulator.advance(hours=1)

        assert before["status"] == "WaitConfirm"
        assert (await look(simulator))["send_date"] == "2026-03-03 15:00:00"


async def test_the_same_order_uploaded_again_is_the_same_order():
    async with hook(OK) as us, erp(jst_push_url=us.url) as simulator:
        (first,) = await upload(simulator, order())
        (second,) = await upload(simulator, order(receiver_address="世纪大道2号"))
        await simulator.advance(days=1)
        (third,) = await upload(simulator, order())

        assert first["o_id"] == second["o_id"] == third["o_id"]
        assert third["issuccess"] is True
        assert len(us.pushes) == 2
        assert len(await simulator.books("orders")) == 1


async def test_without_stock_the_order_becomes_a_question_until_goods_come():
    async with hook(OK) as us, erp(jst_push_url=us.url) as simulator:
        await simulator.put("/_sandbox/stock/CAT-KITTEN-2KG", {"qty": 1})
        await upload(simulator, order("S-1"), order("S-2"))
        question = await look(simulator, "S-2")
        await simulator.put("/_sandbox/stock/CAT-KITTEN-2KG", {"qty": 5})
        await simulator.advance(days=1)

        assert (question["status"], question["question_type"]) == ("Question", "缺货")
        assert "CAT-KITTEN-2KG" in question["question_desc"]
        assert [heard(push)[1]["status"] for push in us.pushes if "status" in heard(push)[1]] == [
            "WaitConfirm",
            "Question",
            "WaitConfirm",
        ]
        assert (await look(simulator, "S-2"))["status"] == "Sent"


async def test_a_substitute_uploaded_in_its_place_ships():
    async with erp() as simulator:
        await simulator.put("/_sandbox/stock/CAT-KITTEN-2KG", {"qty": 0})
        await upload(simulator, order())
        await upload(simulator, order(sku="CAT-ADULT-2KG"))
        await simulator.advance(days=1)

        found = await look(simulator)
        assert (found["status"], found["items"][0]["sku_id"]) == ("Sent", "CAT-ADULT-2KG")


async def test_stock_is_locked_by_an_order_and_gone_with_the_parcel():
    async with erp() as simulator:
        await simulator.put("/_sandbox/stock/CAT-KITTEN-2KG", {"qty": 5})
        await upload(simulator, order(qty=2))
        biz = {"sku_ids": "CAT-KITTEN-2KG", "page_size": 10, "page_index": 1}
        before = (await call(simulator, "/open/inventory/query", biz))["data"]["inventorys"][0]
        await simulator.advance(days=1)
        after = (await call(simulator, "/open/inventory/query", biz))["data"]["inventorys"][0]

        assert (before["qty"], before["order_lock"]) == (5, 2)
        assert (after["qty"], after["order_lock"]) == (3, 0)


async def test_a_cancel_wins_before_the_parcel_leaves_and_loses_after():
    async with hook(OK) as us, erp(jst_push_url=us.url) as simulator:
        early, late = await upload(simulator, order("S-1"), order("S-2"))
        biz = {"o_ids": [early["o_id"]], "cancel_type": "不需要了"}
        for _ in range(2):
            (row,) = (await call(simulator, CANCEL, biz))["data"]["datas"]
            assert row["issuccess"] is True
        await simulator.advance(days=1)
        (row,) = (await call(simulator, CANCEL, {"o_ids": [late["o_id"]]}))["data"]["datas"]

        assert row["issuccess"] is False
        assert (await look(simulator, "S-1"))["status"] == "Cancelled"
        assert (await look(simulator, "S-2"))["status"] == "Sent"
        assert [heard(push)[1].get("status") for push in us.pushes].count("Cancelled") == 1


async def test_a_shop_that_closes_the_trade_cancels_the_order():
    async with erp() as simulator:
        await upload(simulator, order())
        await upload(simulator, order(shop_status="TRADE_CLOSED"))
        (again,) = await upload(simulator, order())

        assert (await look(simulator))["status"] == "Cancelled"
        assert again["issuccess"] is False


async def test_an_order_without_its_full_payment_waits():
    async with erp() as simulator:
        await upload(simulator, order(pay={"outer_pay_id": "P", "amount": "80.00"}))
        waiting = await look(simulator)
        await upload(simulator, order(pay=[{"outer_pay_id": "P", "amount": "88.00"}]))

        assert waiting["status"] == "WaitPay"
        assert (await look(simulator))["status"] == "WaitConfirm"


@pytest.mark.parametrize(
    "wrong",
    [
        {"so_id": ""},
        {"so_id": "x" * 51},
        {"shop_status": "PAID"},
        {"order_date": "2026-03-02"},
        {"pay_amount": "89.00"},
        {"pay_amount": "88.001"},
        {"items": []},
        {"items": [{"sku_id": "A", "qty": 0, "amount": "88.00", "outer_oi_id": "1"}]},
        {"receiver_district": None},
    ],
)
async def test_a_bad_row_is_refused_inside_a_successful_call(wrong):
    async with erp() as simulator:
        bad, good = await upload(simulator, order("S-1") | wrong, order("S-2"))

        assert (bad["issuccess"], good["issuccess"]) == (False, True)
        assert bad["msg"]


async def test_at_most_fifty_orders_fit_in_a_call():
    async with erp() as simulator:
        answer = await call(simulator, UPLOAD, [order(f"S-{n}") for n in range(51)])
        rows = await upload(simulator, *(order(f"S-{n}") for n in range(50)))

        assert answer["code"] == 130
        assert len(rows) == 50


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"secret": "other"}, 10),
        ({"access_token": "other"}, 100),
        ({"timestamp": str(int((START - timedelta(seconds=901)).timestamp()))}, 140),
    ],
)
async def test_calls_must_be_signed_by_us_with_a_token_and_in_time(more, code):
    async with erp() as simulator:
        assert (await call(simulator, UPLOAD, [order()], **more))["code"] == code
        assert await call(simulator, QUERY, {"so_ids": ["S-1"]}) != {}
        assert simulator.sandbox.books.count("orders") == 0


async def test_a_token_of_the_simulator_lives_thirty_days_and_is_refreshed():
    async with erp() as simulator:
        path = "/openWeb/auth/getInitToken"
        more = {"grant_type": "authorization_code", "code": "abc123"}
        first = (await call(simulator, path, {}, **more))["data"]
        works = await call(simulator, UPLOAD, [order()], access_token=first["access_token"])
        await simulator.advance(days=31)
        ended = await call(simulator, UPLOAD, [order()], access_token=first["access_token"])
        more = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = (await call(simulator, "/openWeb/auth/refreshToken", {}, **more))["data"]
        again = await call(simulator, UPLOAD, [order()], access_token=second["access_token"])

        assert (works["code"], ended["code"], again["code"]) == (0, 100, 0)


async def test_more_calls_than_a_second_allows_are_refused():
    async with erp(jst_calls_per_second=1) as simulator:
        biz = {"so_ids": ["S-1"]}
        answers = await asyncio.gather(*(call(simulator, QUERY, biz) for _ in range(10)))

        assert {answer["code"] for answer in answers} == {0, 199}


async def test_a_lifted_second_still_leaves_the_minute():
    async with erp(jst_calls_per_minute=7) as simulator:
        biz = {"so_ids": ["S-1"]}
        codes = [(await call(simulator, QUERY, biz))["code"] for _ in range(8)]

        assert codes == [0] * 7 + [200]


async def test_shipped_orders_are_found_by_time_and_by_row_version():
    async with erp() as simulator:
        await upload(simulator, order("S-1"), order("S-2"))
        await simulator.advance(days=1)
        await upload(simulator, order("S-3"))
        window = {"modified_begin": "2026-03-02 14:00:00", "modified_end": "2026-03-02 16:00:00"}
        sent = await call(simulator, "/open/logistic/query", {"page_size": 1} | window)
        version = (await look(simulator, "S-3"))["ts"]
        newer = await call(simulator, QUERY, {"start_ts": version, "is_get_total": False})
        long = await call(simulator, QUERY, window | {"modified_end": "2026-03-10 16:00:00"})

        assert (sent["data"]["data_count"], sent["data"]["has_next"]) == (2, True)
        assert [row["so_id"] for row in newer["data"]["orders"]] == ["S-3"]
        assert long["code"] == 130


async def test_a_push_nobody_takes_is_redelivered_ten_times():
    async with hook({"code": "500"}) as us, erp(jst_push_url=us.url) as simulator:
        await upload(simulator, order(shop_status="TRADE_CLOSED"))
        await simulator.advance(days=2)

        assert len(us.pushes) == 11


async def test_a_badly_signed_push_and_its_right_successor():
    async with hook({"code": "500"}) as us, erp(jst_push_url=us.url) as simulator:
        await simulator.fault("S-1", "notify", "bad_signature")
        await upload(simulator, order())
        await simulator.advance(minutes=1)

        assert [heard(push)[2] for push in us.pushes] == [False, True]


async def test_scripted_refusals_of_rows_calls_and_parcels():
    async with erp() as simulator:
        await simulator.fault("S-1", "upload_row", "decline:地址超区")
        (row,) = await upload(simulator, order())
        await simulator.fault("S-1", "upload", "decline:200")
        busy = await call(simulator, UPLOAD, [order()])
        await simulator.fault("S-1", "ship", "decline:包装破损")
        await upload(simulator, order())
        await simulator.advance(days=1)

        assert (row["issuccess"], row["msg"]) == (False, "地址超区")
        assert busy["code"] == 200
        assert (await look(simulator))["question_desc"] == "包装破损"


async def test_a_hidden_answer_left_an_order_behind():
    async with erp() as simulator:
        await simulator.fault("S-1", "upload", "hide_answer")
        with pytest.raises(ServerDisconnectedError):
            await upload(simulator, order())

        assert (await look(simulator))["status"] == "WaitConfirm"


async def test_carriers_and_warehouses_can_be_listed():
    async with erp() as simulator:
        carriers = await call(simulator, "/open/logisticscompany/query", {})
        warehouses = await call(simulator, "/open/wms/partner/query", {})

        assert {row["lc_id"] for row in carriers["data"]["datas"]} == {"ZTO", "SF", "YTO"}
        assert warehouses["data"]["datas"][0]["wms_co_id"] == 1001
