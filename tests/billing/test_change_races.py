"""Changes race with charges, notices and payments on real PostgreSQL: one outcome each."""

import asyncio
from datetime import date, timedelta

import pytest

from services.billing.contract import ChargeCollected
from services.billing.domain.errors import NothingToPay
from services.billing.domain.instalment import InstalmentState
from services.billing.store import invariants
from services.billing.usecases.attempt_due_charges import attempt_due_charges
from services.billing.usecases.pay_several import pay_several
from services.billing.usecases.request_notices import request_notices
from services.signing.contract import AgreementCancelled
from shared.calendar import at_in_china
from shared.ids import derived_id, new_id
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT, agreement_id
from tests.support.change_builders import a_pause, an_amendment

AGREEMENTS = 8
BEFORE = at_in_china(date(2027, 3, 11), 20)
MORNING = at_in_china(date(2027, 3, 12), 17, 0)


async def promises(world):
    async with world.db.connection() as conn:
        return await invariants.broken(conn, stuck_before=world.clock.now() - timedelta(days=2))


async def many(world):
    return [await world.signed(n, active=False) for n in range(1, AGREEMENTS + 1)]


async def activated(world, ids):
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE agreements SET state = 'active'")
    return ids


async def test_a_pause_and_a_charge_at_once_are_one_or_the_other(world):
    """Charged on its day, or moved a month; never both, never neither."""
    ids = await activated(world, await many(world))
    await world.live_until(BEFORE)
    await world._set(MORNING)

    async def pause(n):
        await asyncio.sleep(0)
        await world.hear(a_pause(n, at=world.clock.now()))

    await asyncio.gather(
        attempt_due_charges(world.deps),
        *(pause(n) for n in range(1, AGREEMENTS + 1)),
        attempt_due_charges(world.deps),
    )
    await world.live(hours=6)

    outcomes = []
    for agreement in ids:
        first, second, _ = await world.instalments(agreement)
        paid = first.state is InstalmentState.PAID
        assert (first.due_on == date(2027, 3, 12)) is paid
        assert first.state in {InstalmentState.PAID, InstalmentState.SCHEDULED}
        assert second.due_on == date(2027, 5, 12)
        outcomes.append(paid)
    assert len(world.said(ChargeCollected)) == sum(outcomes)
    assert (await world.books("alipay"))["captured_fen"] == sum(outcomes) * AMOUNT_FEN
    assert await promises(world) == []
    async with world.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM waiting_terms") == 0


@pytest.mark.parametrize("charge_wins", [True, False])
async def test_whoever_comes_first_wins_and_the_other_is_at_peace_with_it(world, charge_wins):
    agreement = await world.signed()
    first = await world.instalment(agreement)
    await world.live_until(first.charge_at - timedelta(minutes=1))
    await world._set(first.charge_at)
    steps = [
        lambda: attempt_due_charges(world.deps),
        lambda: world.hear(a_pause(at=world.clock.now())),
    ]
    for step in steps if charge_wins else steps[::-1]:
        await step()
    await world.live(hours=3)

    after = await world.instalment(agreement)
    assert after.state is (InstalmentState.PAID if charge_wins else InstalmentState.SCHEDULED)
    assert len(world.said(ChargeCollected)) == int(charge_wins)
    assert await promises(world) == []


async def test_another_day_and_a_notice_at_once_leave_one_day_that_is_told(world):
    """A notice of the old day may have gone out; the charge waits for those of the new one."""
    ids = await activated(world, await many(world))
    await world._set(at_in_china(date(2027, 3, 5), 10))

    await asyncio.gather(
        request_notices(world.deps),
        *(
            world.hear(an_amendment(n, charge_day=25, at=world.clock.now()))
            for n in range(1, AGREEMENTS + 1)
        ),
        request_notices(world.deps),
    )
    await world.live_until(at_in_china(date(2027, 3, 26), 20))

    async with world.db.connection() as conn:
        old = await conn.fetchval("SELECT count(*) FROM attempts WHERE on_day < '2027-03-25'::date")
        without = await conn.fetchval(
            """
            SELECT count(*) FROM instalments AS i
             WHERE i.state = 'paid' AND i.terms_no > 0
               AND NOT EXISTS (SELECT FROM notices AS n
                                WHERE n.instalment_id = i.instalment_id
                                  AND n.terms_no = i.terms_no AND n.kind = 'reminder')
            """
        )
    assert (old, without) == (0, 0)
    for agreement in ids:
        first = await world.instalment(agreement)
        assert (first.state, first.charge_on) == (InstalmentState.PAID, date(2027, 3, 25))
    assert await promises(world) == []


async def test_a_cancellation_and_paying_all_at_once_are_one_or_the_other(world):
    """Opened before the end, or refused after it; and no line of an order without its attempt."""
    ids = await activated(world, await many(world))
    await world._set(BEFORE)

    async def pay(agreement):
        rows = await world.instalments(agreement)
        chosen = [one.instalment_id for one in rows]
        try:
            await pay_several(
                world.deps,
                MERCHANT,
                agreement,
                instalment_ids=chosen,
                total_fen=3 * AMOUNT_FEN,
            )
        except NothingToPay:
            return False
        return True

    async def cancel(n):
        await world.hear(
            AgreementCancelled(
                event_id=new_id(),
                occurred_at=world.clock.now(),
                agreement_id=agreement_id(n),
                merchant_id=MERCHANT,
                customer_id=derived_id("customer", n),
            )
        )

    paying = [asyncio.create_task(pay(agreement)) for agreement in ids]
    await asyncio.gather(*(cancel(n) for n in range(1, AGREEMENTS + 1)))
    opened = [await one for one in paying]

    async with world.db.connection() as conn:
        orders = await conn.fetchval("SELECT count(*) FROM payment_orders")
        attempts = await conn.fetchval("SELECT count(*) FROM attempts")
    assert (orders, attempts) == (sum(opened), 3 * sum(opened))
    for agreement in ids:
        states = {row.state for row in await world.instalments(agreement)}
        assert states == {InstalmentState.CANCELLED}
    await world.live(hours=2)
    assert await promises(world) == []
