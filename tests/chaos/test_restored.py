"""A database older than what happened learns of it before anything happens again."""

from datetime import date, timedelta

import pytest

from services.billing.contract import ChargeCollected
from services.billing.domain.attempt import AttemptState
from services.billing.domain.instalment import InstalmentState
from services.billing.store import agreements, instalments
from services.billing.usecases.attempt_due_charges import attempt_due_charges
from services.billing.usecases.find_lost_charges import Found, find_lost_charges
from services.notify.contract import MessageAccepted, MessageUnknown
from services.notify.contract.states import MessageState
from services.notify.domain.provider import Unclear
from services.notify.usecases.adopt_sent import remember_sent
from services.signing.contract import Rail
from shared.db import Database
from tests.support.billing_builders import AMOUNT_FEN
from tests.support.notify_builders import NOON, a_collection, a_notice, notify_for_tests

YEARS = (date(2026, 1, 1), date(2030, 1, 1))
BALANCE = {Rail.ALIPAY: "BUYER_BALANCE_NOT_ENOUGH", Rail.WECHATPAY: "NOTENOUGH"}


async def backed_up(world, rail):
    """Sign, live until the day, and return how billing stands then."""
    agreement_id = await world.signed(periods=1, rail=rail)
    row = await world.instalment(agreement_id)
    await world.live_until(row.charge_at - timedelta(minutes=1))
    row = await world.instalment(agreement_id)
    async with world.db.transaction() as conn:
        return await agreements.lock(conn, agreement_id), row


async def restore(world, backup):
    """Forget everything since *backup*."""
    agreement, instalment = backup
    async with world.db.transaction() as conn:
        await conn.execute("DELETE FROM attempts")
        await conn.execute("DELETE FROM history WHERE thing = 'attempt'")
        await conn.execute("DELETE FROM webhook_inbox")
        await instalments.save(conn, [instalment])
        await agreements.save(conn, [agreement])


async def find(world):
    return await find_lost_charges(world.deps, since=YEARS[0], until=YEARS[1])


async def captured(world, rail):
    books = await world.books(rail.value)
    return books["captured_fen"], books["refunded_fen"]


@pytest.mark.parametrize("rail", Rail)
async def test_a_forgotten_charge_is_found_and_not_made_again(world, rail):
    backup = await backed_up(world, rail)
    await world.live(minutes=30)
    assert await captured(world, rail) == (AMOUNT_FEN, 0)
    (first,) = await world.attempts(backup[1])
    await restore(world, backup)

    assert await find(world) == Found(instalments=1, charges=1)
    assert await find(world) == Found()  # nothing unpaid is left to search

    paid = await world.instalment(backup[0].agreement_id)
    (again,) = await world.attempts(paid)
    assert (again.attempt_id, again.trade_no) == (first.attempt_id, first.trade_no)
    assert paid.state is InstalmentState.PAID
    await world.live(days=2)
    assert await captured(world, rail) == (AMOUNT_FEN, 0)
    assert {body["charge_id"] for body in world.said(ChargeCollected)} == {str(first.attempt_id)}


@pytest.mark.parametrize("rail", list(BALANCE))
async def test_a_number_once_refused_is_not_tried_beside_a_later_one_that_paid(world, rail):
    backup = await backed_up(world, rail)
    await world.faulty(rail.value, {"on": "pay", "do": f"decline:{BALANCE[rail]}"})
    await world.live(hours=24)
    assert [one.state for one in await world.attempts(backup[1])] == ["failed", "succeeded"]
    await restore(world, backup)

    found = await find(world)

    # WeChat keeps refused orders; at Alipay the second number proves what became of the first.
    assert found == Found(instalments=1, charges=2)
    assert [one.state for one in await world.attempts(backup[1])] == ["failed", "succeeded"]
    await world.live(days=2)
    assert await captured(world, rail) == (AMOUNT_FEN, 0)
    assert (await world.instalment(backup[0].agreement_id)).tries == 2


async def test_an_order_that_the_rail_has_not_decided_stays_the_only_one(world):
    backup = await backed_up(world, Rail.WECHATPAY)
    moment = backup[1].charge_at
    world.clock.set(moment)
    for name in world.urls:
        await world.ask(name, "PUT", "/clock", {"now": moment.isoformat()})
    await attempt_due_charges(world.deps)
    await restore(world, backup)

    assert await find(world) == Found(instalments=1, charges=1)

    (open_one,) = await world.attempts(backup[1])
    assert open_one.state is AttemptState.SENT
    await world.live(days=1)
    assert await captured(world, Rail.WECHATPAY) == (AMOUNT_FEN, 0)
    assert len(await world.attempts(backup[1])) == 1


async def test_while_the_rail_is_silent_nothing_is_taken_for_granted(world):
    backup = await backed_up(world, Rail.ALIPAY)
    await world.live(minutes=30)
    await restore(world, backup)
    away = {"on": "query", "do": "outage", "until": "2099-01-01T00:00:00+00:00"}
    await world.faulty("alipay", away)

    assert await find(world) == Found(instalments=1, unclear=1)

    await world.ask("alipay", "DELETE", "/faults/*")
    assert await find(world) == Found(instalments=1, charges=1)


async def test_what_was_never_charged_is_charged_as_usual(world):
    backup = await backed_up(world, Rail.ALIPAY)

    assert await find(world) == Found(instalments=1)

    await world.live(days=1)
    assert await captured(world, Rail.ALIPAY) == (AMOUNT_FEN, 0)
    assert (await world.instalment(backup[0].agreement_id)).tries == 1


async def test_messages_that_went_out_before_are_taken_as_sent(notify_db: Database, fresh_database):
    before = await notify_for_tests(notify_db)
    await before.meet()
    waiting, later = a_notice(), a_notice(2)
    await before.hear(waiting, later)
    await before.run()
    sent = [
        MessageAccepted.model_validate(told.body)
        for told in await before.told(MessageAccepted.subject)
    ]
    assert len(sent) == 4
    restored = await notify_for_tests(await fresh_database("notify"))
    await restored.meet()
    await restored.hear(waiting)  # its two messages wait since before the backup

    assert await remember_sent(restored.deps, sent) == 4
    assert await remember_sent(restored.deps, sent) == 0
    await restored.hear(later)
    await restored.live_until(NOON + timedelta(hours=2))

    assert not restored.sms.sent + restored.wechat.sent + restored.alipay.sent
    states = [message.state for message in await restored.messages("notice.%")]
    assert len(states) == 4
    assert set(states) <= {MessageState.ACCEPTED, MessageState.DELIVERED}
    again = {told.body["message_id"] for told in await restored.told(MessageAccepted.subject)}
    assert again == {str(one.message_id) for one in sent}


async def test_a_message_that_may_have_gone_out_before_does_not_go_out_again(
    notify_db: Database, fresh_database
):
    before = await notify_for_tests(notify_db)
    await before.meet()
    paid = a_collection()
    before.wechat.says = [Unclear("timeout")]
    before.alipay.says = [Unclear("timeout")]
    await before.hear(paid)
    await before.live_until(NOON + timedelta(hours=6))
    (lost,) = await before.messages("charge.collected")
    assert lost.state is MessageState.UNKNOWN
    told = [MessageUnknown.model_validate(one.body) for one in await before.told("%unknown.v1")]
    restored = await notify_for_tests(await fresh_database("notify"))
    await restored.meet()

    assert await remember_sent(restored.deps, told) == 1
    await restored.hear(paid)
    await restored.live_until(NOON + timedelta(hours=6))

    assert not restored.sms.sent + restored.wechat.sent + restored.alipay.sent
    (again,) = await restored.messages("charge.collected")
    assert (again.state, again.unclear, again.message_id) == (
        MessageState.UNKNOWN,
        True,
        lost.message_id,
    )
