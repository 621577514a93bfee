"""A merchant whose guarantee deposit is too low signs nobody new."""

from datetime import timedelta

from services.signing.usecases.watch_deposits import note_short, note_sufficient
from services.wallet.contract import DepositShort, DepositSufficient
from shared.ids import new_id


def told(event, shop, *, minutes):
    return event(
        event_id=new_id(),
        occurred_at=shop.clock.now() + timedelta(minutes=minutes),
        merchant_id=shop.merchant_id,
        required_fen=30000,
        kept_fen=0,
    )


async def test_new_applications_are_refused_until_the_deposit_suffices(shop):
    async with shop.db.transaction() as conn:
        await note_short(conn, told(DepositShort, shop, minutes=1), shop.deps)
        await note_sufficient(conn, told(DepositSufficient, shop, minutes=0), shop.deps)

    refused = await shop.call("POST", "/v1/applications", shop.application_body())

    assert (refused.status, refused.body["code"]) == (409, "guarantee-short")
    assert (await shop.ok("GET", "/v1/applications"))["items"] == []

    async with shop.db.transaction() as conn:
        await note_sufficient(conn, told(DepositSufficient, shop, minutes=2), shop.deps)
    assert await shop.applied("alipay")
