"""A merchant's deposit is a leg of the gate: news in any order, before and after approval."""

from datetime import timedelta

from services.billing.store import merchants
from services.wallet.contract import DepositShort, DepositSufficient
from shared.ids import new_id
from tests.support.billing_builders import MERCHANT, SIGNED_AT, a_merchant


def told(event, *, minutes=0):
    return event(
        event_id=new_id(),
        occurred_at=SIGNED_AT + timedelta(minutes=minutes),
        merchant_id=MERCHANT,
        required_fen=30000,
        kept_fen=0,
    )


async def sufficient(world) -> bool:
    async with world.db.connection() as conn:
        return (await merchants.facts(conn, [MERCHANT]))[MERCHANT].guarantee_sufficient


async def test_a_short_deposit_closes_the_gate_and_a_sufficient_one_opens_it(world):
    await world.hear(a_merchant())
    assert await sufficient(world)
    await world.hear(told(DepositShort))
    assert not await sufficient(world)
    await world.hear(told(DepositSufficient, minutes=5))
    assert await sufficient(world)


async def test_older_news_changes_nothing(world):
    await world.hear(told(DepositSufficient, minutes=5))
    await world.hear(told(DepositShort))
    assert await sufficient(world)


async def test_news_before_approval_is_kept_and_makes_nobody_eligible(world):
    await world.hear(told(DepositShort))
    async with world.db.connection() as conn:
        assert not (await merchants.facts(conn, [MERCHANT]))[MERCHANT].eligible
    await world.hear(a_merchant())
    async with world.db.connection() as conn:
        facts = (await merchants.facts(conn, [MERCHANT]))[MERCHANT]
    assert (facts.eligible, facts.guarantee_sufficient) == (True, False)
