"""The ladder's rules: what is owed, hours, caps, promises, holds, and what ends it."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.contract import (
    InstalmentOverdue,
    RiskCleared,
    RiskFlagged,
    TaskClosed,
    TaskOpened,
)
from services.billing.domain.agreement import Agreement
from services.billing.domain.collectible import Balance, LegalType, collectible
from services.billing.domain.contact_rules import (
    Contact,
    ContactKind,
    ContactRefusal,
    Direction,
    Person,
    inside_hours,
    next_allowed,
    refusals,
)
from services.billing.domain.dunning import FAST, POLICIES, steps_as_json, steps_from_json
from services.billing.domain.dunning_case import DunningCase, DunningFacts, Verdict, decide
from services.billing.domain.errors import AgreementUnknown, RiskNotFlagged
from services.billing.domain.instalment import InstalmentState
from services.billing.domain.task import TaskKind
from services.billing.domain.working_days import after_working_days
from services.billing.usecases.choose_policy import choose_policy
from services.billing.usecases.clear_risk import clear_risk
from services.billing.usecases.climb_dunning import climb_dunning
from services.billing.usecases.hold_agreement import hold_agreement, release_agreement
from services.notify.contract import MessageAccepted, MessageDelivered
from services.signing.contract import AgreementTerminated
from shared.calendar import CHINA, at_in_china, day_in_china
from shared.ids import derived_id, new_id
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT, an_agreement, an_instalment
from tests.support.billing_world import BillingWorld
from tests.support.dunning_life import (
    NO_MONEY,
    cases,
    contacts_of,
    misses,
    pay,
    steps,
    tasks_of,
    until_day,
)

SINCE = date(2027, 3, 12)


def a_contact(at: datetime, kind: ContactKind = ContactKind.MESSAGE, **changes: object) -> Contact:
    fields: dict[str, object] = {
        "contact_id": new_id(),
        "merchant_id": MERCHANT,
        "customer_id": derived_id("customer", 1),
        "agreement_id": derived_id("agreement", 1),
        "instalment_id": None,
        "task_id": None,
        "kind": kind,
        "direction": Direction.OUTGOING,
        "channels": ("sms",),
        "about": "reminder.1",
        "outcome": None,
        "made_by": "test",
        "made_at": at,
    }
    return Contact(**(fields | changes))  # type: ignore[arg-type]  # built by name


def facts(
    *,
    rung: int = 0,
    contacts: list[Contact] | None = None,
    owed: int = AMOUNT_FEN,
    agreement: Agreement | None = None,
    state: InstalmentState = InstalmentState.OVERDUE,
    demanded_on: date | None = None,
    promised_on: date | None = None,
) -> DunningFacts:
    instalment = an_instalment(state=state, rung=rung, overdue_since=SINCE)
    case = DunningCase(
        case_id=derived_id("case", 1),
        instalment_id=instalment.instalment_id,
        agreement_id=instalment.agreement_id,
        merchant_id=instalment.merchant_id,
        customer_id=instalment.customer_id,
        overdue_since=SINCE,
        preset="fast",
        preset_version=1,
        merchant_version=0,
        ladder=FAST,
        opened_at=at_in_china(SINCE, 10),
        demanded_on=demanded_on,
        promised_on=promised_on,
    )
    return DunningFacts(instalment, agreement or an_agreement(), case, contacts or [], owed)


def day(number: int, hour: int = 10) -> datetime:
    return at_in_china(SINCE + timedelta(days=number), hour)


@pytest.mark.parametrize(
    ("legal_type", "delivered", "paid", "overdue", "owed"),
    [
        (LegalType.PREPAID, 0, 0, 19900, 0),
        (LegalType.PREPAID, 12000, 19900, 19900, 0),
        (LegalType.PREPAID, 24000, 19900, 19900, 4100),
        (LegalType.PREPAID, 90000, 19900, 19900, 19900),
        (LegalType.INSTALMENT_SALE, 0, 0, 19900, 19900),
        (LegalType.INSTALMENT_SALE, 0, 39800, 0, 0),
        (LegalType.LICENSED_LOAN, 0, 0, 39800, 39800),
    ],
)
def test_what_is_collectible(legal_type, delivered, paid, overdue, owed):
    assert collectible(legal_type, Balance(delivered, paid, overdue)) == owed


def test_a_step_waits_for_its_day_and_its_hour():
    assert decide(facts(), now=day(0)).until == day(1)
    assert decide(facts(), now=day(1)).verdict is Verdict.TAKE
    night = decide(facts(), now=day(1, 23))
    assert (night.verdict, night.until, night.why) == (Verdict.WAIT, day(2), "quiet_hours")
    early = decide(facts(), now=day(2, 7))
    assert (early.verdict, early.until) == (Verdict.WAIT, day(2))


def test_a_promise_and_a_hold_stop_the_ladder():
    promised = decide(facts(promised_on=SINCE + timedelta(days=5)), now=day(1))
    assert (promised.until, promised.why) == (day(6), "promised")
    held = decide(facts(agreement=an_agreement(holds=("dispute",))), now=day(1))
    assert (held.until, held.why) == (day(2), "on_hold")


def test_what_nobody_owes_is_not_pursued():
    assert decide(facts(rung=3, owed=0), now=day(15)).verdict is Verdict.SKIP
    assert decide(facts(rung=4, owed=0), now=day(30)).verdict is Verdict.SKIP
    assert decide(facts(rung=0, owed=0), now=day(1)).verdict is Verdict.TAKE


def test_the_lawful_step_needs_a_demand_and_fifteen_days():
    """Rule DN-08; a demand left out while nothing was owed is made up for."""
    assert decide(facts(rung=4), now=day(30)).verdict is Verdict.DEMAND
    young = decide(facts(rung=4, demanded_on=SINCE + timedelta(days=20)), now=day(30))
    assert (young.verdict, young.until) == (Verdict.WAIT, day(35))
    old = decide(facts(rung=4, demanded_on=SINCE + timedelta(days=15)), now=day(30))
    assert old.verdict is Verdict.TAKE


def test_a_settled_instalment_and_a_ladder_at_its_top_end():
    assert decide(facts(state=InstalmentState.PAID), now=day(1)).verdict is Verdict.END
    assert decide(facts(rung=5), now=day(60)).verdict is Verdict.END


@given(
    st.lists(st.integers(0, 24 * 14), max_size=12),
    st.integers(0, 24 * 14),
    st.sampled_from(ContactKind),
)
def test_nobody_is_spoken_to_too_often_or_at_night(hours, now_hour, kind):
    begin = at_in_china(SINCE, 0)
    past = [a_contact(begin + timedelta(hours=h), kind) for h in hours]
    now = begin + timedelta(hours=now_hour)

    found = next_allowed(kind, past, now=now)

    assert found >= now
    assert inside_hours(found)
    assert 8 <= found.astimezone(CHINA).hour < 22
    assert refusals(kind, Person.CUSTOMER, past, now=found) == ()
    if found > now:
        assert refusals(kind, Person.CUSTOMER, past, now=now) != ()


def test_every_reason_against_a_contact_has_its_code():
    noon = day(1, 12)
    called = [a_contact(noon - timedelta(days=k), ContactKind.CALL) for k in range(3)]
    found = refusals(
        ContactKind.CALL, Person.FAMILY, called, holds=("hardship",), now=noon.replace(hour=15)
    )
    assert set(found) == set(ContactRefusal)
    assert refusals(ContactKind.MESSAGE, Person.CUSTOMER, called, now=noon) == ()
    own = [replace(one, direction=Direction.INCOMING) for one in called]
    assert refusals(ContactKind.CALL, Person.CUSTOMER, own, now=noon) == ()


def test_working_days_leave_weekends_out():
    friday = at_in_china(date(2027, 3, 12), 23)
    assert after_working_days(friday, 1) == at_in_china(date(2027, 3, 15), 18)
    assert after_working_days(friday, 7) == at_in_china(date(2027, 3, 23), 18)
    saturday = at_in_china(date(2027, 3, 13), 9)
    assert after_working_days(saturday, 3) == at_in_china(date(2027, 3, 17), 18)


def test_a_ladder_survives_being_kept():
    for policy in POLICIES.values():
        assert steps_from_json(steps_as_json(policy.steps)) == policy.steps


async def choose(world: BillingWorld, preset: str) -> None:
    async with world.db.transaction() as conn:
        await choose_policy(conn, world.deps, MERCHANT, preset=preset, reason="asked", by="test")


async def test_a_running_case_keeps_its_ladder_and_a_new_one_takes_the_choice(world):
    first = await misses(world, days=2)
    await choose(world, "gentle")
    await choose(world, "gentle")
    await until_day(world, await world.instalment(first), 8)
    assert steps(world) == [(1, "reminder"), (3, "staff_task"), (7, "extension")]

    second = await world.signed(2, periods=1, first_due=date(2027, 4, 12))
    await until_day(world, await world.instalment(second), 4)

    assert steps(world)[3:] == [(1, "reminder"), (3, "reminder")]
    (old,), (new,) = await cases(world, first), await cases(world, second)
    assert (old.preset, old.merchant_version) == ("fast", 0)
    assert (new.preset, new.merchant_version) == ("gentle", 1)


async def test_a_payment_ends_case_and_tasks_and_says_so(world):
    agreement = await misses(world, days=3)
    (task,) = await tasks_of(world, agreement)
    await world.faulty("alipay")
    await pay(world, agreement)

    (case,) = await cases(world, agreement)
    assert (case.close_reason, await tasks_of(world, agreement)) == ("paid", [])
    (closed,) = world.said(TaskClosed)
    assert (closed["task_id"], closed["outcome"]) == (str(task.task_id), "paid")
    await world.live(days=40)
    assert len(steps(world)) == 2


async def test_an_ended_agreement_is_not_dunned(world):
    agreement = await misses(world, days=3)
    row = await world.instalment(agreement)
    await world.hear(
        AgreementTerminated(
            event_id=new_id(),
            occurred_at=world.clock.now(),
            agreement_id=agreement,
            merchant_id=MERCHANT,
            customer_id=row.customer_id,
            reason="customer",
        )
    )

    await world.live(days=30)

    (case,) = await cases(world, agreement)
    assert (case.close_reason, await tasks_of(world, agreement)) == ("ended", [])
    assert len(steps(world)) == 2


async def test_a_hold_moves_the_ladder_and_drops_nothing(world):
    agreement = await misses(world, days=2)
    async with world.db.transaction() as conn:
        await hold_agreement(conn, MERCHANT, agreement, "pet_claim", clock=world.clock)
    row = await world.instalment(agreement)
    await until_day(world, row, 9)
    assert steps(world) == [(1, "reminder")]

    async with world.db.transaction() as conn:
        await release_agreement(conn, MERCHANT, agreement, "pet_claim", clock=world.clock)
    await until_day(world, row, 12)

    assert steps(world) == [(1, "reminder"), (10, "staff_task"), (10, "extension")]


async def test_two_agreements_of_one_customer_share_the_caps(world):
    """Messages of a day and a week are counted by customer, whatever they are about."""
    await choose(world, "gentle")
    one = await misses(world, days=0)
    customer = (await world.instalment(one)).customer_id
    two = await world.signed(2, periods=1, customer_id=customer, first_due=date(2027, 3, 12))
    await until_day(world, await world.instalment(two), 30)

    made = [*await contacts_of(world, one), *await contacts_of(world, two)]
    days = sorted(day_in_china(contact.made_at) for contact in made)
    assert len(days) == len(set(days)) == 6
    for first in days:
        assert sum(first <= other < first + timedelta(days=7) for other in days) <= 3


async def test_a_service_that_was_down_at_ten_waits_for_the_morning(world):
    agreement = await misses(world, days=0)
    row = await world.instalment(agreement)
    world.clock.set(at_in_china(row.charge_on + timedelta(days=1), 22))

    assert await climb_dunning(world.deps) == 1

    row = await world.instalment(agreement)
    assert row.next_dunning_at == at_in_china(row.charge_on + timedelta(days=2), 10)
    assert await contacts_of(world, agreement) == []


async def test_two_climbers_at_once_take_a_step_once(world):
    agreement = await misses(world, days=0)
    row = await world.instalment(agreement)
    world.clock.set(at_in_china(row.charge_on + timedelta(days=1), 10))

    await asyncio.gather(*(climb_dunning(world.deps) for _ in range(4)))
    await world.work()

    assert len(world.said(InstalmentOverdue)) == len(await contacts_of(world, agreement)) == 1


async def test_receipts_of_what_was_told_are_kept_in_any_order(world):
    agreement = await misses(world, days=1)
    row = await world.instalment(agreement)
    at = world.clock.now()
    common = {
        "occurred_at": at,
        "message_id": derived_id("message", 1),
        "cause": "instalment.overdue.reminder.1",
        "cause_id": row.instalment_id,
        "merchant_id": MERCHANT,
        "customer_id": row.customer_id,
        "channel": "sms",
        "provider": "test",
    }
    for _ in range(2):
        await world.hear(MessageDelivered(event_id=new_id(), delivered_at=at, **common))
        await world.hear(
            MessageAccepted(event_id=new_id(), provider_message_id="1", accepted_at=at, **common)
        )
    async with world.db.connection() as conn:
        rows = await conn.fetch("SELECT accepted_at, delivered_at FROM message_proofs")
    assert [tuple(row) for row in rows] == [(at, at)]


async def test_two_missed_periods_in_a_row_ask_a_person_until_it_is_clear(world):
    agreement = await world.signed(periods=4)
    await world.faulty("alipay", NO_MONEY)
    await until_day(world, await world.instalment(agreement, 2), 2)

    assert len(world.said(RiskFlagged)) == 1
    checks = [t for t in await tasks_of(world, agreement) if t.kind is TaskKind.MANUAL_CHECK]
    assert len(checks) == 1

    async with world.db.transaction() as conn:
        after = await clear_risk(
            conn, world.deps, MERCHANT, agreement, reason="talked", by="staff-7"
        )
    await world.work()
    assert (after.flagged_at, after.failed_periods) == (None, 0)
    assert len(world.said(RiskCleared)) == 1
    closed = {body["task_id"]: body["outcome"] for body in world.said(TaskClosed)}
    assert closed[str(checks[0].task_id)] == "cleared"
    opened = [body["kind"] for body in world.said(TaskOpened)]
    assert opened.count("manual_check") == 1

    # Charges go on: the third period is tried again by itself.
    await world.faulty("alipay")
    await until_day(world, await world.instalment(agreement, 3), 1)
    assert (await world.instalment(agreement, 3)).state is InstalmentState.PAID


async def test_a_flag_is_cleared_once_and_by_its_own_merchant(world):
    agreement = await world.signed(periods=1)
    for merchant, error in ((derived_id("other"), AgreementUnknown), (MERCHANT, RiskNotFlagged)):
        with pytest.raises(error):
            async with world.db.transaction() as conn:
                await clear_risk(conn, world.deps, merchant, agreement, reason="why", by="staff-7")
