"""Lives of agreements, told by date, against the simulated rails."""

from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from services.billing.contract import (
    AgreementFullyPaid,
    ChargeCollected,
    ChargeExhausted,
    ChargeFailed,
    InstalmentOverdue,
    InstalmentPostponed,
    InstalmentSettled,
    NoticeRequested,
    RefundSucceeded,
    RiskCleared,
    RiskFlagged,
    TaskOpened,
)
from services.billing.domain.instalment import InstalmentState
from services.billing.store import invariants
from services.signing.contract import AgreementTerminated, MandateRevoked, Rail
from services.wallet.contract import RefundRequested
from shared.calendar import at_in_china, day_in_china
from shared.ids import derived_id, new_id
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT, a_mandate
from tests.support.billing_world import BUYER, CARD_USER, OPENID


async def sound(world) -> None:
    async with world.db.connection() as conn:
        stuck = world.clock.now() - timedelta(days=2)
        assert await invariants.broken(conn, stuck_before=stuck) == []


@pytest.mark.parametrize("rail", Rail)
async def test_every_period_is_noticed_charged_once_and_told(world, rail):
    agreement = await world.signed(rail=rail)

    await world.live(days=80)

    rows = await world.instalments(agreement)
    assert [row.state for row in rows] == [InstalmentState.PAID] * 3
    assert [row.charge_on for row in rows] == [row.due_on for row in rows]
    assert [body["seq"] for body in world.said(ChargeCollected)] == [1, 2, 3]
    assert len(world.said(AgreementFullyPaid)) == 1
    kinds = Counter(body["kind"] for body in world.said(NoticeRequested))
    assert kinds == {"advance": 3, "reminder": 3}
    books = await world.books(rail.value)
    assert (books["captured_fen"], books["double_captures"]) == (3 * AMOUNT_FEN, 0)
    await sound(world)


@pytest.mark.parametrize(
    ("rail", "code"),
    [
        (Rail.ALIPAY, "BUYER_BALANCE_NOT_ENOUGH"),
        (Rail.WECHATPAY, "NOTENOUGH"),
        (Rail.BANKCARD, "INSUFFICIENT_FUNDS"),
    ],
)
async def test_a_declined_charge_is_paid_on_a_retry_the_same_day(world, rail, code):
    agreement = await world.signed(rail=rail, periods=1)
    await world.faulty(rail.value, {"on": "pay", "do": f"decline:{code}"})

    await world.live(days=12)

    row = await world.instalment(agreement)
    assert row.state is InstalmentState.PAID
    assert (row.tries, row.auto_tries) == (2, 2)
    (failed,) = world.said(ChargeFailed)
    assert failed["failure_class"] == "retry_later"
    retry_at = datetime.fromisoformat(failed["retry_at"])
    assert day_in_china(retry_at) == row.charge_on
    assert len(world.said(ChargeCollected)) == 1


@pytest.mark.parametrize("rail", Rail)
async def test_an_answer_hidden_after_booking_is_paid_once(world, rail):
    agreement = await world.signed(rail=rail, periods=1)
    await world.faulty(
        rail.value, {"on": "pay", "do": "hide_answer"}, {"on": "notify", "do": "drop"}
    )

    await world.live(days=12)

    row = await world.instalment(agreement)
    assert row.state is InstalmentState.PAID
    assert len(await world.attempts(row)) == 1
    books = await world.books(rail.value)
    assert (books["captures"], books["double_captures"]) == (1, 0)


@pytest.mark.parametrize("rail", Rail)
async def test_a_charge_that_never_arrived_is_sent_again_under_its_number(world, rail):
    agreement = await world.signed(rail=rail, periods=1)
    await world.faulty(rail.value, {"on": "pay", "do": "http_500"})

    await world.live(days=12)

    row = await world.instalment(agreement)
    assert row.state is InstalmentState.PAID
    assert [one.attempt_no for one in await world.attempts(row)] == [1]


async def test_a_rail_away_all_day_costs_nobody_a_period(world):
    agreement = await world.signed(periods=2)
    due = await world.instalment(agreement)
    back = at_in_china(due.charge_on, 20)
    await world.faulty("alipay", {"on": "*", "do": "outage", "until": back.isoformat()})

    await world.live(days=30)

    row = await world.instalment(agreement)
    assert row.state is InstalmentState.PAID
    assert world.said(ChargeExhausted) == []
    assert (await world.books("alipay"))["captures"] == 1
    await sound(world)


async def test_every_try_declined_ends_in_a_link_that_the_customer_pays(world):
    agreement = await world.signed(periods=3)
    decline = {"on": "pay", "do": "decline:BUYER_BALANCE_NOT_ENOUGH", "times": 6}
    await world.faulty("alipay", decline)

    await world.live(days=20)

    row = await world.instalment(agreement)
    assert row.state is InstalmentState.OVERDUE
    assert len(await world.attempts(row)) == 3
    assert [body["rung"] for body in world.said(InstalmentOverdue)] == [
        "reminder",
        "staff_task",
        "extension",
    ]
    assert [body["kind"] for body in world.said(TaskOpened)] == ["service_call"]

    # The second period fails as well: automatic charges rest.
    await world.live(days=25)
    assert len(world.said(RiskFlagged)) == 1
    assert len(world.said(ChargeExhausted)) == 2

    # The customer pays by link; what was flagged is clear, the third period is charged.
    for seq in (1, 2):
        await pay_by_link(world, await world.instalment(agreement, seq))
    assert len(world.said(RiskCleared)) == 1
    assert len(world.said(InstalmentSettled)) == 2
    await world.live(days=40)
    assert (await world.instalment(agreement, 3)).state is InstalmentState.PAID
    assert [body["source"] for body in world.said(ChargeCollected)] == [
        "pay_now",
        "pay_now",
        "automatic",
    ]
    await sound(world)


async def pay_by_link(world, row) -> None:
    from services.billing.usecases.pay_now import pay_now

    payment = await pay_now(world.deps, row.pay_token, amount_fen=row.amount_fen)
    if payment.attempt.rail == "alipay":
        doc = {"trade_no": payment.client["tradeNO"]}
        await world.ask("alipay", "POST", f"/users/{BUYER}/pay", doc)
    elif payment.attempt.rail == "bankcard":
        doc = {"pay_token": payment.client["pay_token"]}
        await world.ask("bankcard", "POST", f"/users/{CARD_USER}/pay", doc)
    else:
        package = str(payment.client["package"])
        doc = {"prepay_id": package.removeprefix("prepay_id=")}
        await world.ask("wechatpay", "POST", f"/users/{OPENID}/pay", doc)
    await world.work()
    await world.live(minutes=1)


@pytest.mark.parametrize("rail", Rail)
async def test_paying_early_leaves_nothing_to_charge(world, rail):
    agreement = await world.signed(rail=rail, periods=2)
    await pay_by_link(world, await world.instalment(agreement))

    await world.live(days=60)

    assert [body["source"] for body in world.said(ChargeCollected)] == ["pay_now", "automatic"]
    rows = await world.instalments(agreement)
    assert [row.state for row in rows] == [InstalmentState.PAID] * 2
    books = await world.books(rail.value)
    assert books["captured_fen"] == 2 * AMOUNT_FEN


@pytest.mark.parametrize("rail", Rail)
async def test_no_charge_without_proof_but_a_new_day_with_notices_of_its_own(world, rail):
    agreement = await world.signed(rail=rail)
    first = await world.instalment(agreement)
    world.silent = lambda notice, channel: (
        channel == "sms" and notice.kind == "reminder" and notice.charge_at == first.charge_at
    )

    await world.live(days=90)

    rows = await world.instalments(agreement)
    assert [row.state for row in rows] == [InstalmentState.PAID] * 3
    postponed = world.said(InstalmentPostponed)
    assert postponed[0]["reason"] == "notice_48h_missing"
    assert rows[0].charge_on > first.charge_on
    assert len({row.charge_on for row in rows}) == 3
    books = await world.books(rail.value)
    assert (books["captures"], books["double_captures"]) == (3, 0)
    await sound(world)


@pytest.mark.parametrize("rail", Rail)
async def test_termination_stops_charges_and_returns_what_is_unspent(world, rail):
    agreement = await world.signed(rail=rail)
    await world.live(days=45)
    collected = world.said(ChargeCollected)
    assert len(collected) == 2
    customer = collected[0]["customer_id"]
    ended = AgreementTerminated(
        event_id=new_id(),
        occurred_at=world.clock.now(),
        agreement_id=agreement,
        merchant_id=MERCHANT,
        customer_id=customer,
        reason="moved",
    )
    asked = RefundRequested(
        event_id=new_id(),
        occurred_at=world.clock.now(),
        settlement_id=new_id(),
        agreement_id=agreement,
        merchant_id=MERCHANT,
        customer_id=customer,
        amount_fen=AMOUNT_FEN + 5000,
        reason="terminated",
    )
    await world.hear(ended)
    for _ in range(2):
        await world.hear(asked)
        await world.forget_what_was_heard()

    await world.live(days=40)

    returned = world.said(RefundSucceeded)
    assert sorted(body["amount_fen"] for body in returned) == [5000, AMOUNT_FEN]
    assert (await world.books(rail.value))["refunded_fen"] == AMOUNT_FEN + 5000
    assert [row.state for row in await world.instalments(agreement)] == [
        InstalmentState.PARTLY_REFUNDED,
        InstalmentState.REFUNDED,
        InstalmentState.CANCELLED,
    ]
    assert len(world.said(ChargeCollected)) == 2
    await sound(world)


async def test_a_revoked_mandate_leaves_only_the_link(world):
    agreement = await world.signed(periods=1)
    await world.hear(
        MandateRevoked(
            event_id=new_id(),
            occurred_at=world.clock.now(),
            mandate_id=a_mandate().mandate_id,
            agreement_id=agreement,
            merchant_id=MERCHANT,
            customer_id=derived_id("customer", 1),
            revoked_by="customer",
        )
    )

    await world.live(days=15)

    assert (await world.books("alipay"))["captures"] == 0
    (exhausted,) = world.said(ChargeExhausted)
    assert exhausted["failure_class"] == "mandate_not_active"


async def test_charge_day_31_falls_on_last_days_and_never_drifts(world):
    first = date(2027, 3, 31)
    agreement = await world.signed(rail=Rail.WECHATPAY, first_due=first)

    await world.live(days=100)

    rows = await world.instalments(agreement)
    assert [str(row.charge_on) for row in rows] == ["2027-03-31", "2027-04-30", "2027-05-31"]
    assert [row.state for row in rows] == [InstalmentState.PAID] * 3


async def test_duplicated_reordered_and_badly_signed_notifications_change_nothing(world):
    await world.signed(periods=3)
    await world.faulty(
        "alipay",
        {"on": "notify", "do": "duplicate"},
        {"on": "notify", "do": "bad_signature"},
        {"on": "notify", "do": "reorder"},
    )

    await world.live(days=80)

    assert len(world.said(ChargeCollected)) == 3
    async with world.db.connection() as conn:
        verdicts = await conn.fetch("SELECT verdict FROM webhook_inbox")
    assert Counter(row["verdict"] for row in verdicts) == {"accepted": 3, "rejected": 1}
