"""Nothing goes wrong: notices, charge, wallet, parcel, messages, month after month."""

from datetime import date

import pytest

from tests.scenarios.conftest import WorldAt
from tests.support import looking
from tests.support.dates import at, said
from tests.support.gateway import Shop


async def test_three_months_on_alipay(world_at: WorldAt):
    """The nights run as well: what they look for is never there."""
    world = await world_at("2027-01-04 10:00", nightly=True)
    shop = Shop(world)
    await shop.open(plan={"periods": 3})
    agreement = await shop.sign(charge_day=15)

    # 4 January: signed.  48 hours to think; the first charge at least 168 hours away.
    assert agreement.due_on == (date(2027, 1, 15), date(2027, 2, 15), date(2027, 3, 15))
    assert await looking.agreement_state(world, agreement) == "cooling_off"

    # 6 January, 10:00: thought.
    await world.until(at("2027-01-06 10:00"))
    assert await looking.agreement_state(world, agreement) == "active"

    # 8 and 12 January, 10:00: told a week and three days before, twice each.
    await world.until(at("2027-01-14"))
    notices = [one for one in await looking.told(world, agreement) if "notice" in one[2]]
    assert notices == [
        ("2027-01-08 10:00", "mini_program", "notice.advance"),
        ("2027-01-08 10:00", "sms", "notice.advance"),
        ("2027-01-12 10:00", "mini_program", "notice.reminder"),
        ("2027-01-12 10:00", "sms", "notice.reminder"),
    ]
    assert await looking.captures(world, agreement) == []

    # 15 January, within business hours: charged; two thirds are kept for the parcel.
    await world.until(at("2027-01-15 18:00"))
    assert await looking.captures(world, agreement) == [29900]
    assert await looking.purse(world, agreement) == 10000
    assert await looking.purse(world, agreement, "held") == 19900
    assert await looking.parcels(world, agreement) == ["planned"]

    # 17 January, 15:00: the parcel leaves, and what was kept for it is spent.
    await world.until(at("2027-01-17 16:00"))
    assert await looking.parcels(world, agreement) == ["dispatched"]
    assert await looking.purse(world, agreement, "held") == 0

    # 19 January: at the door.  And so on, twice more.
    await world.until(at("2027-01-20"))
    assert await looking.parcels(world, agreement) == ["delivered"]
    await world.until(at("2027-04-01"))
    assert await looking.captures(world, agreement) == [29900] * 3
    assert await looking.states(world, agreement) == ["paid"] * 3
    assert await looking.purse(world, agreement) == 30000
    assert await looking.agreement_state(world, agreement) == "completed"
    assert await looking.mandate_state(world, agreement) == "closed"
    collected = [one for one in await looking.told(world, agreement) if "charge" in one[2]]
    assert [one[0][:10] for one in collected] == ["2027-01-15", "2027-02-15", "2027-03-15"]


async def test_wechat_pay_announces_each_charge_itself(shop: Shop):
    world = shop.world
    agreement = await shop.sign(rail="wechatpay", charge_day=20)

    await world.until(at("2027-02-25"))

    days = [row["day"] for row in world.books("wechatpay", "prenotices")]
    assert days == ["2027-01-18", "2027-02-18"]
    rail = await world.rows(
        "billing",
        """
        SELECT p.accepted_at, n.charge_on FROM notices n JOIN notice_proofs p USING (notice_id)
         WHERE n.kind = 'rail' ORDER BY n.charge_on
        """,
    )
    assert [said(row["accepted_at"]) for row in rail] == ["2027-01-18 10:00", "2027-02-18 10:00"]
    assert await looking.captures(world, agreement) == [29900, 29900]
    assert await looking.parcels(world, agreement) == ["closed", "delivered"]


@pytest.mark.parametrize(
    ("signed_at", "last_days"),
    [
        (
            "2027-01-04 10:00",
            [date(2027, 1, 31), date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)],
        ),
        (
            "2027-12-20 10:00",
            [date(2027, 12, 31), date(2028, 1, 31), date(2028, 2, 29), date(2028, 3, 31)],
        ),
    ],
)
async def test_the_31st_is_the_last_day_of_every_month(
    world_at: WorldAt, signed_at: str, last_days: list[date]
):
    world = await world_at(signed_at)
    shop = Shop(world)
    await shop.open(plan={"periods": 4})
    agreement = await shop.sign(rail="wechatpay", charge_day=31)

    await world.until(at(f"{last_days[-1]} 20:00"))

    assert list(agreement.due_on) == last_days
    assert await looking.charged_on(world, agreement) == last_days
    paid = [row["paid_at"] for row in await looking.instalments(world, agreement)]
    assert [said(moment)[:10] for moment in paid] == [str(day) for day in last_days]
    assert await looking.captures(world, agreement) == [29900] * 4


async def test_alipay_knows_no_31st(shop: Shop):
    status, problem = await shop.ask_to_sign(charge_day=31)

    assert (status, problem["code"]) == (422, "charge-day-not-on-rail")
