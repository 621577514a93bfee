"""Pause, early end of a pause, other day, other amount: what billing makes of them."""

from datetime import date, timedelta

import pytest

from services.billing.contract import InstalmentPostponed, NoticeRequested, ScheduleChanged
from services.billing.domain.agreement import AgreementState
from services.billing.domain.errors import AgreementUnknown, ChangeTooEarly
from services.billing.domain.instalment import InstalmentState
from services.billing.store import agreements, invariants
from services.signing.contract import AgreementActivated, Rail
from shared.calendar import at_in_china, day_in_china
from shared.ids import new_id
from tests.support.billing_builders import (
    AMOUNT_FEN,
    MERCHANT,
    SIGNED_AT,
    a_signing,
    agreement_id,
)
from tests.support.change_builders import a_pause, a_resumption, an_amendment

BOTH = pytest.mark.parametrize("rail", [Rail.ALIPAY, Rail.WECHATPAY])


async def dates(world, agreement):
    return [row.charge_on for row in await world.instalments(agreement)]


async def promises(world):
    async with world.db.connection() as conn:
        return await invariants.broken(conn, stuck_before=world.clock.now() - timedelta(days=2))


@BOTH
async def test_a_pause_moves_every_unpaid_period_and_nothing_is_charged_meanwhile(world, rail):
    agreement = await world.signed(rail=rail)
    await world.live_until(at_in_china(date(2027, 4, 1), 12))
    assert (await world.instalment(agreement)).state is InstalmentState.PAID

    await world.hear(a_pause(periods=2))

    assert await dates(world, agreement) == [
        date(2027, 3, 12),
        date(2027, 6, 12),
        date(2027, 7, 12),
    ]
    await world.live_until(at_in_china(date(2027, 6, 3), 12))
    assert (await world.books(rail))["captured_fen"] == AMOUNT_FEN
    assert {one["seq"] for one in world.said(NoticeRequested)} == {1}
    assert [one["from_day"] for one in world.said(InstalmentPostponed)] == ["2027-04-12"]

    await world.hear(a_resumption(early=False))
    await world.live_until(at_in_china(date(2027, 7, 20), 12))

    assert (await world.books(rail))["captured_fen"] == 3 * AMOUNT_FEN
    assert [row.state for row in await world.instalments(agreement)] == [InstalmentState.PAID] * 3
    assert await promises(world) == []


@BOTH
async def test_an_early_end_brings_back_what_can_still_be_told_of_in_time(world, rail):
    agreement = await world.signed(rail=rail)
    await world.live_until(at_in_china(date(2027, 3, 20), 12))
    await world.hear(a_pause(periods=2))
    await world.live_until(at_in_china(date(2027, 4, 20), 12))

    await world.hear(a_resumption())

    # 12 April has passed; 12 May can still be told of.
    assert (await dates(world, agreement))[1:] == [date(2027, 5, 12), date(2027, 6, 12)]
    await world.live_until(at_in_china(date(2027, 6, 14), 12))
    assert (await world.books(rail))["captured_fen"] == 3 * AMOUNT_FEN


async def test_notices_of_before_a_pause_do_not_count_for_the_same_day_after_it(world):
    agreement = await world.signed()
    await world.live_until(at_in_china(date(2027, 4, 7), 12))
    told = [one for one in world.said(NoticeRequested) if one["seq"] == 2]
    assert [one["kind"] for one in told] == ["advance"]

    await world.hear(a_pause(periods=1))
    await world.hear(a_resumption())

    # Six days before 12 April it is too late to tell anew, so the pause's day stays.
    assert (await dates(world, agreement))[1:] == [date(2027, 5, 12), date(2027, 6, 12)]
    await world.live_until(at_in_china(date(2027, 5, 13), 12))
    assert (await world.instalment(agreement, 2)).state is InstalmentState.PAID


async def test_notices_are_owed_anew_when_the_old_day_comes_back(world):
    agreement = await world.signed()
    await world.live_until(at_in_china(date(2027, 3, 20), 12))
    await world.hear(a_pause(periods=1))
    await world.hear(a_resumption())

    assert (await world.instalment(agreement, 2)).terms_no == 2
    await world.live_until(at_in_china(date(2027, 4, 13), 12))

    assert (await world.instalment(agreement, 2)).state is InstalmentState.PAID
    told = [one for one in world.said(NoticeRequested) if one["seq"] == 2]
    assert [one["kind"] for one in told] == ["advance", "reminder"]


@BOTH
@pytest.mark.parametrize(
    ("today", "charge_day", "expected"),
    [
        # Later in the same month, far ahead.
        (date(2027, 3, 20), 25, [date(2027, 4, 25), date(2027, 5, 25)]),
        # Too soon to be told of: a month further for all.
        (date(2027, 4, 6), 13, [date(2027, 5, 13), date(2027, 6, 13)]),
    ],
)
async def test_another_day_moves_what_is_not_due_yet(world, rail, today, charge_day, expected):
    agreement = await world.signed(rail=rail)
    await world.live_until(at_in_china(today, 12))

    await world.hear(an_amendment(charge_day=charge_day))

    assert (await dates(world, agreement))[1:] == expected
    await world.live_until(at_in_china(date(2027, 6, 30), 12))
    assert (await world.books(rail))["captured_fen"] == 3 * AMOUNT_FEN
    assert await promises(world) == []


async def test_on_alipay_an_earlier_day_waits_until_the_rails_plan_allows_it(world):
    agreement = await world.signed()
    await world.live_until(at_in_china(date(2027, 3, 15), 12))

    await world.hear(an_amendment(charge_day=1))

    # The rail's plan stands on 12 April and moves only later: 1 April is before its window.
    assert (await dates(world, agreement))[1:] == [date(2027, 5, 1), date(2027, 6, 1)]
    await world.live_until(at_in_china(date(2027, 6, 2), 12))
    assert (await world.books("alipay"))["captured_fen"] == 3 * AMOUNT_FEN


async def test_the_31st_clamps_and_does_not_drift(world):
    agreement = await world.signed(rail=Rail.WECHATPAY, first_due=date(2027, 3, 31), periods=4)
    await world.live_until(at_in_china(date(2027, 3, 10), 12))

    await world.hear(a_pause(periods=1))

    assert await dates(world, agreement) == [
        date(2027, 4, 30),
        date(2027, 5, 31),
        date(2027, 6, 30),
        date(2027, 7, 31),
    ]


async def test_another_amount_counts_for_what_is_unpaid_and_the_sum_stays_explainable(world):
    agreement = await world.signed()
    await world.live_until(at_in_china(date(2027, 3, 20), 12))

    await world.hear(an_amendment(from_seq=3, amount_fen=25000))

    rows = await world.instalments(agreement)
    assert [row.amount_fen for row in rows] == [AMOUNT_FEN, AMOUNT_FEN, 25000]
    await world.work()
    (told,) = world.said(ScheduleChanged)
    assert told["total_fen"] == 2 * AMOUNT_FEN + 25000
    assert [line["amount_fen"] for line in told["instalments"]] == [AMOUNT_FEN, AMOUNT_FEN, 25000]
    assert await promises(world) == []
    await world.live_until(at_in_china(date(2027, 5, 13), 12))
    assert (await world.books("alipay"))["captured_fen"] == 2 * AMOUNT_FEN + 25000


async def test_changes_are_applied_once_in_their_order_and_not_before_activation(world):
    await world.hear(a_signing())
    with pytest.raises(ChangeTooEarly):
        await world.hear(a_pause())
    activated = AgreementActivated(
        event_id=new_id(),
        occurred_at=SIGNED_AT,
        agreement_id=agreement_id(),
        merchant_id=MERCHANT,
        customer_id=a_signing().customer_id,
    )
    await world.hear(activated)
    with pytest.raises(ChangeTooEarly):
        await world.hear(a_resumption(change_no=2))
    for _ in range(2):
        await world.hear(a_pause())
        await world.forget_what_was_heard()
    await world.hear(activated)

    rows = await world.instalments(agreement_id())
    assert [row.due_on for row in rows] == [
        date(2027, 4, 12),
        date(2027, 5, 12),
        date(2027, 6, 12),
    ]
    async with world.db.connection() as conn:
        (found,) = await agreements.by_ids(conn, [agreement_id()])
    assert (found.state, found.changes_heard) == (AgreementState.PAUSED, 1)


async def test_an_unknown_agreement_is_not_here_yet(world):
    with pytest.raises(AgreementUnknown):
        await world.hear(a_pause(7))


async def test_what_is_overdue_stays_owed_and_is_not_dunned_during_a_pause(world):
    agreement = await world.signed(rail=Rail.ALIPAY)
    decline = {"on": "pay", "do": "decline:PAYMENT_FAIL", "times": 3}
    await world.faulty("alipay", decline)
    await world.live_until(at_in_china(date(2027, 3, 13), 20))
    first = await world.instalment(agreement)
    assert first.state is InstalmentState.OVERDUE

    await world.hear(a_pause(periods=1))

    after = await world.instalments(agreement)
    assert after[0] == first
    assert [row.due_on for row in after[1:]] == [date(2027, 5, 12), date(2027, 6, 12)]


async def test_a_charge_that_fails_during_a_pause_moves_instead_of_being_missed(world):
    agreement = await world.signed()
    await world.faulty("alipay", {"on": "pay", "do": "http_500"})
    first = await world.instalment(agreement)
    await world.live_until(first.charge_at)
    assert (await world.instalment(agreement)).state is InstalmentState.COLLECTING

    await world.hear(a_pause(periods=1))
    waiting = await world.instalments(agreement)
    assert waiting[0].due_on == first.due_on
    assert waiting[1].due_on == date(2027, 5, 12)
    await world.live(days=2)

    now = await world.instalment(agreement)
    if now.state is InstalmentState.PAID:  # the rail had it after all
        assert now.due_on == first.due_on
    else:
        assert (now.state, now.due_on) == (InstalmentState.SCHEDULED, date(2027, 4, 12))
    assert await promises(world) == []
    async with world.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM waiting_terms") == 0


async def test_the_story_of_an_instalment_tells_its_moves(world):
    agreement = await world.signed()
    await world.hear(a_pause(periods=1))
    await world.hear(an_amendment_after_pause())
    async with world.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT reason FROM history WHERE instalment_id = $1 ORDER BY history_id",
            (await world.instalment(agreement, 2)).instalment_id,
        )
    assert rows[0]["reason"] == "paused: 2027-04-12 19900 -> 2027-05-12 19900"
    assert day_in_china(world.clock.now()) == date(2027, 3, 3)


def an_amendment_after_pause():
    return a_resumption(change_no=2, early=False)
