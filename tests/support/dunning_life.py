"""One customer who does not pay, and what billing does about it day by day."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from services.billing.contract import InstalmentOverdue, TaskOpened
from services.billing.domain.claim import Claim
from services.billing.domain.contact_rules import Contact, Direction, Person
from services.billing.domain.dunning_case import DunningCase
from services.billing.domain.instalment import Instalment
from services.billing.domain.task import Outcome, Result, Task
from services.billing.store import claims, contacts, dunning_cases, tasks
from services.billing.usecases.pay_now import pay_now
from services.billing.usecases.record_outcome import Told, record_outcome
from shared.calendar import at_in_china, day_in_china
from shared.ids import new_id
from tests.support.billing_builders import MERCHANT
from tests.support.billing_world import BUYER, BillingWorld
from tests.support.dunning_table import Day

NO_MONEY = {"on": "pay", "do": "decline:BUYER_BALANCE_NOT_ENOUGH", "times": 99}


async def misses(world: BillingWorld, n: int = 1, *, days: int = 1, **terms: Any) -> UUID:
    """Sign an agreement whose first period is not paid, and live until *days* after it."""
    agreement_id = await world.signed(n, **({"periods": 1} | terms))
    await world.faulty("alipay", NO_MONEY)
    await until_day(world, await world.instalment(agreement_id), days)
    return agreement_id


async def until_day(world: BillingWorld, instalment: Instalment, day: int) -> None:
    """Live until late in the evening of the given day after the missed charge."""
    await world.live_until(at_in_china(instalment.charge_on + timedelta(days=day), 23))


async def what_happened(world: BillingWorld, agreement_id: UUID, day: int, told: int) -> Day:
    """Return *day* as it was; *told* is how many events had been told before it."""
    instalment = await world.instalment(agreement_id)
    since = instalment.charge_on
    fresh = world.told[told:]
    steps = [body for subject, body in fresh if subject == InstalmentOverdue.subject]
    opened = [body["kind"] for subject, body in fresh if subject == TaskOpened.subject]
    assert len(steps) <= 1
    assert len(opened) <= 1
    step: dict[str, Any] = steps[0] if steps else {}
    assert step.get("days_late", day) == day
    found = await cases(world, agreement_id)
    return Day(
        day=day,
        rung=step.get("rung"),
        text=step.get("text", ""),
        channels=tuple(step.get("channels", ())),
        task=opened[0] if opened else None,
        extended_until_day=_number(instalment.extended_until, since),
        state=instalment.state.value,
        demanded=any(case.demanded_on is not None for case in found),
        case="none" if not found else "open" if found[-1].closed_at is None else "closed",
        collectible_fen=step.get("collectible_fen", 0),
    )


async def cases(world: BillingWorld, agreement_id: UUID) -> list[DunningCase]:
    async with world.db.connection() as conn:
        return await dunning_cases.of_agreement(conn, agreement_id)


async def tasks_of(world: BillingWorld, agreement_id: UUID, *, waiting: bool = True) -> list[Task]:
    async with world.db.connection() as conn:
        found = await tasks.of_agreement(conn, agreement_id)
    return [task for task in found if not waiting or task.closed_at is None]


async def contacts_of(world: BillingWorld, agreement_id: UUID) -> list[Contact]:
    async with world.db.connection() as conn:
        return await contacts.page(conn, MERCHANT, agreement_id, after=None, limit=100)


async def claims_of(world: BillingWorld, agreement_id: UUID) -> list[Claim]:
    async with world.db.connection() as conn:
        return await claims.of_agreement(conn, agreement_id)


def steps(world: BillingWorld) -> list[tuple[int, str]]:
    """Return (days late, rung) of every step that was told."""
    return [(body["days_late"], body["rung"]) for body in world.said(InstalmentOverdue)]


async def report(
    world: BillingWorld,
    task: Task,
    outcome: Outcome,
    *,
    promised_on: date | None = None,
    person: Person = Person.CUSTOMER,
    direction: Direction = Direction.OUTGOING,
) -> Task:
    """Report what came of a task, as staff do."""
    result = Result(outcome, "staff-7", promised_on)
    told = Told(result, contact_id=new_id(), person=person, direction=direction)
    after = await record_outcome(world.deps, task.merchant_id, task.task_id, told)
    await world.work()
    return after


async def at_hour(world: BillingWorld, hour: int, *, days: int = 0) -> None:
    """Live until this hour of today, or so many days later."""
    day = day_in_china(world.clock.now()) + timedelta(days=days)
    await world.live_until(at_in_china(day, hour))


async def pay(world: BillingWorld, agreement_id: UUID, seq: int = 1) -> None:
    """Pay one instalment by its link, as the customer does."""
    row = await world.instalment(agreement_id, seq)
    payment = await pay_now(world.deps, row.pay_token, amount_fen=None)
    doc = {"trade_no": payment.client["tradeNO"]}
    await world.ask("alipay", "POST", f"/users/{BUYER}/pay", doc)
    await world.live(minutes=10)


def _number(day: date | None, since: date) -> int | None:
    return None if day is None else (day - since).days
