"""A half first month, a free last one and a down payment, lived day by day."""

from typing import Any

from deploy.audit import auditor
from deploy.explain import story
from deploy.schemas import AUDITOR
from tests.scenarios.conftest import WorldAt
from tests.support import looking
from tests.support.dates import at, said
from tests.support.gateway import Agreement, Shop
from tests.support.world import World

OFFER = {"first_month_half": True, "free_periods": [3], "down_payment_fen": 9_900}
PLAN = {"periods": 3, "monthly_fen": None, "total_fen": 99_600, "offer": OFFER}
"""Three periods of 299.00 after 99.00 down; each period's parcel costs 199.00."""


async def wallet(world: World, agreement: Agreement) -> dict[str, int]:
    return {
        which: await looking.purse(world, agreement, which)
        for which in ("principal", "bonus", "held")
    }


async def story_of(shop: Shop, agreement: Agreement, seq: int) -> tuple[Any, str]:
    """Return what billing and the platform tell of one instalment."""
    rows = await looking.instalments(shop.world, agreement)
    (row,) = [row for row in rows if row["seq"] == seq]
    told = await shop.get("billing", f"/v1/instalments/{row['instalment_id']}/explain")
    dsn = shop.world.databases.dsn(shop.world.database, role=AUDITOR)
    async with auditor(dsn) as conn:
        return told, await story(conn, row["instalment_id"])


async def test_what_the_merchant_gives_becomes_parcels_and_every_fen_is_accounted_for(
    world_at: WorldAt,
):
    world = await world_at("2027-01-04 10:00")
    shop = Shop(world)
    await shop.open(plan=PLAN)
    agreement = await shop.sign(charge_day=15)
    assert agreement.amounts_fen == (9_900, 14_950, 29_900, 0)
    assert [str(day) for day in agreement.due_on] == [
        "2027-01-11",
        "2027-01-15",
        "2027-02-15",
        "2027-03-15",
    ]

    # 4 January: the customer pays the down payment by hand; nothing ships for it.
    payment = await shop.open_payment(agreement, 0)
    assert payment["amount_fen"] == 9_900
    await shop.pay(agreement, payment)
    assert await wallet(world, agreement) == {"principal": 9_900, "bonus": 0, "held": 0}
    await world.until(at("2027-01-14 20:00"))
    assert await looking.captures(world, agreement) == [9_900]
    assert await looking.parcels(world, agreement) == []

    # 15 January: half the month is charged, the merchant gives the other half; the parcel
    # takes what was given first.
    await world.until(at("2027-01-15 20:00"))
    assert await looking.captures(world, agreement) == [9_900, 14_950]
    assert await wallet(world, agreement) == {"principal": 19_900, "bonus": 0, "held": 19_900}
    await world.until(at("2027-01-20"))
    assert await looking.parcels(world, agreement) == ["delivered"]
    assert await wallet(world, agreement) == {"principal": 19_900, "bonus": 0, "held": 0}

    told, words = await story_of(shop, agreement, 1)
    assert [(line["kind"], line["amount_fen"]) for line in told["lines"]] == [
        ("base", 29_900),
        ("first_month_half", -14_950),
    ]
    assert "金额构成：基础金额 299.00 元，首月半价 -149.50 元" in words
    assert "商家让利 149.50 元" in words
    assert "首付款，99.00 元，已付" in (await story_of(shop, agreement, 0))[1]

    # 15 February: the whole month.
    await world.until(at("2027-02-20"))
    assert await looking.captures(world, agreement) == [9_900, 14_950, 29_900]
    assert await wallet(world, agreement) == {"principal": 29_900, "bonus": 0, "held": 0}

    # 15 March: nothing is charged and nobody is told of a charge; the parcel comes all the same.
    await world.until(at("2027-03-15 20:00"))
    assert await looking.states(world, agreement) == ["paid"] * 4
    assert await wallet(world, agreement) == {
        "principal": 29_900,
        "bonus": 10_000,
        "held": 19_900,
    }
    await world.until(at("2027-04-01"))
    assert await looking.captures(world, agreement) == [9_900, 14_950, 29_900]
    assert len(await looking.shipments(world, agreement)) == 3
    assert await wallet(world, agreement) == {"principal": 29_900, "bonus": 10_000, "held": 0}
    assert await looking.agreement_state(world, agreement) == "completed"
    assert await looking.mandate_state(world, agreement) == "closed"
    (granted,) = world.told("billing.instalment.granted.v1")
    assert (granted["seq"], granted["amount_fen"], granted["bonus_fen"]) == (3, 0, 29_900)
    noticed = {one["seq"] for one in world.told("billing.notice.requested.v1")}
    assert noticed == {1, 2}
    first = await world.rows(
        "notify",
        "SELECT DISTINCT queued_at FROM messages WHERE cause = 'agreement.signed'",
    )
    assert said(first[0]["queued_at"])[:10] == "2027-01-04"


async def test_being_late_costs_what_was_signed_and_goes_to_the_merchant(world_at: WorldAt):
    world = await world_at("2027-01-04 10:00")
    shop = Shop(world)
    late = {"rate_ppm_per_day": 300, "grace_days": 2, "cap_per_mille": 100}
    await shop.open(
        plan={
            "periods": 3,
            "monthly_fen": 50_000,
            "legal_type": "instalment_sale",
            "auto_ship": False,
            "overdue_penalty": late,
        }
    )
    agreement = await shop.sign(charge_day=15)
    world.fault(
        "alipay",
        agreement.payer,
        {"on": "pay", "do": "decline:BUYER_BALANCE_NOT_ENOUGH", "times": 3},
    )

    # Missed on 15 January; paid on the 20th, three days after the grace.
    await world.until(at("2027-01-20 12:00"))
    assert (await looking.states(world, agreement))[0] == "overdue"
    payment = await shop.open_payment(agreement, 1)
    assert (payment["amount_fen"], payment["penalty_fen"]) == (50_045, 45)
    await shop.pay(agreement, payment)

    assert await looking.captures(world, agreement) == [50_045]
    assert await looking.purse(world, agreement) == 50_000
    collected = world.told("billing.charge.collected.v1")[0]
    assert (collected["amount_fen"], collected["penalty_fen"]) == (50_045, 45)
    await world.until(at("2027-04-01"))
    assert await looking.captures(world, agreement) == [50_045, 50_000, 50_000]
    assert await looking.agreement_state(world, agreement) == "completed"
