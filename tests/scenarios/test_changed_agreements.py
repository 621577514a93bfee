"""Agreements that are paused, moved to another day, paid all at once, or ended with a penalty."""

from datetime import date

import pytest

from tests.support import looking
from tests.support.dates import at
from tests.support.gateway import Agreement, Shop

CONSENT = {"agreed": True, "text_version": "amend-1", "shown_ms": 6000}


async def change(shop: Shop, agreement: Agreement, what: str, body: object = None):
    answer = await shop.post("signing", f"/v1/agreements/{agreement.agreement_id}/{what}", body)
    await shop.world.settle()
    return answer


async def previewed(shop: Shop, agreement: Agreement, what: str, body: object):
    path = f"/v1/agreements/{agreement.agreement_id}/{what}/preview"
    return await shop.post("billing", path, body)


async def pay_everything(shop: Shop, agreement: Agreement) -> int:
    base = f"/v1/agreements/{agreement.agreement_id}"
    quote = await shop.post("billing", f"{base}/settlement-quotes")
    body = {"quote_id": quote["quote_id"], "total_fen": quote["total_fen"]}
    order = await shop.post("billing", f"{base}/payment-orders", body)
    for payment in order["payments"]:
        await shop.pay(agreement, payment)
    return int(quote["total_fen"])


@pytest.mark.parametrize("rail", ["alipay", "wechatpay"])
async def test_two_months_of_illness_another_day_and_all_paid_early(shop: Shop, rail: str):
    world = shop.world
    plan_id = await shop.publish(periods=5)
    agreement = await shop.sign(rail=rail, charge_day=20, plan_id=plan_id)

    # 25 January: the first period is paid; the cat is ill, two periods are skipped.
    await world.until(at("2027-01-25 15:00"))
    told = await previewed(shop, agreement, "pause", {"periods": 2})
    paused = {"periods": 2, "reason": "pet_sick", "evidence_ref": "vet-17"}
    await change(shop, agreement, "pause", paused)
    assert await looking.agreement_state(world, agreement) == "paused"
    days = await looking.charged_on(world, agreement)
    assert [str(day) for day in days[1:]] == [line["charge_on"] for line in told["lines"]]
    assert days[1] == date(2027, 4, 20)

    # February and March: nothing is charged, nobody is reminded of a charge.
    await world.until(at("2027-04-01"))
    assert await looking.captures(world, agreement) == [29900]
    assert {row["seq"] for row in world.told("billing.notice.requested.v1")} == {1}

    # 12 April, by itself: all goes on; 20 April: the second period.
    await world.until(at("2027-04-21 20:00"))
    assert await looking.agreement_state(world, agreement) == "active"
    assert await looking.captures(world, agreement) == [29900, 29900]

    # 25 April: wages come on the 27th now.
    await world.until(at("2027-04-25 15:00"))
    told = await previewed(shop, agreement, "amendment", {"charge_day": 28})
    await change(
        shop,
        agreement,
        "amendment",
        {"charge_day": 28, "reason": "发薪日改了", "consent": CONSENT},
    )
    days = await looking.charged_on(world, agreement)
    assert [str(day) for day in days[2:]] == [line["charge_on"] for line in told["lines"]]
    assert days[2:] == [date(2027, 5, 28), date(2027, 6, 28), date(2027, 7, 28)]
    await world.until(at("2027-05-29 20:00"))
    assert await looking.captures(world, agreement) == [29900] * 3

    # 5 June: the rest at once, no fee.
    await world.until(at("2027-06-05 11:00"))
    assert await pay_everything(shop, agreement) == 2 * 29900
    await world.until(at("2027-06-20"))
    assert set(await looking.states(world, agreement)) == {"paid"}
    assert await looking.captures(world, agreement) == [29900] * 5
    assert await looking.agreement_state(world, agreement) == "completed"
    assert await looking.mandate_state(world, agreement) == "closed"


async def test_what_an_end_costs_is_what_its_preview_told_to_the_fen(shop: Shop):
    world = shop.world
    agreement = await shop.sign(charge_day=20)
    await world.until(at("2027-01-25 15:00"))
    paused = {"periods": 1, "reason": "hardship", "evidence_ref": "h-1"}
    await change(shop, agreement, "pause", paused)
    await change(shop, agreement, "resume")

    # 25 February: the second period is paid, its parcel is on its way; third paid by hand.
    await world.until(at("2027-02-25 15:00"))
    await shop.pay(agreement, await shop.open_payment(agreement, 3))
    loss = [{"item": "定制窝", "amount_fen": 10_000, "evidence_ref": "inv-7"}]
    ending = {"reason": "customer_wish", "loss": loss}
    told = await previewed(shop, agreement, "termination", ending)
    path = f"/v1/agreements/{agreement.agreement_id}/settlement-preview"
    due = f"?penalty_due_fen={told['penalty_due_fen']}"
    money = await shop.get("wallet", path + due)

    ended = await change(shop, agreement, "termination", ending)
    await world.until(at("2027-03-05"))

    # 130 % of 100 yuan; nine periods of 299.00 are neither paid nor due.
    assert told["penalty_due_fen"] == ended["penalty_fen"] == 13_000
    (ledger,) = await world.rows(
        "wallet", "SELECT * FROM ledgers WHERE agreement_id = $1", agreement.agreement_id
    )
    assert ledger["penalty_fen"] == told["penalty_fen"] == money["penalty_fen"]
    assert ledger["refunded_fen"] == told["refund_fen"] == money["refund_fen"]
    assert await looking.given_back(world, agreement) == told["refund_fen"]
    assert ledger["captured_fen"] == told["used_fen"]
    assert told["collected_fen"] == 3 * 29900
