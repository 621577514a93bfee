"""What fault scripts do, and that our clients see through each of them."""

from dataclasses import replace

import pytest
from aiohttp import web

from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.kit import Options
from shared.rails import alipay_calls, wechatpay_calls
from shared.rails.outcome import BadSignature, Ok, Refused, Unknown, UnknownReason
from tests.rails.conftest import START
from tests.rails.support import BUYER, OPENID, AlipayWorld, running, until


@pytest.fixture
async def due(alipay) -> str:
    """An Alipay agreement on its plan date."""
    number = (await alipay.sign())["agreement_no"]
    await alipay.in_china("2026-01-08")
    return str(number)


async def _paid(alipay) -> int:
    return int((await alipay.books())["summary"]["captures"])


async def test_a_decline_books_nothing(alipay, due):
    await alipay.faulty(BUYER, {"on": "pay", "do": "decline:NO_PAYMENT_INSTRUMENTS_AVAILABLE"})

    declined = await alipay.charge("T1", due)

    assert isinstance(declined, Refused)
    assert declined.code == "NO_PAYMENT_INSTRUMENTS_AVAILABLE"
    assert await _paid(alipay) == 0
    assert isinstance(await alipay.charge("T1", due), Ok)


@pytest.mark.parametrize("code", ["20000", "10003"])
async def test_a_rail_that_is_unsure_leaves_us_unsure(alipay, due, code):
    await alipay.faulty("T1", {"on": "pay", "do": f"decline:{code}"})

    assert await alipay.charge("T1", due) == Unknown(
        UnknownReason.RAIL_UNSURE, "isp.unknow-error" if code == "20000" else code
    )


async def test_an_answer_hidden_after_booking_is_found_by_query(alipay, due):
    await alipay.faulty("*", {"on": "pay", "do": "hide_answer"}, {"on": "notify", "do": "drop"})

    unclear = await alipay.charge("T1", due)
    found = await alipay_calls.query_trade(alipay.client, out_trade_no="T1")
    again = await alipay.charge("T1", due)

    assert isinstance(unclear, Unknown)
    assert unclear.reason is UnknownReason.DISCONNECTED
    assert isinstance(found, Ok)
    assert found.data["trade_status"] == "TRADE_SUCCESS"
    assert isinstance(again, Ok)
    assert await _paid(alipay) == 1
    assert alipay.listener.bodies("/paid") == []


@pytest.mark.parametrize(
    ("do", "reason", "booked"),
    [
        ("http_500", UnknownReason.HTTP_STATUS, 0),
        ("outage", UnknownReason.HTTP_STATUS, 0),
        ("delay:1500", UnknownReason.TIMEOUT, 1),
        ("bad_signature", UnknownReason.BAD_SIGNATURE, 1),
    ],
)
async def test_every_disturbance_ends_as_unknown(alipay, due, do, reason, booked):
    await alipay.faulty(BUYER, {"on": "pay", "do": do})

    unclear = await alipay.charge("T1", due)

    assert isinstance(unclear, Unknown)
    assert unclear.reason is reason
    await until(lambda: alipay.base.books.count("captures") == booked)


async def test_a_wrong_amount_is_stated_under_a_right_signature(alipay, due):
    await alipay.faulty(
        BUYER, {"on": "pay", "do": "wrong_amount"}, {"on": "notify", "do": "wrong_amount"}
    )

    paid = await alipay.charge("T1", due)
    await alipay.quiet()

    assert isinstance(paid, Ok)
    assert paid.data["total_amount"] == "88.01"
    told = alipay.client.open_notification(alipay.listener.bodies("/paid")[0])
    assert told.amount_fen("total_amount") == 8801
    assert (await alipay.books())["captures"][0]["amount_fen"] == 8800


async def test_an_outage_lasts_until_its_moment(alipay, due):
    until_noon = {"on": "*", "do": "outage", "until": "2026-01-08T12:00:00+08:00"}
    await alipay.faulty("*", until_noon)

    outcomes = [await alipay.charge("T1", due) for _ in range(3)]
    await alipay.in_china("2026-01-08", 12)
    after = await alipay.charge("T1", due)

    assert all(isinstance(outcome, Unknown) for outcome in outcomes)
    assert isinstance(after, Ok)


async def test_steps_are_consumed_in_order_and_a_script_can_be_cleared(alipay, due):
    await alipay.faulty(
        BUYER,
        {"on": "pay", "do": "ok"},
        {"on": "pay", "do": "http_500", "times": 2},
        {"on": "pay", "do": "outage", "times": 9},
    )

    kinds = [type(await alipay.charge("T1", due)) for _ in range(4)]
    left = await alipay.ask("GET", f"/faults/{BUYER}")
    await alipay.ask("DELETE", f"/faults/{BUYER}")

    assert kinds == [Ok, Unknown, Unknown, Unknown]
    assert left[1]["steps"] == [{"on": "pay", "do": "outage", "times": 8, "until": None}]
    assert isinstance(await alipay.charge("T1", due), Ok)


@pytest.mark.parametrize(
    "step",
    [
        {"on": "pay", "do": "explode"},
        {"on": "pay", "do": "decline"},
        {"on": "pay", "do": "outage", "until": "2026-01-08T12:00:00"},
        {"on": "pay", "do": "ok", "times": 0},
    ],
)
async def test_a_step_that_makes_no_sense_is_refused(alipay, step):
    status, _ = await alipay.ask("PUT", "/faults/x", {"steps": [step]})

    assert status == 400


async def test_a_notification_comes_twice(alipay, due):
    await alipay.faulty(BUYER, {"on": "notify", "do": "duplicate"})

    await alipay.charge("T1", due)
    await alipay.quiet()

    told = [alipay.client.open_notification(body) for body in alipay.listener.bodies("/paid")]
    assert len(told) == 2
    assert told[0].inbox_key == told[1].inbox_key


async def test_a_notification_comes_after_its_successor(alipay, due):
    await alipay.charge("T1", due)
    await alipay.quiet()
    alipay.listener.heard.clear()
    await alipay.faulty(BUYER, {"on": "notify", "do": "reorder:30"})
    for number in ("R1", "R2"):
        await alipay_calls.refund(
            alipay.client, out_trade_no="T1", out_request_no=number, amount_fen=100
        )
    await alipay.quiet()
    await alipay.move_on(minutes=31)

    told = [alipay.client.open_notification(body) for body in alipay.listener.bodies("/paid")]
    assert [row.fields["out_biz_no"] for row in told] == ["R2", "R1"]


async def test_a_badly_signed_notification_is_refused_and_its_resend_is_right(alipay, due):
    await alipay.faulty(BUYER, {"on": "notify", "do": "bad_signature"})
    alipay.listener.answers.append(web.Response(status=401))

    await alipay.charge("T1", due)
    await alipay.quiet()
    await alipay.move_on(minutes=4)

    spoilt, right = alipay.listener.bodies("/paid")
    with pytest.raises(BadSignature):
        alipay.client.open_notification(spoilt)
    assert alipay.client.open_notification(right).fields["out_trade_no"] == "T1"


async def test_a_notification_is_sent_again_at_the_rails_own_gaps(alipay, due):
    alipay.listener.answers += [web.Response(text="fail") for _ in range(7)]

    await alipay.charge("T1", due)
    await alipay.quiet()
    began = alipay.base.now()
    gaps_s = []
    while (moment := alipay.base.timeline.next_due_at()) is not None:
        gaps_s.append((moment - began).total_seconds())
        began = moment
        await alipay.move_to(moment)

    assert gaps_s == [240, 600, 600, 3600, 7200, 21600, 54000]
    assert len(alipay.listener.bodies("/paid")) == 8
    assert (await alipay.books())["notifications"][-1]["taken"] is True


async def test_a_listener_that_restarts_misses_nothing(alipay, due, listener):
    class Late:
        def __init__(self) -> None:
            self.bodies: list[bytes] = []
            self.app = web.Application()
            self.app.router.add_post("/late", self.hear)

        async def hear(self, request: web.Request) -> web.Response:
            self.bodies.append(await request.read())
            return web.Response(text="success")

    late = Late()
    async with running(web.Application()) as url:
        port = int(url.rpartition(":")[2])
    alipay.base.notify(
        "form", {"fields": {"notify_id": "1"}}, url=f"{url}/late", account="", accepted="=success"
    )
    runner = web.AppRunner(late.app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await until(lambda: len(late.bodies) == 1)
    await runner.cleanup()

    assert alipay.base.timeline.next_due_at() is None


async def test_wechat_faults_are_seen_through(wechat):
    contract_id = str((await wechat.sign())["contract_id"])
    await wechat.faulty(
        OPENID,
        {"on": "apply", "do": "decline:SYSTEMERROR"},
        {"on": "apply", "do": "hide_answer"},
        {"on": "query", "do": "bad_signature"},
        {"on": "query", "do": "http_500"},
        {"on": "query", "do": "wrong_amount"},
        {"on": "prenotice", "do": "bad_signature"},
        {"on": "refund", "do": "hide_answer"},
    )

    unsure = await wechat.charge("T00001", contract_id)
    hidden = await wechat.charge("T00001", contract_id)
    await wechat.move_on(seconds=5)
    answers = [
        await wechatpay_calls.query_deduction(wechat.client, out_trade_no="T00001")
        for _ in range(4)
    ]
    notice = await wechat.notice(contract_id)
    lost, found = [
        await wechatpay_calls.refund(
            wechat.client,
            out_trade_no="T00001",
            out_refund_no="R00001",
            amount_fen=8800,
            total_fen=8800,
        )
        for _ in range(2)
    ]

    assert unsure == Unknown(UnknownReason.RAIL_UNSURE, "SYSTEMERROR")
    assert isinstance(hidden, Unknown)
    assert [type(answer) for answer in answers] == [Unknown, Unknown, Ok, Ok]
    fees = [answer.data["total_fee"] for answer in answers if isinstance(answer, Ok)]
    assert fees == ["8801", "8800"]
    assert notice == Unknown(UnknownReason.BAD_SIGNATURE, "The signature does not hold.")
    assert isinstance(lost, Unknown)
    assert isinstance(found, Ok)
    assert (await wechat.books())["summary"]["captures"] == 1


async def test_wechat_declines_come_as_a_result(wechat):
    contract_id = str((await wechat.sign())["contract_id"])
    await wechat.faulty(
        OPENID,
        {"on": "pay", "do": "decline:PAY_FAIL"},
        {"on": "refund_result", "do": "decline:ABNORMAL"},
    )

    failed = await wechat.charge("T00001", contract_id)
    await wechat.move_on(seconds=5)
    await wechat.charge("T00002", contract_id)
    await wechat.move_on(seconds=5)
    await wechatpay_calls.refund(
        wechat.client, out_trade_no="T00002", out_refund_no="R1", amount_fen=1, total_fen=8800
    )
    await wechat.move_on(minutes=6)
    refund = await wechatpay_calls.query_refund(wechat.client, out_refund_no="R1")

    assert isinstance(failed, Ok)
    told = [wechat.client.open_v2_notification(body) for body in wechat.listener.bodies("/paid")]
    assert [row["trade_state"] for row in told] == ["PAY_FAIL", "SUCCESS"]
    assert isinstance(refund, Ok)
    assert refund.data["status"] == "ABNORMAL"


async def test_a_restarted_simulator_knows_what_the_bank_knows(tmp_path, keys_dir, http, listener):
    options = Options(keys=keys_dir, now=START, books=tmp_path / "alipay.sqlite")
    first = AlipaySandbox(options)
    async with running(first.app) as url:
        world = AlipayWorld(first, url, http, listener, keys_dir)
        number = (await world.sign())["agreement_no"]
        await world.in_china("2026-01-08")
        listener.answers.append(web.Response(status=500))
        await world.charge("T1", number)
        await world.quiet()
        await world.faulty(BUYER, {"on": "refund", "do": "http_500"})
        before = await world.books()

    second = AlipaySandbox(replace(options, now=None))
    async with running(second.app) as url:
        world = AlipayWorld(second, url, http, listener, keys_dir)
        after = await world.books()
        again = await world.charge("T1", number)
        refund = await alipay_calls.refund(
            world.client, out_trade_no="T1", out_request_no="R1", amount_fen=1
        )
        await world.move_on(minutes=4)

        assert second.now() > first.now()

    assert after == before
    assert isinstance(again, Ok)
    assert isinstance(refund, Unknown)
    assert len(listener.bodies("/paid")) == 2


async def test_the_clock_tells_what_is_next_and_does_not_run_back(wechat):
    contract_id = str((await wechat.sign())["contract_id"])
    await wechat.quiet()
    _, before = await wechat.ask("GET", "/clock")
    await wechat.charge("T00001", contract_id)
    _, after = await wechat.ask("GET", "/clock")
    back = await wechat.ask("PUT", "/clock", {"now": "2025-01-01T00:00:00+00:00"})

    assert before["next_due_at"] is None
    assert after["next_due_at"] == "2026-01-01T02:00:03+00:00"
    assert after["activity"] > before["activity"]
    assert after["busy"] is False
    assert back[0] == 409
    async with wechat.http.get(f"{wechat.url}/healthz") as answer:
        assert (await answer.json())["simulator"] == "wechatpay"
