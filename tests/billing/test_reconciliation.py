"""A day of the rails' bills, from the simulators' own files to the closed day."""

import asyncio
from datetime import timedelta

import pytest

from services.billing.contract import ChargeCollected, DayReconciled, RefundSucceeded
from services.billing.domain.bill_day import DayState
from services.billing.domain.instalment import InstalmentState
from services.billing.usecases.open_bill_days import open_bill_days
from services.billing.usecases.pay_now import pay_now
from services.billing.usecases.reconcile_days import reconcile_days
from services.signing.contract import Rail
from services.wallet.contract import RefundRequested
from shared.calendar import at_in_china
from shared.ids import derived_id, new_id
from shared.money import share_of
from tests.support.billing_builders import AMOUNT_FEN, FIRST_DUE, MERCHANT
from tests.support.billing_world import BUYER, BillingWorld
from tests.support.bills import days, kinds, lines, morning, the_day, tickets

FEES = {rail: share_of(AMOUNT_FEN, per_mille=4 if rail is Rail.BANKCARD else 6) for rail in Rail}
NOT_READY = {
    Rail.ALIPAY: "BILL_NOT_EXIST",
    Rail.WECHATPAY: "NO_STATEMENT_EXIST",
    Rail.BANKCARD: "BILL_NOT_READY",
}
EVENING = at_in_china(FIRST_DUE, 20)
RAILS = pytest.mark.parametrize("rail", list(Rail), ids=str)


async def charged(world: BillingWorld, rail: Rail = Rail.ALIPAY, n: int = 1) -> None:
    """Sign, and live until the evening of the first charge."""
    await world.signed(n, rail=rail, periods=1)
    await world.live_until(EVENING)


@RAILS
async def test_a_day_without_differences_closes_the_next_morning(world, rail):
    await charged(world, rail)

    await morning(world)

    day = await the_day(world, FIRST_DUE, rail)
    assert (day.state, day.lines, day.matched_to, day.next_at) == (DayState.CLOSED, 1, 1, None)
    (line,) = await lines(world, day.day_id)
    assert (line["outcome"], line["fee_fen"], line["merchant_id"]) == (
        "matched",
        FEES[rail],
        MERCHANT,
    )
    assert await tickets(world) == []
    (told,) = world.said(DayReconciled)
    assert (told["rail"], told["day"]) == (rail, FIRST_DUE.isoformat())
    assert (told["captured_fen"], told["refunded_fen"], told["fee_fen"]) == (
        AMOUNT_FEN,
        0,
        FEES[rail],
    )
    assert (told["charges"], told["refunds"]) == (1, 0)


async def test_a_closed_day_is_told_once_however_often_mornings_come(world):
    await charged(world)
    for _ in range(3):
        await morning(world)

    assert len(world.said(DayReconciled)) == 1
    assert {day.state for day in await days(world)} == {DayState.CLOSED}


async def test_days_without_trades_close_empty_and_say_nothing(world):
    await morning(world)
    await world.live(days=3)
    await morning(world)

    found = await days(world)
    assert len(found) == 5
    assert {(day.state, day.lines, day.refused) for day in found} == {(DayState.CLOSED, 0, None)}
    assert world.said(DayReconciled) == []
    assert await tickets(world) == []


async def test_after_an_outage_many_days_are_caught_up_side_by_side(world):
    """Each day wakes those before it, which others are working on: nobody waits for a circle."""
    await charged(world)
    await world.faulty(
        "alipay", {"on": "bill_file", "do": "missing_line"}, account=FIRST_DUE.isoformat()
    )
    world.clock.set(at_in_china(FIRST_DUE + timedelta(days=12), 10))
    for simulator in (world.alipay, world.wechat, world.card):
        await simulator.move_to(world.clock.now())
    await open_bill_days(world.deps)

    done = 1
    while done:
        done = sum(await asyncio.gather(*(reconcile_days(world.deps) for _ in range(3))))

    found = await days(world)
    assert len(found) == 12
    assert {day.state for day in found if day.day != FIRST_DUE} == {DayState.CLOSED}
    assert (await the_day(world, FIRST_DUE)).compared


@RAILS
async def test_a_bill_that_is_not_ready_is_asked_for_again_and_explained_by_itself(world, rail):
    await charged(world, rail)
    code = NOT_READY[rail]
    await world.faulty(
        rail,
        {"on": "bill", "do": f"decline:{code}", "times": 2},
        account=FIRST_DUE.isoformat(),
    )

    await morning(world)
    day = await the_day(world, FIRST_DUE, rail)
    assert (day.state, day.refused) == (DayState.EXPECTED, f"no_bill: {code}")
    assert day.next_at == at_in_china(FIRST_DUE + timedelta(days=1), 11)
    assert await kinds(world) == [("no_bill", "no_bill", None)]

    await world.live(hours=2)
    day = await the_day(world, FIRST_DUE, rail)
    assert (day.state, day.refused, day.tries) == (DayState.CLOSED, None, 2)
    assert await kinds(world) == [("no_bill", "no_bill", "bill_came")]


@pytest.mark.parametrize(
    ("rail", "do", "fault"),
    [
        (Rail.ALIPAY, "wrong_total", "wrong_total"),
        (Rail.WECHATPAY, "wrong_total", "wrong_total"),
        (Rail.BANKCARD, "wrong_total", "wrong_total"),
        (Rail.ALIPAY, "bad_signature", "not_an_archive"),
        (Rail.WECHATPAY, "bad_signature", "content_changed"),
        (Rail.BANKCARD, "bad_signature", "content_changed"),
    ],
)
async def test_a_bill_that_contradicts_itself_is_refused_whole(world, rail, do, fault):
    await charged(world, rail)
    await world.faulty(rail, {"on": "bill_file", "do": do}, account=FIRST_DUE.isoformat())

    await morning(world)
    day = await the_day(world, FIRST_DUE, rail)
    assert day.state is DayState.EXPECTED
    assert day.refused is not None
    assert day.refused.startswith(fault)
    assert await lines(world, day.day_id) == []
    assert world.said(DayReconciled) == []

    await world.live(hours=1)
    assert (await the_day(world, FIRST_DUE, rail)).state is DayState.CLOSED
    assert await kinds(world) == [("no_bill", fault, "bill_came")]


@pytest.mark.parametrize("do", ["http_500", "outage"])
async def test_a_download_that_fails_is_tried_again(world, do):
    await charged(world)
    await world.faulty("alipay", {"on": "bill_download", "do": do})

    await morning(world)
    assert await kinds(world) == [("no_bill", "not_fetched", None)]

    await world.live(hours=1)
    assert (await the_day(world, FIRST_DUE)).state is DayState.CLOSED


@RAILS
async def test_money_we_did_not_know_of_is_found_in_the_bill_and_settled(world, rail):
    """The rail's answers, its notification and every query went wrong until the morning."""
    agreement = await world.signed(1, rail=rail, periods=1)
    until = at_in_china(FIRST_DUE + timedelta(days=1), 10).isoformat()
    calls = ("notify", "query") if rail is Rail.WECHATPAY else ("pay", "notify", "query")
    steps = [
        {"on": on, "do": {"pay": "hide_answer", "notify": "drop", "query": "http_500"}[on]}
        | {"until": until, "times": 200}
        for on in calls
    ]
    await world.faulty(rail, *steps)
    await world.live_until(EVENING)
    assert world.said(ChargeCollected) == []

    await morning(world)

    assert len(world.said(ChargeCollected)) == 1
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    day = await the_day(world, FIRST_DUE, rail)
    assert day.state is DayState.CLOSED
    assert [line["outcome"] for line in await lines(world, day.day_id)] == ["matched"]
    assert await kinds(world) == [("missing_here", "not_settled", "settled_here")]


async def test_a_charge_the_bill_does_not_list_waits_for_the_next_bill_before_it_is_missing(world):
    await charged(world)
    await world.faulty(
        "alipay", {"on": "bill_file", "do": "missing_line"}, account=FIRST_DUE.isoformat()
    )

    await morning(world)
    day = await the_day(world, FIRST_DUE)
    assert (day.state, day.compared) == (DayState.MATCHED, False)
    assert await tickets(world) == []

    await morning(world)
    day = await the_day(world, FIRST_DUE)
    assert (day.state, day.compared) == (DayState.MATCHED, True)
    (ticket,) = await tickets(world)
    assert (ticket.kind, ticket.what, ticket.merchant_id) == ("missing_there", "charge", MERCHANT)
    assert (ticket.rail_fen, ticket.our_fen) == (None, AMOUNT_FEN)


async def test_a_payment_in_the_days_last_minute_stands_in_the_next_bill(world):
    agreement = await world.signed(1, periods=1)
    row = await world.instalment(agreement)
    late = at_in_china(FIRST_DUE - timedelta(days=2), 23, 59) + timedelta(seconds=30)
    await world.live_until(late)
    await pay(world, row.pay_token)

    await morning(world)
    day = await the_day(world, late)
    assert (day.state, day.lines) == (DayState.EXPECTED, 0)
    assert await kinds(world) == [("no_bill", "no_bill", None)]

    await morning(world)
    await world.live(hours=1)
    assert (await the_day(world, late)).state is DayState.CLOSED
    following = await the_day(world, late + timedelta(days=1))
    assert [line["outcome"] for line in await lines(world, following.day_id)] == ["matched"]
    assert [told["day"] for told in world.said(DayReconciled)] == [following.day.isoformat()]


async def pay(world: BillingWorld, token: str) -> None:
    payment = await pay_now(world.deps, token, amount_fen=AMOUNT_FEN)
    trade = {"trade_no": payment.client["tradeNO"]}
    await world.ask("alipay", "POST", f"/users/{BUYER}/pay", trade)
    await world.work()


async def test_differences_of_all_kinds_keep_the_day_open_each_with_both_amounts(world):
    await world.signed(1, periods=1)
    await world.signed(2, periods=1)
    await world.live_until(EVENING)
    await world.faulty(
        "alipay",
        {"on": "bill_file", "do": "wrong_amount"},
        {"on": "bill_file", "do": "unknown_number"},
        account=FIRST_DUE.isoformat(),
    )

    await morning(world)

    day = await the_day(world, FIRST_DUE)
    assert (day.state, day.lines, day.next_at) == (DayState.MATCHED, 3, None)
    by_kind = {one.kind.value: one for one in await tickets(world)}
    assert set(by_kind) == {"amount_differs", "missing_here"}
    differs = by_kind["amount_differs"]
    assert (differs.rail_fen, differs.our_fen) == (AMOUNT_FEN + 1, AMOUNT_FEN)
    assert differs.merchant_id == MERCHANT
    unknown = by_kind["missing_here"]
    assert (unknown.cause, unknown.rail_fen, unknown.our_fen) == (
        "unknown_number",
        AMOUNT_FEN,
        None,
    )
    assert unknown.merchant_id is None
    assert world.said(DayReconciled) == []


async def test_a_line_listed_twice_is_matched_once(world):
    await charged(world)
    await world.faulty(
        "alipay", {"on": "bill_file", "do": "duplicate"}, account=FIRST_DUE.isoformat()
    )

    await morning(world)

    day = await the_day(world, FIRST_DUE)
    outcomes = [line["outcome"] for line in await lines(world, day.day_id)]
    assert outcomes == ["matched", "missing_here"]
    assert await kinds(world) == [("missing_here", "listed_twice", None)]


@RAILS
async def test_a_broken_row_is_a_ticket_with_the_amount_it_must_have_had(world, rail):
    await world.signed(1, rail=rail, periods=1)
    await world.signed(2, rail=rail, periods=1, payer="2088000000000002")
    await world.live_until(EVENING)
    await world.faulty(rail, {"on": "bill_file", "do": "broken_row"}, account=FIRST_DUE.isoformat())

    await morning(world)

    (ticket,) = await tickets(world)
    assert (ticket.kind, ticket.cause, ticket.line_no) == ("broken_row", "columns", 1)
    assert ticket.rail_fen == AMOUNT_FEN
    day = await the_day(world, FIRST_DUE, rail)
    assert (day.state, day.lines) == (DayState.MATCHED, 2)
    assert [line["outcome"] for line in await lines(world, day.day_id)] == ["matched"]


@RAILS
async def test_a_refund_is_matched_by_its_own_number(world, rail):
    agreement = await world.signed(1, rail=rail, periods=1)
    await world.live_until(EVENING)
    row = await world.instalment(agreement)
    await world.hear(
        RefundRequested(
            event_id=new_id(),
            occurred_at=world.clock.now(),
            settlement_id=derived_id("settlement", agreement),
            agreement_id=agreement,
            merchant_id=row.merchant_id,
            customer_id=row.customer_id,
            amount_fen=5000,
            reason="terminated",
        )
    )
    await world.live(hours=1)
    assert len(world.said(RefundSucceeded)) == 1

    await morning(world)

    day = await the_day(world, FIRST_DUE, rail)
    assert day.state is DayState.CLOSED
    found = {line["kind"]: line for line in await lines(world, day.day_id)}
    assert {line["outcome"] for line in found.values()} == {"matched"}
    back = share_of(5000, per_mille=6) if rail is Rail.WECHATPAY else 0
    (told,) = world.said(DayReconciled)
    assert (told["captured_fen"], told["refunded_fen"]) == (AMOUNT_FEN, 5000)
    assert told["fee_fen"] == FEES[rail] - back


async def test_days_missed_in_an_outage_are_all_opened(world):
    await charged(world)
    await world.live(days=5)

    await morning(world)

    found = await days(world)
    assert [day.day for day in found] == [FIRST_DUE + timedelta(days=n) for n in range(6)]
    assert {day.state for day in found} == {DayState.CLOSED}
