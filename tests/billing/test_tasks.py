"""Staff's tasks: who takes them, what came of them, and what that leads to."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from services.billing.contract import TaskClosed, TaskEscalated, TaskOpened
from services.billing.domain.claim import (
    Answer,
    Claim,
    ClaimKind,
    ClaimState,
    Offer,
    answer_hardship,
)
from services.billing.domain.contact_rules import Direction, Person
from services.billing.domain.errors import (
    ClaimStateForbids,
    ContactRefused,
    ContactThirdParty,
    DisputeEvidenceMissing,
    DisputeRefundMissing,
    OfferUnfit,
    OutcomeUnfit,
    PromiseUnfit,
    TaskClosedAlready,
)
from services.billing.domain.instalment import InstalmentState
from services.billing.domain.refund import Refund, RefundState
from services.billing.domain.task import Outcome, Result, TaskKind
from services.billing.store import agreements, refunds
from services.billing.usecases import handle_claims
from services.billing.usecases.handle_claims import Report
from services.billing.usecases.look_after_tasks import OPEN, look_after_tasks
from services.billing.usecases.pay_now import pay_now
from services.billing.usecases.record_outcome import Told, record_outcome
from shared.calendar import at_in_china, day_in_china
from shared.ids import new_id
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT
from tests.support.billing_world import BillingWorld
from tests.support.dunning_life import (
    NO_MONEY,
    at_hour,
    cases,
    claims_of,
    contacts_of,
    misses,
    report,
    steps,
    tasks_of,
    until_day,
)


async def a_follow_up(world: BillingWorld):
    """Return an agreement missed three days ago and staff's task about it, at eleven."""
    agreement = await misses(world, days=3)
    (task,) = await tasks_of(world, agreement)
    await at_hour(world, 11, days=1)
    return agreement, task


async def open_claim(world: BillingWorld, kind: ClaimKind, agreement: UUID, seq: int = 1) -> Claim:
    row = await world.instalment(agreement, seq)
    told = Report(new_id(), kind, agreement, row.instalment_id, "lost_job", "staff-7")
    async with world.db.transaction() as conn:
        return await handle_claims.open_claim(conn, world.deps, MERCHANT, told)


async def answer(world: BillingWorld, claim: Claim, offer: Offer) -> Claim:
    async with world.db.transaction() as conn:
        return await handle_claims.answer_claim(
            conn, world.deps, MERCHANT, claim.claim_id, offer, "staff-8"
        )


async def decide(world: BillingWorld, claim: Claim, *, accepted: bool) -> Claim:
    async with world.db.transaction() as conn:
        return await handle_claims.decide_claim(
            conn, world.deps, MERCHANT, claim.claim_id, accepted=accepted
        )


async def find(world: BillingWorld, claim: Claim, found: Answer, *evidence: str) -> Claim:
    async with world.db.transaction() as conn:
        return await handle_claims.find_claim(
            conn, world.deps, MERCHANT, claim.claim_id, found, evidence, "staff-8"
        )


async def holds(world: BillingWorld, agreement: UUID) -> tuple[str, ...]:
    async with world.db.connection() as conn:
        (found,) = await agreements.by_ids(conn, [agreement])
    return found.holds


async def test_a_customer_who_was_reached_closes_the_task(world):
    agreement, task = await a_follow_up(world)

    after = await report(world, task, Outcome.REACHED)

    assert (after.outcome, after.recorded_by) == (Outcome.REACHED, "staff-7")
    assert await tasks_of(world, agreement) == []
    (closed,) = world.said(TaskClosed)
    assert (closed["task_id"], closed["outcome"]) == (str(task.task_id), "reached")
    (call,) = [one for one in await contacts_of(world, agreement) if one.kind == "call"]
    assert (call.outcome, call.made_by, call.task_id) == ("reached", "staff-7", task.task_id)
    with pytest.raises(TaskClosedAlready):
        await report(world, task, Outcome.REACHED)


async def test_a_report_whose_answer_was_lost_counts_once(world):
    agreement, task = await a_follow_up(world)
    told = Told(Result(Outcome.REACHED, "staff-7"), contact_id=new_id())

    first = await record_outcome(world.deps, MERCHANT, task.task_id, told)
    again = await record_outcome(world.deps, MERCHANT, task.task_id, told)
    await world.work()

    assert again == first
    assert len(world.said(TaskClosed)) == 1
    assert len([c for c in await contacts_of(world, agreement) if c.kind == "call"]) == 1


async def test_a_call_that_reached_nobody_is_due_again_the_next_working_day(world):
    agreement, task = await a_follow_up(world)

    after = await report(world, task, Outcome.NOT_REACHED)
    assert (after.closed_at, after.calls) == (None, 1)
    assert after.due_at > world.clock.now()

    with pytest.raises(ContactRefused) as refused:
        await report(world, task, Outcome.REACHED)
    assert refused.value.facts["reasons"] == ["cap_day"]
    own = await report(world, task, Outcome.REACHED, direction=Direction.INCOMING)
    assert own.closed_at == world.clock.now()
    assert len([c for c in await contacts_of(world, agreement) if c.kind == "call"]) == 2


async def test_nobody_but_the_customer_is_called_and_the_refusal_is_kept(world):
    agreement, task = await a_follow_up(world)

    for person in (Person.FAMILY, Person.EMPLOYER, Person.EMERGENCY_CONTACT, Person.OTHER):
        with pytest.raises(ContactThirdParty):
            await report(world, task, Outcome.REACHED, person=person)
    await at_hour(world, 23)
    with pytest.raises(ContactRefused) as refused:
        await report(world, task, Outcome.REACHED)

    assert refused.value.facts["reasons"] == ["quiet_hours"]
    assert [one.task_id for one in await tasks_of(world, agreement)] == [task.task_id]
    assert [one for one in await contacts_of(world, agreement) if one.kind == "call"] == []
    async with world.db.connection() as conn:
        rows = await conn.fetch("SELECT reason FROM history WHERE thing = 'contact'")
    assert [row["reason"].split(":")[0] for row in rows] == [
        *(["contact-third-party"] * 4),
        "contact-refused",
    ]


async def test_a_promise_pauses_the_ladder_until_its_day_is_over(world):
    agreement, task = await a_follow_up(world)
    row = await world.instalment(agreement)
    promised = row.charge_on + timedelta(days=10)

    await report(world, task, Outcome.PROMISE_TO_PAY, promised_on=promised)
    await until_day(world, row, 10)
    assert steps(world) == [(1, "reminder"), (3, "staff_task")]
    await until_day(world, row, 11)

    assert steps(world)[2:] == [(11, "extension")]
    (again,) = await tasks_of(world, agreement)
    assert again.kind is TaskKind.PROMISE_BROKEN
    (case,) = await cases(world, agreement)
    assert case.promised_on is None


@pytest.mark.parametrize("days", [None, -1, 31])
async def test_a_promise_needs_a_day_that_can_be_kept(world, days):
    agreement, task = await a_follow_up(world)
    today = day_in_china(world.clock.now())
    day = None if days is None else today + timedelta(days=days)

    with pytest.raises(PromiseUnfit):
        await report(world, task, Outcome.PROMISE_TO_PAY, promised_on=day)

    assert [one.task_id for one in await tasks_of(world, agreement)] == [task.task_id]


async def test_a_task_ends_only_as_its_kind_allows(world):
    agreement, task = await a_follow_up(world)
    for outcome in (Outcome.PAID, Outcome.ENDED, Outcome.CLEARED, Outcome.ANSWERED):
        with pytest.raises(OutcomeUnfit):
            await report(world, task, outcome)
    await report(world, task, Outcome.HARDSHIP)
    (hardship,) = await tasks_of(world, agreement)
    for outcome in (Outcome.DONE, Outcome.REACHED):
        with pytest.raises(OutcomeUnfit):
            await report(world, hardship, outcome)


async def test_hardship_holds_debits_and_dunning_until_it_is_answered(world):
    agreement = await world.signed(periods=2)
    await world.faulty("alipay", NO_MONEY)
    row = await world.instalment(agreement)
    await until_day(world, row, 3)
    (task,) = await tasks_of(world, agreement)
    await at_hour(world, 11, days=1)
    await report(world, task, Outcome.HARDSHIP)
    await world.faulty("alipay")

    (claim,) = await claims_of(world, agreement)
    assert (claim.state, await holds(world, agreement)) == (ClaimState.OPEN, ("hardship",))
    # 16 March is a Tuesday: seven working days end on Thursday the 25th.
    assert claim.answer_due_at == at_in_china(date(2027, 3, 25), 18)
    await until_day(world, await world.instalment(agreement, 2), 3)
    assert steps(world) == [(1, "reminder"), (3, "staff_task")]
    assert await world.attempts(await world.instalment(agreement, 2)) == []

    refused = await answer(world, claim, Offer(Answer.REFUSE))
    assert (refused.state, refused.result) == (ClaimState.CLOSED, "refused")
    assert await holds(world, agreement) == ()
    await world.live(days=2)
    assert steps(world)[2][1] == "extension"


async def test_a_later_day_that_was_accepted_is_kept_like_a_promise(world):
    agreement, _ = await a_follow_up(world)
    claim = await open_claim(world, ClaimKind.HARDSHIP, agreement)
    to_day = day_in_china(world.clock.now()) + timedelta(days=20)
    answered = await answer(world, claim, Offer(Answer.POSTPONE, to_day=to_day))
    assert answered.offer_until == day_in_china(world.clock.now()) + timedelta(days=7)
    assert await holds(world, agreement) == ("hardship",)

    after = await decide(world, claim, accepted=True)

    assert (after.result, await holds(world, agreement)) == ("accepted", ())
    row = await world.instalment(agreement)
    assert row.extended_until == to_day
    await world.live_until(at_in_china(to_day, 23))
    assert len(steps(world)) == 2
    await world.live(days=1)
    assert len(steps(world)) == 3


async def test_a_pause_that_was_accepted_holds_until_it_is_entered(world):
    agreement, _ = await a_follow_up(world)
    claim = await open_claim(world, ClaimKind.HARDSHIP, agreement)
    await answer(world, claim, Offer(Answer.PAUSE, periods=2))
    after = await decide(world, claim, accepted=True)
    assert (after.state, await holds(world, agreement)) == (ClaimState.ACCEPTED, ("hardship",))

    (task,) = [t for t in await tasks_of(world, agreement) if t.kind is TaskKind.APPLY_PAUSE]
    await report(world, task, Outcome.DONE)

    (claim,) = await claims_of(world, agreement)
    assert (claim.result, await holds(world, agreement)) == ("pause_entered", ())


async def test_an_offer_that_nobody_takes_lapses_after_a_week(world):
    agreement, _ = await a_follow_up(world)
    claim = await open_claim(world, ClaimKind.HARDSHIP, agreement)
    await answer(world, claim, Offer(Answer.PAUSE, periods=1))

    await at_hour(world, 4, days=7)
    await look_after_tasks(world.deps)
    assert await holds(world, agreement) == ("hardship",)
    await at_hour(world, 4, days=1)
    await look_after_tasks(world.deps)

    (claim,) = await claims_of(world, agreement)
    assert (claim.result, await holds(world, agreement)) == ("lapsed", ())
    with pytest.raises(ClaimStateForbids):
        await decide(world, claim, accepted=True)


@pytest.mark.parametrize(
    "offer",
    [
        Offer(Answer.POSTPONE),
        Offer(Answer.POSTPONE, to_day=date(2027, 3, 1)),
        Offer(Answer.POSTPONE, to_day=date(2027, 12, 1)),
        Offer(Answer.POSTPONE, to_day=date(2027, 3, 20), periods=1),
        Offer(Answer.PAUSE),
        Offer(Answer.PAUSE, periods=3),
        Offer(Answer.REFUSE, periods=1),
        Offer(Answer.AUTHORISED),
    ],
    ids=str,
)
def test_an_offer_must_be_whole_and_within_bounds(offer):
    now = at_in_china(date(2027, 3, 16), 11)
    claim = Claim(
        claim_id=new_id(),
        kind=ClaimKind.HARDSHIP,
        agreement_id=new_id(),
        merchant_id=MERCHANT,
        customer_id=new_id(),
        instalment_id=None,
        reason="ill",
        state=ClaimState.OPEN,
        opened_at=now,
        opened_by="staff-7",
        answer_due_at=now,
    )
    with pytest.raises(OfferUnfit):
        answer_hardship(claim, offer, by="staff-8", now=now)


async def a_paid_one(world: BillingWorld) -> UUID:
    agreement = await world.signed(periods=2)
    await until_day(world, await world.instalment(agreement), 1)
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    return agreement


async def test_a_disputed_debit_counts_as_authorised_only_with_evidence(world):
    agreement = await a_paid_one(world)
    claim = await open_claim(world, ClaimKind.DISPUTE, agreement)
    same = await open_claim(world, ClaimKind.DISPUTE, agreement)
    assert (same.claim_id, await holds(world, agreement)) == (claim.claim_id, ("dispute",))

    with pytest.raises(DisputeEvidenceMissing):
        await find(world, claim, Answer.AUTHORISED)
    assert await holds(world, agreement) == ("dispute",)
    after = await find(world, claim, Answer.AUTHORISED, "mandate:1", "message:2")

    assert (after.result, after.evidence) == ("authorised", ("mandate:1", "message:2"))
    assert await holds(world, agreement) == ()
    with pytest.raises(ClaimStateForbids):
        await find(world, claim, Answer.NOT_PROVEN)


async def test_a_debit_not_proven_goes_back_in_full_within_three_working_days(world):
    agreement = await a_paid_one(world)
    claim = await open_claim(world, ClaimKind.DISPUTE, agreement)
    await find(world, claim, Answer.NOT_PROVEN)
    (task,) = await tasks_of(world, agreement)
    # Saturday 13 March: three working days end on Wednesday the 17th.
    assert (task.kind, task.due_at) == (TaskKind.REFUND_OWED, at_in_china(date(2027, 3, 17), 18))

    await refund(world, agreement, AMOUNT_FEN - 1)
    with pytest.raises(DisputeRefundMissing) as missing:
        await report(world, task, Outcome.DONE)
    assert missing.value.facts["missing_fen"] == 1
    assert await holds(world, agreement) == ("dispute",)
    await refund(world, agreement, 1)
    await report(world, task, Outcome.DONE)

    (claim,) = await claims_of(world, agreement)
    assert (claim.result, await holds(world, agreement)) == ("refunded", ())


async def refund(world: BillingWorld, agreement: UUID, amount_fen: int) -> None:
    """Send part of the first charge back through the rail."""
    row = await world.instalment(agreement)
    (attempt,) = await world.attempts(row)
    refund_id = new_id()
    async with world.db.transaction() as conn:
        await refunds.add(
            conn,
            [
                Refund(
                    refund_id=refund_id,
                    refund_no=refund_id.hex,
                    attempt_id=attempt.attempt_id,
                    instalment_id=row.instalment_id,
                    agreement_id=agreement,
                    merchant_id=MERCHANT,
                    customer_id=row.customer_id,
                    settlement_id=None,
                    rail="alipay",
                    amount_fen=amount_fen,
                    reason="误扣退回",
                    state=RefundState.WAITING,
                    created_at=world.clock.now(),
                    next_at=world.clock.now(),
                )
            ],
        )
    await world.live(minutes=30)


async def test_two_claims_hold_until_both_are_closed(world):
    agreement = await a_paid_one(world)
    first = await open_claim(world, ClaimKind.DISPUTE, agreement, 1)
    second = await open_claim(world, ClaimKind.DISPUTE, agreement, 2)

    await find(world, first, Answer.AUTHORISED, "mandate:1")
    assert await holds(world, agreement) == ("dispute",)
    found = await find(world, second, Answer.NOT_PROVEN)

    assert (found.result, await holds(world, agreement)) == ("nothing_to_refund", ())


async def test_an_overdue_task_is_escalated_once_and_counted(world):
    agreement = await misses(world, days=3)
    (task,) = await tasks_of(world, agreement)
    await at_hour(world, 4, days=2)
    assert await look_after_tasks(world.deps) == 0

    await at_hour(world, 4, days=1)
    assert await look_after_tasks(world.deps) == 1
    assert await look_after_tasks(world.deps) == 0
    await world.work()

    (told,) = world.said(TaskEscalated)
    assert (told["task_id"], told["kind"]) == (str(task.task_id), "service_call")
    assert (await tasks_of(world, agreement))[0].escalated_at == world.clock.now()
    assert OPEN.labels("service_call", "3d")._value.get() == 1
    assert [body["kind"] for body in world.said(TaskOpened)] == ["service_call"]


async def test_a_payment_while_a_promise_runs_ends_everything(world):
    agreement, task = await a_follow_up(world)
    row = await world.instalment(agreement)
    day = day_in_china(world.clock.now()) + timedelta(days=5)
    await report(world, task, Outcome.PROMISE_TO_PAY, promised_on=day)
    await world.faulty("alipay")
    payment = await pay_now(world.deps, row.pay_token, amount_fen=None)
    doc = {"trade_no": payment.client["tradeNO"]}
    await world.ask("alipay", "POST", "/users/2088000000000001/pay", doc)

    await world.live(days=20)

    (case,) = await cases(world, agreement)
    assert (case.close_reason, len(steps(world))) == ("paid", 2)
    assert await tasks_of(world, agreement) == []
