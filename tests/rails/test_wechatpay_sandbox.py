"""Our WeChat Pay client against the simulated rail: each interface, each rule it enforces."""

import pytest

from shared.rails import wechatpay_calls as calls
from shared.rails.outcome import BadSignature, Ok, Refused
from tests.rails.support import OPENID


async def _signed(wechat, code: str = "AG0001") -> str:
    return str((await wechat.sign(code))["contract_id"])


def _code(outcome) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.code


async def _state(wechat, number: str) -> str:
    answer = await calls.query_deduction(wechat.client, out_trade_no=number)
    assert isinstance(answer, Ok), answer
    return str(answer.data["trade_state"])


async def test_a_contract_is_told_and_can_be_asked_for(wechat):
    contract_id = await _signed(wechat)
    await wechat.quiet()

    told = wechat.client.open_v2_notification(wechat.listener.bodies("/signed")[0])
    found = await calls.query_contract(wechat.client, plan_id="130001", contract_code="AG0001")

    assert (told["change_type"], told["contract_id"]) == ("ADD", contract_id)
    assert isinstance(found, Ok)
    assert (found.data["contract_state"], found.data["openid"]) == ("0", OPENID)


async def test_a_signing_with_changed_data_or_a_used_code_is_refused(wechat):
    await _signed(wechat)

    changed = await wechat.sign("AG0002", contract_code="AG0003")
    again = await wechat.sign("AG0001")

    assert changed["return_msg"] == "SIGNERROR"
    assert again["return_msg"] == "CONTRACT_CODE_USED"


async def test_notice_window_and_one_success_per_cycle(wechat):
    contract_id = await _signed(wechat)
    await wechat.in_china("2026-01-10")

    unannounced = await wechat.charge("T00001", contract_id)
    announced = await wechat.notice(contract_id)
    twice = await wechat.notice(contract_id)
    await wechat.in_china("2026-01-11", 21)
    too_early = await wechat.charge("T00002", contract_id)
    await wechat.in_china("2026-01-12", 22)
    at_night = await wechat.charge("T00003", contract_id)
    await wechat.in_china("2026-01-18")
    above = await wechat.charge("T00004", contract_id, 8801)
    taken = await wechat.charge("T00005", contract_id)
    meanwhile = await _state(wechat, "T00005")
    other = await wechat.charge("T00006", contract_id)
    await wechat.move_on(seconds=5)
    after = await _state(wechat, "T00005")
    await wechat.in_china("2026-01-19")
    second = await wechat.charge("T00007", contract_id)

    assert _code(unannounced) == "INVALID_REQUEST"
    assert isinstance(announced, Ok)
    assert [_code(no) for no in (twice, too_early, at_night)] == ["INVALID_REQUEST"] * 3
    assert _code(above) == "RULELIMIT"
    assert isinstance(taken, Ok)
    assert (meanwhile, after) == ("ACCEPT", "SUCCESS")
    assert _code(other) == "FREQUENCY_LIMITED"
    assert _code(second) == "INVALID_REQUEST"
    told = wechat.client.open_v2_notification(wechat.listener.bodies("/paid")[0])
    assert (told["trade_state"], told["total_fee"]) == ("SUCCESS", "8800")
    assert (await wechat.books())["summary"]["double_captures"] == 0


async def test_a_window_that_passed_needs_a_new_notice(wechat):
    contract_id = await _signed(wechat)
    await wechat.in_china("2026-01-10")
    await wechat.notice(contract_id)
    await wechat.in_china("2026-01-19")

    missed = await wechat.charge("T00001", contract_id)
    again = await wechat.notice(contract_id)

    assert _code(missed) == "INVALID_REQUEST"
    assert isinstance(again, Ok)


async def test_right_after_signing_no_notice_is_needed(wechat):
    contract_id = await _signed(wechat)

    taken = await wechat.charge("T00001", contract_id)
    await wechat.move_on(seconds=5)
    same_day = await wechat.charge("T00002", contract_id)

    assert isinstance(taken, Ok)
    assert await _state(wechat, "T00001") == "SUCCESS"
    assert _code(same_day) == "RULELIMIT"


async def test_a_notice_at_night_or_above_the_ceiling_is_refused(wechat):
    contract_id = await _signed(wechat)

    dear = await wechat.notice(contract_id, 50_001)
    await wechat.in_china("2026-01-10", 6)
    night = await wechat.notice(contract_id)
    unknown = await wechat.notice("none")

    assert _code(dear) == "INVALID_REQUEST"
    assert _code(night) == "INVALID_REQUEST"
    assert _code(unknown) == "CONTRACT_NOT_EXIST"
    assert _code(await wechat.charge("T00001", contract_id, 50_001)) == "RULELIMIT"


async def test_a_failed_number_is_used_up(wechat):
    contract_id = await _signed(wechat)
    await wechat.ask("PUT", f"/users/{OPENID}", {"balance_fen": 0})

    taken = await wechat.charge("T00001", contract_id)
    repeated = await wechat.charge("T00001", contract_id)
    changed = await wechat.charge("T00001", contract_id, 8700)
    await wechat.move_on(seconds=5)
    state = await _state(wechat, "T00001")
    reused = await wechat.charge("T00001", contract_id)
    await wechat.ask("PUT", f"/users/{OPENID}", {"balance_fen": 8800})
    fresh = await wechat.charge("T00002", contract_id)
    await wechat.move_on(seconds=5)
    paid_again = await wechat.charge("T00002", contract_id)

    assert isinstance(taken, Ok)
    assert isinstance(repeated, Ok)
    assert _code(changed) == "OUT_TRADE_NO_USED"
    assert state == "PAY_FAIL"
    assert _code(reused) == "OUT_TRADE_NO_USED"
    assert isinstance(fresh, Ok)
    assert _code(paid_again) == "ORDERPAID"
    failed = wechat.client.open_v2_notification(wechat.listener.bodies("/paid")[0])
    assert (failed["result_code"], failed["trade_state"]) == ("SUCCESS", "PAY_FAIL")
    assert failed["err_code"] == "NOTENOUGH"


async def test_the_24_hour_template_waits_and_takes_no_second_order(wechat):
    await wechat.ask("PUT", "/plans/130001", {"mode": "24h"})
    contract_id = await _signed(wechat)
    await wechat.in_china("2026-01-10")

    notice = await wechat.notice(contract_id)
    taken = await wechat.charge("T00001", contract_id)
    await wechat.move_on(hours=23)
    second = await wechat.charge("T00002", contract_id)
    waiting = await _state(wechat, "T00001")
    await wechat.move_on(hours=2)

    assert _code(notice) == "INVALID_REQUEST"
    assert isinstance(taken, Ok)
    assert _code(second) == "FREQUENCY_LIMITED"
    assert waiting == "ACCEPT"
    assert await _state(wechat, "T00001") == "SUCCESS"


async def test_an_ended_contract_takes_no_charge(wechat):
    mine, theirs = await _signed(wechat, "AG0001"), await _signed(wechat, "AG0002")

    ended = await calls.delete_contract(wechat.client, contract_id=mine, remark="终止")
    await wechat.ask("POST", f"/users/{OPENID}/unsign", {"contract_id": theirs})
    await wechat.quiet()

    assert isinstance(ended, Ok)
    for contract_id, mode in ((mine, "3"), (theirs, "2")):
        found = await calls.query_contract(wechat.client, contract_id=contract_id)
        assert isinstance(found, Ok)
        assert found.data["contract_state"] == "1"
        assert found.data["contract_termination_mode"] == mode
        assert _code(await wechat.charge(f"T{contract_id}", contract_id)) == "CONTRACT_NOT_EXIST"
        assert _code(await wechat.notice(contract_id)) == "CONTRACT_NOT_EXIST"
    told = [wechat.client.open_v2_notification(b) for b in wechat.listener.bodies("/template")]
    assert sorted(row["contract_termination_mode"] for row in told) == ["2", "3"]


async def test_what_never_came_is_not_found(wechat):
    query = await calls.query_deduction(wechat.client, out_trade_no="NONE01")
    order = await calls.query_order(wechat.client, out_trade_no="NONE01")
    refund = await calls.query_refund(wechat.client, out_refund_no="NONE01")
    contract = await calls.query_contract(wechat.client, contract_id="none")

    assert [_code(no) for no in (query, order, refund, contract)] == [
        "ORDERNOTEXIST",
        "ORDER_NOT_EXIST",
        "RESOURCE_NOT_EXISTS",
        "CONTRACT_NOT_EXIST",
    ]


async def _refund(wechat, number: str, amount_fen: int, total_fen: int = 8800):
    return await calls.refund(
        wechat.client,
        out_trade_no="T00001",
        out_refund_no=number,
        amount_fen=amount_fen,
        total_fen=total_fen,
        reason="退订",
        notify_url=wechat.listener.url("/refunded"),
    )


async def test_a_refund_is_accepted_then_done_and_never_above_what_was_paid(wechat):
    contract_id = await _signed(wechat)
    await wechat.charge("T00001", contract_id)
    unpaid = await _refund(wechat, "R00001", 100)
    await wechat.move_on(seconds=5)

    first = await _refund(wechat, "R00001", 3000)
    same = await _refund(wechat, "R00001", 3000)
    other = await _refund(wechat, "R00001", 3001)
    above = await _refund(wechat, "R00002", 5801)
    wrong_total = await _refund(wechat, "R00002", 100, 8801)
    await wechat.move_on(minutes=6)
    done = await calls.query_refund(wechat.client, out_refund_no="R00001")

    assert _code(unpaid) == "RESOURCE_NOT_EXISTS"
    assert isinstance(first, Ok)
    assert first.data["status"] == "PROCESSING"
    assert same == first
    assert [_code(no) for no in (other, above, wrong_total)] == [
        "INVALID_REQUEST",
        "INVALID_REQUEST",
        "PARAM_ERROR",
    ]
    assert isinstance(done, Ok)
    assert done.data["status"] == "SUCCESS"
    _, headers, body = next(row for row in wechat.listener.heard if row[0] == "/refunded")
    event = wechat.client.open_v3_notification(headers, body)
    assert (event.event_type, event.resource["amount"]["refund"]) == ("REFUND.SUCCESS", 3000)
    assert (await wechat.books())["summary"]["refunded_fen"] == 3000
    with pytest.raises(BadSignature):
        wechat.client.open_v3_notification(headers, body + b" ")


async def test_an_order_is_paid_by_hand_or_closed(wechat):
    async def create(number: str, amount_fen: int = 100):
        return await calls.create_order(
            wechat.client,
            out_trade_no=number,
            amount_fen=amount_fen,
            description="补缴",
            openid=OPENID,
            notify_url=wechat.listener.url("/paid-by-hand"),
        )

    first, again, other = await create("P00001"), await create("P00001"), await create("P00001", 99)
    await create("P00002")
    closed = await calls.close_order(wechat.client, out_trade_no="P00002")
    assert isinstance(first, Ok)
    prepay = {"prepay_id": first.data["prepay_id"]}
    paid = await wechat.ask("POST", f"/users/{OPENID}/pay", prepay)
    twice = await wechat.ask("POST", f"/users/{OPENID}/pay", prepay)
    await wechat.quiet()
    found = await calls.query_order(wechat.client, out_trade_no="P00001")

    assert again == first
    assert _code(other) == "INVALID_REQUEST"
    assert closed == Ok({})
    assert (paid[0], twice[0]) == (200, 409)
    assert isinstance(found, Ok)
    assert (found.data["trade_state"], found.data["amount"]["total"]) == ("SUCCESS", 100)
    assert _code(await create("P00001")) == "ORDERPAID"
    assert _code(await create("P00002")) == "ORDER_CLOSED"
    _, headers, body = next(row for row in wechat.listener.heard if row[0] == "/paid-by-hand")
    event = wechat.client.open_v3_notification(headers, body)
    assert event.event_type == "TRANSACTION.SUCCESS"
    assert event.resource["out_trade_no"] == "P00001"


async def test_the_rail_tells_the_customer_of_a_failure(wechat):
    contract_id = await _signed(wechat)

    told = await calls.send_fail_notice(wechat.client, contract_id=contract_id)

    assert told == Ok({})
    assert (await wechat.books())["fail_notices"][0]["contract_id"] == contract_id


@pytest.mark.parametrize("path", ["/pay/pappayapply", "/v3/refund/domestic/refunds"])
async def test_garbage_gets_the_documented_error(wechat, path):
    async with wechat.http.post(wechat.url + path, data=b"garbage") as answer:
        text = await answer.text()

    assert (answer.status, "FAIL" in text) in {(200, True), (401, False)}
