"""Our Alipay client against the simulated gateway: each method, each rule it enforces."""

from datetime import date, timedelta

import pytest

from shared.rails import alipay_calls as calls
from shared.rails.alipay import rail_time
from shared.rails.outcome import Ok, Refused
from tests.rails.support import BUYER


async def test_a_signed_agreement_is_told_and_can_be_asked_for(alipay):
    answer = await alipay.sign()
    await alipay.quiet()

    told = alipay.client.open_notification(alipay.listener.bodies("/signed")[0])
    found = await calls.query_agreement(
        alipay.client,
        external_agreement_no="AG0001",
        sign_scene="INDUSTRY|SUPERMARKET",
        personal_product_code="CYCLE_PAY_AUTH_P",
    )

    assert answer["resultStatus"] == "7000"
    assert (told.kind, told.fields["status"]) == ("dut_user_sign", "NORMAL")
    assert told.fields["agreement_no"] == answer["agreement_no"]
    assert told.fields["alipay_user_id"] == BUYER
    assert isinstance(found, Ok)
    assert (found.data["status"], found.data["next_deduct_time"]) == ("NORMAL", "2026-01-08")


@pytest.mark.parametrize(
    "rule", [{"execute_day": date(2026, 1, 31)}, {"execute_day": date(2025, 12, 28)}]
)
async def test_a_day_the_period_rule_does_not_know_is_refused(alipay, rule):
    answer = await alipay.sign(**rule)

    assert answer == {"resultStatus": "7002", "code": "INVALID_PARAMETER"}


async def test_one_external_number_has_one_living_agreement(alipay):
    await alipay.sign()

    assert (await alipay.sign())["code"] == "AGREEMENT_HAS_SIGNED"


async def test_a_changed_sign_string_is_refused(alipay):
    page = calls.SignPage(
        "AG1", "INDUSTRY|EDU", "GENERAL_WITHHOLDING", "GENERAL_WITHHOLDING_P", None
    )
    text = await calls.sign_page_string(alipay.client, page, notify_url="")

    _, changed = await alipay.ask(
        "POST", f"/users/{BUYER}/sign", {"sign_str": text.replace("EDU", "LEASE")}
    )
    _, right = await alipay.ask("POST", f"/users/{BUYER}/sign", {"sign_str": text})

    assert changed["code"] == "isv.invalid-signature"
    assert right["resultStatus"] == "7000"


async def test_a_month_lived_window_success_next_plan_date(alipay):
    number = (await alipay.sign())["agreement_no"]

    early = await alipay.charge("T1", number)
    await alipay.in_china("2026-01-03")
    paid = await alipay.charge("T2", number)
    again = await alipay.charge("T2", number)
    other = await alipay.charge("T2", number, 8700)
    second = await alipay.charge("T3", number)
    await alipay.in_china("2026-02-08", 23)
    next_month = await alipay.charge("T4", number)
    await alipay.in_china("2026-03-09")
    late = await alipay.charge("T5", number)
    await alipay.quiet()

    assert isinstance(early, Refused)
    assert early.code == "CYCLE_PAY_DATE_NOT_MATCH"
    assert isinstance(paid, Ok)
    assert paid.data["total_amount"] == "88.00"
    assert again == paid
    assert isinstance(other, Refused)
    assert other.code == "CONTEXT_INCONSISTENT"
    assert second == early
    assert isinstance(next_month, Ok)
    assert late == early
    books = await alipay.books()
    assert books["summary"]["captured_fen"] == 17600
    assert books["summary"]["double_captures"] == 0
    assert [row["period"] for row in books["captures"]] == ["2026-01-08", "2026-02-08"]
    told = [alipay.client.open_notification(body) for body in alipay.listener.bodies("/paid")]
    assert [(row.fields["out_trade_no"], row.amount_fen("total_amount")) for row in told] == [
        ("T2", 8800),
        ("T4", 8800),
    ]


async def test_the_plan_date_moves_only_later(alipay):
    number = (await alipay.sign())["agreement_no"]

    earlier = await calls.move_plan(alipay.client, agreement_no=number, day=date(2026, 1, 7))
    wrong = await calls.move_plan(alipay.client, agreement_no=number, day=date(2026, 1, 29))
    moved = await calls.move_plan(alipay.client, agreement_no=number, day=date(2026, 2, 20))
    await alipay.in_china("2026-02-15")

    assert isinstance(earlier, Refused)
    assert isinstance(wrong, Refused)
    assert isinstance(moved, Ok)
    assert moved.data["deduct_time"] == "2026-02-20"
    assert isinstance(await alipay.charge("T1", number), Ok)


async def test_the_mandates_ceilings_hold(alipay):
    number = (await alipay.sign(total_amount_fen=9000))["agreement_no"]
    await alipay.in_china("2026-01-08")

    above = await alipay.charge("T1", number, 8801)
    fits = await alipay.charge("T2", number)
    await alipay.in_china("2026-02-08")
    total = await alipay.charge("T3", number)

    assert isinstance(above, Refused)
    assert above.code == "CYCLE_PAY_SINGLE_FEE_EXCEED"
    assert isinstance(fits, Ok)
    assert isinstance(total, Refused)
    assert total.code == "CYCLE_PAY_TOTAL_FEE_EXCEED"


async def test_an_empty_purse_then_a_full_one(alipay):
    number = (await alipay.sign())["agreement_no"]
    await alipay.in_china("2026-01-08")
    await alipay.ask("PUT", f"/users/{BUYER}", {"balance_fen": 100})

    declined = await alipay.charge("T1", number)
    absent = await calls.query_trade(alipay.client, out_trade_no="T1")
    await alipay.ask("PUT", f"/users/{BUYER}", {"balance_fen": 8800})
    paid = await alipay.charge("T1", number)

    assert isinstance(declined, Refused)
    assert declined.code == "BUYER_BALANCE_NOT_ENOUGH"
    assert isinstance(absent, Refused)
    assert absent.code == "TRADE_NOT_EXIST"
    assert isinstance(paid, Ok)


async def test_an_ended_agreement_takes_no_charge(alipay):
    mine = (await alipay.sign("AG0001"))["agreement_no"]
    theirs = (await alipay.sign("AG0002"))["agreement_no"]
    await alipay.in_china("2026-01-08")

    unsigned = await calls.unsign(
        alipay.client, agreement_no=mine, notify_url=alipay.listener.url("/unsigned")
    )
    again = await calls.unsign(alipay.client, agreement_no=mine, notify_url="")
    await alipay.ask("POST", f"/users/{BUYER}/unsign", {"agreement_no": theirs})
    await alipay.quiet()

    assert isinstance(unsigned, Ok)
    assert isinstance(again, Refused)
    assert again.code == "AGREEMENT_HAS_UNSIGNED"
    for number in (mine, theirs):
        refused = await alipay.charge(f"T{number}", number)
        assert isinstance(refused, Refused)
        assert refused.code == "AGREEMENT_NOT_EXIST"
    for path, number in (("/unsigned", mine), ("/app-gateway", theirs)):
        told = alipay.client.open_notification(alipay.listener.bodies(path)[0])
        assert (told.kind, told.fields["agreement_no"]) == ("dut_user_unsign", number)


async def test_refunds_never_exceed_what_was_paid(alipay):
    number = (await alipay.sign())["agreement_no"]
    await alipay.in_china("2026-01-08")
    await alipay.charge("T1", number)

    async def refund(request_no: str, amount_fen: int):
        return await calls.refund(
            alipay.client, out_trade_no="T1", out_request_no=request_no, amount_fen=amount_fen
        )

    first = await refund("R1", 3000)
    same = await refund("R1", 3000)
    other = await refund("R1", 3001)
    above = await refund("R2", 5801)
    rest = await refund("R2", 5800)
    asked = await calls.query_refund(alipay.client, out_trade_no="T1", out_request_no="R2")
    never = await calls.query_refund(alipay.client, out_trade_no="T1", out_request_no="R9")
    await alipay.quiet()

    assert isinstance(first, Ok)
    assert first.data["fund_change"] == "Y"
    assert isinstance(same, Ok)
    assert same.data["fund_change"] == "N"
    assert isinstance(other, Refused)
    assert other.code == "DISCORDANT_REPEAT_REQUEST"
    assert isinstance(above, Refused)
    assert above.code == "REFUND_AMT_NOT_EQUAL_TOTAL"
    assert isinstance(rest, Ok)
    assert isinstance(asked, Ok)
    assert asked.data["refund_status"] == "REFUND_SUCCESS"
    assert isinstance(never, Ok)
    assert "refund_status" not in never.data
    assert (await alipay.books())["summary"]["refunded_fen"] == 8800
    last = alipay.client.open_notification(alipay.listener.bodies("/paid")[-1])
    assert (last.fields["trade_status"], last.fields["out_biz_no"]) == ("TRADE_CLOSED", "R2")


async def test_a_trade_is_paid_by_hand_or_closed_or_too_old(alipay):
    async def create(number: str):
        made = await calls.create_trade(
            alipay.client,
            out_trade_no=number,
            amount_fen=100,
            subject="补缴",
            buyer_id=BUYER,
            notify_url=alipay.listener.url("/paid"),
            time_expire=rail_time(alipay.base.now() + timedelta(days=1)),
        )
        assert isinstance(made, Ok)
        return made.data["trade_no"]

    async def pay(trade_no: str):
        return await alipay.ask("POST", f"/users/{BUYER}/pay", {"trade_no": trade_no})

    paid, closed, old = [await create(number) for number in ("P1", "P2", "P3")]
    done = await pay(paid)
    await calls.close_trade(alipay.client, out_trade_no="P2")
    too_late_to_close = await calls.close_trade(alipay.client, out_trade_no="P1")
    await alipay.move_on(days=2)
    states = [
        await calls.query_trade(alipay.client, out_trade_no=number) for number in ("P1", "P2", "P3")
    ]

    assert done == (200, {"resultCode": "9000"})
    assert isinstance(too_late_to_close, Refused)
    assert [state.data["trade_status"] for state in states if isinstance(state, Ok)] == [
        "TRADE_SUCCESS",
        "TRADE_CLOSED",
        "TRADE_CLOSED",
    ]
    assert [(await pay(number))[0] for number in (closed, old, "none")] == [409, 409, 409]


@pytest.mark.parametrize(
    ("score", "threshold", "answer"), [(600, 600, "Y"), (599, 600, "N"), (None, 600, "N/A")]
)
async def test_the_brief_score_answers_a_threshold(alipay, score, threshold, answer):
    await alipay.ask("PUT", "/scores/110101199003070716", {"score": score})

    async def ask(transaction_id: str):
        said = await calls.brief_score(
            alipay.client,
            transaction_id=transaction_id,
            cert_no="110101199003070716",
            name="王",
            threshold=threshold,
        )
        assert isinstance(said, Ok)
        return said.data["is_admittance"]

    assert await ask("Z1") == answer
    await alipay.ask("PUT", "/scores/110101199003070716", {"score": 950})
    assert [await ask("Z1"), await ask("Z2")] == [answer, "Y"]


async def test_identity_and_messages(alipay):
    started = await calls.start_certify(
        alipay.client, outer_order_no="C1", name="王", cert_no="110101199003070716"
    )
    assert isinstance(started, Ok)
    certify_id = started.data["certify_id"]
    before = await calls.query_certify(alipay.client, certify_id=certify_id)
    await alipay.ask("POST", f"/users/{BUYER}/certify", {"certify_id": certify_id})
    after = await calls.query_certify(alipay.client, certify_id=certify_id)
    sent = await calls.send_template_message(
        alipay.client, user_id=BUYER, template_id="T", page="p", keywords=["明天扣款", "88.00"]
    )
    long = await calls.send_template_message(
        alipay.client, user_id=BUYER, template_id="T", page="p", keywords=["长" * 51]
    )

    assert isinstance(before, Ok)
    assert before.data["passed"] == "F"
    assert isinstance(after, Ok)
    assert after.data["passed"] == "T"
    assert isinstance(sent, Ok)
    assert isinstance(long, Refused)
    assert long.code == "USER_KEYWORD_LENGTH_ERROR"
    assert (await alipay.books())["messages"][0]["account"] == BUYER
    assert "certify_id" in await calls.certify_page(alipay.client, certify_id=certify_id)


@pytest.mark.parametrize(
    "form", [{}, {"method": "alipay.trade.pay"}, {"method": "x", "sign": "y", "app_id": "1"}]
)
async def test_garbage_gets_the_documented_error(alipay, form):
    async with alipay.http.post(f"{alipay.url}/gateway.do", data=form) as answer:
        said = await answer.json(content_type=None)

    assert answer.status == 200
    assert said["error_response"]["code"] in {"40001", "40002"}
