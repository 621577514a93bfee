"""Who was not told is not charged."""

from datetime import date

import pytest

from tests.support import looking
from tests.support.dates import at, said
from tests.support.gateway import Shop


@pytest.mark.parametrize("rail", ["alipay", "wechatpay"])
async def test_while_sms_are_down_the_charge_waits_for_new_notices(shop: Shop, rail: str):
    world = shop.world
    agreement = await shop.sign(rail=rail, charge_day=20)

    # 13 to 19 January: the SMS provider is down; the notices of the 20th come too late.
    await world.until(at("2027-01-13"))
    down = {"on": "send", "do": "outage", "until": at("2027-01-19 12:00").isoformat()}
    world.fault("sms", agreement.person.phone, down)
    await world.until(at("2027-01-21"))
    assert await looking.captures(world, agreement) == []
    moved_to = (await looking.charged_on(world, agreement))[0]
    assert moved_to > date(2027, 1, 20)

    # Told again, in time, on both channels; then charged once.
    await world.until(at("2027-02-10"))
    assert await looking.captures(world, agreement) == [29900]
    row = (await looking.instalments(world, agreement))[0]
    assert said(row["paid_at"])[:10] == str(moved_to)
    proofs = await world.rows(
        "billing",
        """
        SELECT n.kind, p.channel, min(p.accepted_at) AS at
          FROM notices n JOIN notice_proofs p USING (notice_id)
         WHERE n.instalment_id = $1 AND n.charge_on = $2 AND n.kind <> 'rail'
         GROUP BY 1, 2
        """,
        row["instalment_id"],
        row["charge_on"],
    )
    early = {(one["kind"], one["channel"]): row["paid_at"] - one["at"] for one in proofs}
    assert early[("reminder", "sms")].total_seconds() >= 48 * 3600
    assert early[("reminder", "mini_program")].total_seconds() >= 48 * 3600
    assert max(one.total_seconds() for one in early.values()) >= 120 * 3600
    refused = await world.rows("billing", "SELECT reasons FROM gate_refusals ORDER BY refusal_id")
    assert any("notice" in reason for one in refused for reason in one["reasons"])
