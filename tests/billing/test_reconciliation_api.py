"""Days and differences over HTTP: who sees them, who may explain them, and what closes a day."""

import pytest

from services.billing.contract import DayReconciled
from services.billing.domain.bill_day import DayState
from shared.ids import new_id
from tests.billing.test_api import Caller, shop
from tests.billing.test_reconciliation import charged
from tests.support.billing_builders import AMOUNT_FEN, FIRST_DUE
from tests.support.bills import morning, the_day, tickets

__all__ = ["shop"]

ACCEPTED = {"resolution": "accepted", "reason": "rail corrects its bill on the 20th"}


@pytest.fixture
async def morning_after(shop: Caller) -> Caller:
    """One charge whose line states a fen too much, and a line of a number nobody knows."""
    await charged(shop.world)
    steps = [{"on": "bill_file", "do": do} for do in ("wrong_amount", "unknown_number")]
    await shop.world.faulty("alipay", *steps, account=FIRST_DUE.isoformat())
    await morning(shop.world)
    return shop


async def test_a_merchant_sees_its_own_differences_and_the_operator_all(morning_after):
    status, page = await morning_after.ask("GET", "/v1/bill-tickets")
    assert (status, [one["kind"] for one in page["items"]]) == (200, ["amount_differs"])
    (own,) = page["items"]
    assert (own["rail_fen"], own["our_fen"]) == (AMOUNT_FEN + 1, AMOUNT_FEN)
    assert (own["rail"], own["day"]) == ("alipay", FIRST_DUE.isoformat())
    assert (await morning_after.ask("GET", "/v1/bill-tickets", who="foreign"))[1]["items"] == []

    seen = []
    path = "/v1/bill-tickets?limit=1"
    while path:
        status, page = await morning_after.ask("GET", path, who="operator")
        seen += [one["kind"] for one in page["items"]]
        cursor = page["next_cursor"]
        path = f"/v1/bill-tickets?limit=1&cursor={cursor}" if cursor else ""
    assert sorted(seen) == ["amount_differs", "missing_here"]


async def test_a_day_closes_when_its_last_difference_is_explained(morning_after):
    world = morning_after.world
    found = {one.kind.value: one for one in await tickets(world)}
    own = f"/v1/bill-tickets/{found['amount_differs'].ticket_id}"
    nobodys = f"/v1/bill-tickets/{found['missing_here'].ticket_id}"

    status, view = await morning_after.ask("POST", f"{own}/resolution", body=ACCEPTED)
    assert (status, view["resolution"], view["reason"]) == (
        200,
        "accepted",
        ACCEPTED["reason"],
    )
    await world.work()
    assert (await the_day(world, FIRST_DUE)).state is DayState.MATCHED

    refunded = {"resolution": "refunded_otherwise", "reason": "sent back by hand, no. 77"}
    status, _ = await morning_after.ask(
        "POST", f"{nobodys}/resolution", who="operator", body=refunded
    )
    assert status == 200
    await world.work()

    day = await the_day(world, FIRST_DUE)
    assert day.state is DayState.CLOSED
    assert world.said(DayReconciled) == []  # nothing of it was matched
    status, story = await morning_after.ask("GET", own)
    assert [one["to_state"] for one in story["history"]] == ["accepted"]
    assert story["history"][0]["actor"] == "staff"
    assert ACCEPTED["reason"] in story["history"][0]["reason"]


async def test_an_explanation_is_given_once_and_by_who_may(morning_after):
    world = morning_after.world
    found = {one.kind.value: one for one in await tickets(world)}
    own = f"/v1/bill-tickets/{found['amount_differs'].ticket_id}/resolution"
    nobodys = f"/v1/bill-tickets/{found['missing_here'].ticket_id}/resolution"

    assert (await morning_after.ask("POST", own, who="foreign", body=ACCEPTED))[0] == 404
    assert (await morning_after.ask("POST", nobodys, body=ACCEPTED))[0] == 404
    assert (await morning_after.ask("POST", own, who="reader", body=ACCEPTED))[0] == 403
    assert (await morning_after.ask("POST", own, who="", body=ACCEPTED))[0] == 401
    unknown = f"/v1/bill-tickets/{new_id()}/resolution"
    assert (await morning_after.ask("POST", unknown, body=ACCEPTED))[0] == 404
    odd = [
        {},
        {"resolution": "accepted"},
        {"resolution": "settled_here", "reason": "I say so"},
        {"resolution": "accepted", "reason": "x"},
        {"resolution": "accepted", "reason": " " * 9},
        ACCEPTED | {"more": 1},
    ]
    for body in odd:
        status, problem = await morning_after.ask("POST", own, body=body)
        assert (status, problem["code"]) == (400, "malformed"), body
    assert [one.resolution for one in await tickets(world)] == [None, None]

    assert (await morning_after.ask("POST", own, body=ACCEPTED))[0] == 200
    assert (await morning_after.ask("POST", own, body=ACCEPTED))[0] == 200
    other = {"resolution": "corrected_at_rail", "reason": "no, it was corrected"}
    status, problem = await morning_after.ask("POST", own, body=other)
    assert (status, problem["code"]) == (409, "bill-ticket-resolved")


async def test_nobodys_word_replaces_a_bill(shop):
    await charged(shop.world)
    step = {"on": "bill", "do": "decline:BILL_NOT_EXIST"}
    await shop.world.faulty("alipay", step, account=FIRST_DUE.isoformat())
    await morning(shop.world)
    (ticket,) = await tickets(shop.world)

    path = f"/v1/bill-tickets/{ticket.ticket_id}/resolution"
    status, problem = await shop.ask("POST", path, who="operator", body=ACCEPTED)

    assert (status, problem["code"]) == (422, "bill-resolution-forbidden")


async def test_days_show_their_progress_to_operators_and_sums_to_merchants(shop):
    await charged(shop.world)
    await morning(shop.world)
    day = await the_day(shop.world, FIRST_DUE)

    status, page = await shop.ask("GET", "/v1/bill-days?rail=alipay", who="operator")
    assert (status, [one["day_id"] for one in page["items"]]) == (200, [str(day.day_id)])
    status, story = await shop.ask("GET", f"/v1/bill-days/{day.day_id}", who="operator")
    assert (story["day"]["state"], story["day"]["matched_to"]) == ("closed", 1)
    assert story["outcomes"][0]["outcome"] == "matched"
    assert story["open_tickets"] == {}
    assert (await shop.ask("GET", "/v1/bill-days?open_only=true", who="operator"))[1]["items"] == []
    assert (await shop.ask("GET", f"/v1/bill-days/{new_id()}", who="operator"))[0] == 404
    assert (await shop.ask("GET", "/v1/bill-days"))[0] == 403
    assert (await shop.ask("GET", f"/v1/bill-days/{day.day_id}"))[0] == 403

    status, page = await shop.ask("GET", "/v1/reconciliations")
    (own,) = page["items"]
    assert (own["captured_fen"], own["charges"], own["day"]) == (
        AMOUNT_FEN,
        1,
        FIRST_DUE.isoformat(),
    )
    assert (await shop.ask("GET", "/v1/reconciliations", who="foreign"))[1]["items"] == []
    for path in ("/v1/reconciliations", "/v1/bill-tickets"):
        assert (await shop.ask("GET", f"{path}?cursor=odd"))[0] == 400
