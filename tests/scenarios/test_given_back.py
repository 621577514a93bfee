"""A merchant gives money back while the agreement goes on."""

import pytest

from tests.support import looking
from tests.support.dates import at
from tests.support.gateway import Shop


@pytest.mark.parametrize("rail", ["alipay", "wechatpay"])
async def test_a_part_goes_back_and_the_agreement_goes_on(shop: Shop, rail: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)
    await world.until(at("2027-01-25"))
    assert await looking.purse(world, agreement) == 10000

    # 25 January: the bowl that came with the parcel was broken.
    path = f"/v1/agreements/{agreement.agreement_id}/refunds"
    asked = await shop.post("wallet", path, {"amount_fen": 2500, "reason": "after_sales"})
    assert await looking.purse(world, agreement) == 7500
    await world.until(at("2027-01-28"))

    request = await shop.get("wallet", f"{path}/{asked['settlement_id']}")
    assert (request["refunded_fen"], request["failure"]) == (2500, None)
    assert await looking.given_back(world, agreement) == 2500
    assert (await looking.states(world, agreement))[0] == "partly_refunded"
    await world.until(at("2027-02-22"))
    assert await looking.captures(world, agreement) == [29900, 29900]
    assert await looking.purse(world, agreement) == 7500 + 10000
