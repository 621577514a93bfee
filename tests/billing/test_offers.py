"""Lives with something given or asked: half months, free months, down payments, penalties."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.contract import (
    AgreementFullyPaid,
    ChargeCollected,
    ChargeExhausted,
    InstalmentGranted,
    InstalmentOverdue,
    NoticeRequested,
)
from services.billing.domain.agreement import AgreementState
from services.billing.domain.debit_gate import Refusal, grant_refusals, refusals
from services.billing.domain.errors import AmountDiffers, LinesDiffer, NothingToPay
from services.billing.domain.gate_action import GateAction, action
from services.billing.domain.instalment import InstalmentState
from services.billing.store import history, invariants, lines
from services.billing.usecases.pay_now import pay_now
from services.signing.contract import AgreementTerminated, OverduePenalty, Rail
from shared.ids import derived_id, new_id
from tests.support.billing_builders import (
    AMOUNT_FEN,
    MERCHANT,
    a_signing,
    an_agreement,
    an_instalment,
    open_gate,
)
from tests.support.billing_offers import (
    DOWN_FEN,
    by_seq,
    down,
    free,
    half,
    signed,
    terms_of,
)
from tests.support.billing_world import BUYER, CARD_USER, OPENID

RAILS = (Rail.ALIPAY, Rail.WECHATPAY)
HALF_FEN = AMOUNT_FEN // 2
LATE = OverduePenalty(rate_ppm_per_day=300, grace_days=3, cap_per_mille=50)
DECLINE = {"on": "pay", "do": "decline:BUYER_BALANCE_NOT_ENOUGH", "times": 3}


SITUATIONS = st.fixed_dictionaries(
    {
        "agreement": st.sampled_from(
            [an_agreement(state=state) for state in AgreementState]
            + [an_agreement(holds=("dispute",)), an_agreement(flagged_at=open_gate().now)]
        ),
        "now": st.integers(-50, 50).map(lambda hours: open_gate().now + timedelta(hours=hours)),
        "open_elsewhere": st.booleans(),
        "charged_today": st.booleans(),
        "rail_resting": st.booleans(),
        "repeated": st.booleans(),
    }
)
"""Anything that the gate may be asked in; the notices, mandate and merchant are in order."""


@given(SITUATIONS, st.sampled_from(InstalmentState), st.integers(0, 5))
def test_no_situation_lets_a_down_payment_be_charged(situation, state, tries):
    instalment = replace(an_instalment(state=state, auto_tries=tries), seq=0)

    found = refusals(open_gate(instalment=instalment, **situation))

    assert Refusal.DOWN_PAYMENT in found
    assert action(found) in {GateAction.DROP, GateAction.HOLD, GateAction.GIVE_UP}


@given(SITUATIONS, st.sampled_from(InstalmentState))
def test_no_situation_lets_a_free_month_be_charged_or_given_against_the_agreement(situation, state):
    instalment = an_instalment(state=state, amount_fen=0)
    facts = open_gate(instalment=instalment, **situation)

    assert Refusal.NOTHING_TO_CHARGE in refusals(facts)
    if action(grant_refusals(facts)) is GateAction.CHARGE:
        assert facts.agreement.state is AgreementState.ACTIVE
        assert not facts.agreement.holds
        assert facts.now >= facts.agreement.signed_at + timedelta(hours=168)
    # Giving up and postponing are for money; a free month is given, waits, or is dropped.
    assert action(grant_refusals(facts)) in {
        GateAction.CHARGE,
        GateAction.DROP,
        GateAction.HOLD,
        GateAction.WAIT,
    }


async def sound(world) -> None:
    async with world.db.connection() as conn:
        stuck = world.clock.now() - timedelta(days=2)
        assert await invariants.broken(conn, stuck_before=stuck) == []


async def told_of(world, row) -> list[str]:
    async with world.db.connection() as conn:
        return [move["reason"] for move in await history.of_instalment(conn, row.instalment_id)]


async def pay(world, row, *, amount_fen: int | None = None) -> None:
    payment = await pay_now(world.deps, row.pay_token, amount_fen=amount_fen)
    if payment.attempt.rail == "alipay":
        doc = {"trade_no": payment.client["tradeNO"]}
        await world.ask("alipay", "POST", f"/users/{BUYER}/pay", doc)
    elif payment.attempt.rail == "bankcard":
        doc = {"pay_token": payment.client["pay_token"]}
        await world.ask("bankcard", "POST", f"/users/{CARD_USER}/pay", doc)
    else:
        doc = {"prepay_id": str(payment.client["package"]).removeprefix("prepay_id=")}
        await world.ask("wechatpay", "POST", f"/users/{OPENID}/pay", doc)
    await world.work()
    await world.live(minutes=1)


@pytest.mark.parametrize("rail", RAILS)
async def test_down_payment_half_month_and_free_month_are_each_taken_as_signed(world, rail):
    agreement = await world.signed(rail=rail, **terms_of(down(), half(), free(2), signed(3)))
    await pay(world, by_seq(await world.instalments(agreement))[0], amount_fen=DOWN_FEN)

    await world.live(days=90)

    rows = by_seq(await world.instalments(agreement))
    assert {seq: row.state for seq, row in rows.items()} == dict.fromkeys(
        range(4), InstalmentState.PAID
    )
    collected = world.said(ChargeCollected)
    assert [(one["seq"], one["amount_fen"], one["bonus_fen"]) for one in collected] == [
        (0, DOWN_FEN, 0),
        (1, HALF_FEN, HALF_FEN),
        (3, AMOUNT_FEN, 0),
    ]
    assert [one["source"] for one in collected] == ["pay_now", "automatic", "automatic"]
    assert (collected[0]["hold_fen"], collected[0]["auto_ship"]) == (0, False)
    (granted,) = world.said(InstalmentGranted)
    assert (granted["seq"], granted["amount_fen"], granted["bonus_fen"]) == (2, 0, AMOUNT_FEN)
    assert (granted["hold_fen"], granted["auto_ship"]) == (12000, True)
    assert rows[2].paid_at == rows[2].charge_at
    assert await world.attempts(rows[2]) == []
    assert {one["seq"] for one in world.said(NoticeRequested)} == {1, 3}
    assert len(world.said(AgreementFullyPaid)) == 1
    books = await world.books(rail.value)
    assert books["captured_fen"] == DOWN_FEN + HALF_FEN + AMOUNT_FEN
    assert books["double_captures"] == 0
    await sound(world)


async def test_a_free_last_month_ends_the_agreement(world):
    agreement = await world.signed(**terms_of(signed(1), free(2)))

    await world.live(days=60)

    assert [one["agreement_id"] for one in world.said(AgreementFullyPaid)] == [str(agreement)]
    assert len(world.said(InstalmentGranted)) == 1
    await sound(world)


async def test_a_free_month_of_an_ended_agreement_is_not_granted(world):
    agreement = await world.signed(**terms_of(signed(1), free(2)))
    await world.live(days=20)
    await world.hear(
        AgreementTerminated(
            event_id=new_id(),
            occurred_at=world.clock.now(),
            agreement_id=agreement,
            merchant_id=MERCHANT,
            customer_id=derived_id("customer", 1),
            reason="customer_wish",
        )
    )

    await world.live(days=60)

    assert world.said(InstalmentGranted) == []
    assert by_seq(await world.instalments(agreement))[2].state is InstalmentState.CANCELLED


async def test_a_free_month_waits_while_a_person_holds_the_agreement(world):
    agreement = await world.signed(**terms_of(signed(1), free(2)))
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE agreements SET holds = '{pet_claim}'")
    await world.live(days=50)
    assert world.said(InstalmentGranted) == []

    async with world.db.transaction() as conn:
        await conn.execute("UPDATE agreements SET holds = '{}'")
    await world.live(days=2)

    assert by_seq(await world.instalments(agreement))[2].state is InstalmentState.PAID
    assert len(world.said(InstalmentGranted)) == 1


async def test_a_free_month_is_granted_once_however_often_it_is_claimed(world):
    agreement = await world.signed(**terms_of(signed(1), free(2)))
    await world.live(days=50)
    async with world.db.transaction() as conn:
        await conn.execute(
            "UPDATE instalments SET next_try_at = $1 WHERE seq = 2", world.clock.now()
        )

    await world.work()

    assert len(world.said(InstalmentGranted)) == 1
    assert by_seq(await world.instalments(agreement))[2].next_try_at is None


async def test_nobody_can_pay_for_a_free_month(world):
    agreement = await world.signed(**terms_of(signed(1), free(2)))
    row = by_seq(await world.instalments(agreement))[2]

    with pytest.raises(NothingToPay):
        await pay_now(world.deps, row.pay_token, amount_fen=None)


@pytest.mark.parametrize("rail", RAILS)
async def test_a_down_payment_is_never_taken_but_is_late_from_the_next_day_on(world, rail):
    agreement = await world.signed(rail=rail, **terms_of(down(), signed(1)))

    await world.live(days=30)

    row = by_seq(await world.instalments(agreement))[0]
    assert row.state is InstalmentState.OVERDUE
    assert row.overdue_since == row.due_on
    assert await world.attempts(row) == []
    assert {one["seq"] for one in world.said(NoticeRequested)} == {1}
    assert [one for one in world.said(ChargeExhausted) if one["seq"] == 0] == []
    overdue = [one for one in world.said(InstalmentOverdue) if one["seq"] == 0]
    assert overdue[0]["rung"] == "reminder"
    assert world.said(AgreementFullyPaid) == []

    await pay(world, row)
    assert by_seq(await world.instalments(agreement))[0].state is InstalmentState.PAID
    assert len(world.said(AgreementFullyPaid)) == 1
    await sound(world)


async def test_a_down_payment_may_be_paid_while_the_agreement_cools_off(world):
    agreement = await world.signed(active=False, **terms_of(down(), signed(1)))

    await pay(world, by_seq(await world.instalments(agreement))[0])

    assert [one["seq"] for one in world.said(ChargeCollected)] == [0]


async def test_lines_that_do_not_make_the_amount_are_refused_as_a_whole(world):
    wrong = signed(1).model_copy(update={"amount_fen": AMOUNT_FEN - 1})

    with pytest.raises(LinesDiffer):
        await world.hear(a_signing(**terms_of(wrong)))

    async with world.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM agreements") == 0


async def test_lines_are_kept_as_they_were_signed_and_one_where_there_were_none(world):
    first = await world.signed(1, **terms_of(half(), free(2)))
    plain = await world.signed(2)

    async with world.db.connection() as conn:
        kept = [
            await lines.of_instalment(conn, row.instalment_id)
            for row in await world.instalments(first)
        ]
        (row, *_) = await world.instalments(plain)
        bare = await lines.of_instalment(conn, row.instalment_id)
    assert kept == [list(half().lines), list(free(2).lines)]
    assert [(line.kind, line.amount_fen) for line in bare] == [("base", AMOUNT_FEN)]


async def test_being_late_costs_what_was_signed_as_it_stands_when_it_is_paid(world):
    agreement = await world.signed(overdue_penalty=LATE, **terms_of(signed(1)))
    await world.faulty("alipay", DECLINE)
    # Charged and declined on 12 March; by 20 March eight days late, three of them free.
    await world.live_until(by_seq(await world.instalments(agreement))[1].charge_at)
    await world.live(days=1)
    row = by_seq(await world.instalments(agreement))[1]
    assert row.state is InstalmentState.OVERDUE
    async with world.db.transaction() as conn:
        await conn.execute("UPDATE instalments SET next_dunning_at = NULL")
    await world.live(days=7)
    penalty_fen = AMOUNT_FEN * 300 * 5 // 1_000_000

    with pytest.raises(AmountDiffers) as refused:
        await pay_now(world.deps, row.pay_token, amount_fen=AMOUNT_FEN)
    assert refused.value.facts == {
        "amount_due_fen": AMOUNT_FEN + penalty_fen,
        "base_fen": AMOUNT_FEN,
        "penalty_fen": penalty_fen,
    }
    assert (await told_of(world, row))[-1] == (
        f"amount-differs: {AMOUNT_FEN} fen offered, {AMOUNT_FEN + penalty_fen} due"
    )
    assert len(await world.attempts(row)) == 3
    await pay(world, row, amount_fen=AMOUNT_FEN + penalty_fen)

    (collected,) = world.said(ChargeCollected)
    assert (collected["amount_fen"], collected["penalty_fen"]) == (
        AMOUNT_FEN + penalty_fen,
        penalty_fen,
    )
    assert penalty_fen == 29
    await sound(world)


async def test_an_opened_payment_keeps_its_penalty_over_midnight(world):
    agreement = await world.signed(overdue_penalty=LATE, **terms_of(signed(1)))
    await world.faulty("alipay", DECLINE)
    row = by_seq(await world.instalments(agreement))[1]
    await world.live_until(row.charge_at + timedelta(days=6))
    before_midnight = world.clock.now().replace(hour=15, minute=50)
    await world.live_until(before_midnight)

    opened = await pay_now(world.deps, row.pay_token, amount_fen=None)
    await world.live(minutes=15)
    again = await pay_now(world.deps, row.pay_token, amount_fen=opened.attempt.amount_fen)
    await world.live(hours=1)
    later = await pay_now(world.deps, row.pay_token, amount_fen=None)

    assert again.attempt.attempt_id == opened.attempt.attempt_id
    assert opened.attempt.penalty_fen > 0
    assert later.attempt.penalty_fen == opened.attempt.penalty_fen + 6


async def test_without_terms_being_late_costs_nothing(world):
    agreement = await world.signed(**terms_of(signed(1)))
    await world.faulty("alipay", DECLINE)
    await world.live(days=60)
    row = by_seq(await world.instalments(agreement))[1]

    payment = await pay_now(world.deps, row.pay_token, amount_fen=AMOUNT_FEN)

    assert (payment.attempt.amount_fen, payment.attempt.penalty_fen) == (AMOUNT_FEN, 0)
