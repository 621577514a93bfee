"""Refunds: within the rail's limits, followed up when they fail, tried again, told in time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.billing.contract import RefundFailed, RefundSucceeded, TaskClosed, TaskOpened
from services.billing.domain.errors import (
    RefundAboveRest,
    RefundDone,
    RefundPartsExhausted,
    RefundWindowOver,
)
from services.billing.domain.findings import Refunded, RefundPending, RefundRefused
from services.billing.domain.instalment import InstalmentState
from services.billing.domain.refund import (
    Refund,
    Refundable,
    RefundState,
    allocate,
    forbidden,
    hard_deadline,
    retry,
    settle,
)
from services.billing.usecases.look_after_tasks import look_after_tasks
from services.billing.usecases.retry_refund import retry_refund
from services.billing.usecases.watch_refunds import watch_refunds
from services.signing.contract import Rail
from services.wallet.contract import RefundRequested
from shared.api_keys import issue_key
from shared.ids import derived_id, new_id
from shared.rails.permissions import RefundLimits
from tests.billing.test_api import FOREIGN, READ, WRITE, Caller
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT, SIGNED_AT
from tests.support.billing_world import BillingWorld

CLOSED = {"on": "refund", "do": "decline:TRADE_NOT_ALLOW_REFUND"}
DEAF = {"on": "refund", "do": "http_500", "times": 9999}


@pytest.fixture
async def shop(world: BillingWorld) -> Caller:
    async with world.db.transaction() as conn:
        keys = {
            name: await issue_key(
                conn, tenant_id=tenant, scopes=scopes, name=name, now=world.clock.now()
            )
            for name, tenant, scopes in (
                ("shop", MERCHANT, [READ, WRITE]),
                ("foreign", FOREIGN, [READ, WRITE]),
                ("reader", MERCHANT, [READ]),
            )
        }
    return Caller(world, keys)


async def ask(
    world: BillingWorld, agreement: UUID, amount_fen: int, reason: str = "after_sales"
) -> None:
    await world.hear(
        RefundRequested(
            event_id=new_id(),
            occurred_at=world.clock.now(),
            settlement_id=new_id(),
            agreement_id=agreement,
            merchant_id=MERCHANT,
            customer_id=new_id(),
            amount_fen=amount_fen,
            reason=reason,
        )
    )


async def paid(world: BillingWorld, rail: Rail = Rail.ALIPAY) -> UUID:
    agreement = await world.signed(periods=1, rail=rail)
    await world.live(days=12)
    return agreement


async def rows(world: BillingWorld) -> list[dict[str, Any]]:
    async with world.db.connection() as conn:
        return [dict(row) for row in await conn.fetch("SELECT * FROM refunds ORDER BY created_at")]


async def open_tasks(world: BillingWorld) -> list[str]:
    async with world.db.connection() as conn:
        found = await conn.fetch("SELECT kind FROM tasks WHERE closed_at IS NULL ORDER BY kind")
    return [row["kind"] for row in found]


def a_refund(**changes: Any) -> Refund:
    refund = Refund(
        refund_id=derived_id("refund"),
        refund_no="R1234567",
        attempt_id=derived_id("attempt"),
        instalment_id=derived_id("instalment"),
        agreement_id=derived_id("agreement"),
        merchant_id=MERCHANT,
        customer_id=derived_id("customer"),
        settlement_id=None,
        rail="alipay",
        amount_fen=500,
        reason="售后退款",
        state=RefundState.FAILED,
        created_at=SIGNED_AT,
        next_at=None,
        tries=1,
        settled_at=SIGNED_AT,
        failure_code="TRADE_NOT_ALLOW_REFUND",
    )
    return replace(refund, **changes)


def a_charge(**changes: Any) -> Refundable:
    charge = Refundable(
        attempt_id=derived_id("attempt"),
        instalment_id=derived_id("instalment"),
        rail="wechatpay",
        free_fen=1000,
        product="wechat_prenotice",
        paid_at=SIGNED_AT,
        parts=3,
        limits=RefundLimits(days=365, per_charge=50),
    )
    return replace(charge, **changes)


@pytest.mark.parametrize(
    ("parts", "days", "code"),
    [
        (0, 0, ""),
        (49, 365, ""),
        (50, 0, "refund-parts-exhausted"),
        (0, 366, "refund-window-over"),
        (50, 366, "refund-window-over"),
    ],
)
def test_a_rail_takes_back_so_many_parts_for_so_long(parts, days, code):
    now = SIGNED_AT + timedelta(days=days)

    assert forbidden(a_charge(parts=parts), now=now) == code


def test_where_no_limit_is_known_there_is_none():
    charge = a_charge(parts=10**6, limits=RefundLimits(None, None))

    assert forbidden(charge, now=SIGNED_AT + timedelta(days=10**4)) == ""


def test_charges_that_the_rail_takes_back_no_more_come_last():
    old = a_charge(attempt_id=new_id(), paid_at=SIGNED_AT - timedelta(days=400))
    new = a_charge(attempt_id=new_id())

    assert allocate(1500, [old, new], now=SIGNED_AT) == [(new, 1000), (old, 500)]


def test_only_a_failed_refund_that_fits_waits_again():
    again = retry(a_refund(), a_charge(free_fen=500), now=SIGNED_AT)

    assert (again.state, again.next_at, again.failure_code, again.settled_at) == (
        RefundState.WAITING,
        SIGNED_AT,
        None,
        None,
    )
    assert again.refund_no == a_refund().refund_no
    for state in (RefundState.WAITING, RefundState.SENT):
        sooner = retry(a_refund(state=state), a_charge(free_fen=0), now=SIGNED_AT)
        assert (sooner.state, sooner.next_at) == (state, SIGNED_AT)


@pytest.mark.parametrize(
    ("refund", "charge", "problem"),
    [
        (a_refund(state=RefundState.SUCCEEDED), a_charge(), RefundDone),
        (a_refund(), a_charge(free_fen=499), RefundAboveRest),
        (a_refund(), a_charge(parts=50), RefundPartsExhausted),
        (a_refund(), a_charge(paid_at=SIGNED_AT - timedelta(days=366)), RefundWindowOver),
    ],
    ids=["done", "above_rest", "parts", "window"],
)
def test_what_cannot_be_tried_again_says_why(refund, charge, problem):
    with pytest.raises(problem) as said:
        retry(refund, charge, now=SIGNED_AT)

    assert said.value.facts.get("rest_fen", 499) == 499


def test_while_a_refund_waits_only_success_counts():
    waiting = a_refund(state=RefundState.WAITING, settled_at=None, failure_code=None)

    for finding in (RefundRefused("OLD", final=True), RefundPending()):
        assert settle(waiting, finding, now=SIGNED_AT) == waiting
    assert settle(waiting, Refunded(), now=SIGNED_AT).state is RefundState.SUCCEEDED


@pytest.mark.parametrize(
    ("reason", "days"),
    [("seven_days", 5), ("cancelled", 5), ("terminated", 15), ("after_sales", 15), ("", 15)],
)
def test_the_law_says_until_when_money_must_be_back(reason, days):
    assert hard_deadline(SIGNED_AT, reason) == SIGNED_AT + timedelta(days=days)


@pytest.mark.parametrize("rail", Rail)
async def test_parts_go_back_one_after_the_other_until_nothing_is_left(world, rail):
    agreement = await paid(world, rail)
    for amount_fen in (5000, 900, AMOUNT_FEN - 5900):
        await ask(world, agreement, amount_fen)
    assert [row["state"] for row in await rows(world)] == ["waiting"] * 3

    await world.live(days=1)

    assert {row["state"] for row in await rows(world)} == {"succeeded"}
    assert (await world.books(rail.value))["refunded_fen"] == AMOUNT_FEN
    assert (await world.instalment(agreement)).state is InstalmentState.REFUNDED
    assert len(world.said(RefundSucceeded)) == 3


async def test_the_second_refund_of_a_charge_waits_for_the_first(world):
    agreement = await paid(world)
    await world.faulty("alipay", DEAF)
    await ask(world, agreement, 1000)
    await ask(world, agreement, 2000)

    await world.live(hours=2)
    assert sorted(row["state"] for row in await rows(world)) == ["sent", "waiting"]

    await world.faulty("alipay")
    await world.live(hours=2)

    assert {row["state"] for row in await rows(world)} == {"succeeded"}
    assert (await world.books("alipay"))["refunded_fen"] == 3000


async def test_a_failed_refund_is_tried_again_and_the_money_goes_back_once(shop):
    world = shop.world
    agreement = await paid(world)
    await world.faulty("alipay", CLOSED)
    await ask(world, agreement, 1000)
    await world.live(hours=1)
    (row,) = await rows(world)
    assert (row["state"], row["failure_code"]) == ("failed", "TRADE_NOT_ALLOW_REFUND")
    assert await open_tasks(world) == ["refund_failed"]
    path = f"/v1/refunds/{row['refund_id']}"

    status, again = await shop.ask("POST", f"{path}/retry", body={"recorded_by": "s-1"})
    assert (status, again["state"], again["refund_no"]) == (200, "waiting", row["refund_no"])
    assert await open_tasks(world) == []
    await world.live(hours=1)

    status, done = await shop.ask("GET", path)
    assert (status, done["state"], done["failure_code"]) == (200, "succeeded", None)
    assert (await world.books("alipay"))["refunded_fen"] == 1000
    assert len(world.said(RefundFailed)) == len(world.said(RefundSucceeded)) == 1
    status, problem = await shop.ask("POST", f"{path}/retry", body={"recorded_by": "s-1"})
    assert (status, problem["code"]) == (409, "refund-done")
    _, story = await shop.ask("GET", f"/v1/instalments/{row['instalment_id']}/explain")
    moves = [(m["from_state"], m["to_state"]) for m in story["history"] if m["thing"] == "refund"]
    assert moves == [
        ("", "waiting"),
        ("sent", "failed"),
        ("failed", "waiting"),
        ("sent", "succeeded"),
    ]


async def test_every_failure_is_told_and_asks_a_person_again(world):
    agreement = await paid(world)
    await world.faulty("alipay", CLOSED | {"times": 2})
    await ask(world, agreement, 1000)
    await world.live(hours=1)
    (row,) = await rows(world)

    await retry_refund(world.deps, MERCHANT, row["refund_id"], by="s-1")
    await world.live(hours=1)
    assert len({said["event_id"] for said in world.said(RefundFailed)}) == 2
    assert await open_tasks(world) == ["refund_failed"]
    await retry_refund(world.deps, MERCHANT, row["refund_id"], by="s-1")
    await world.live(hours=1)

    assert await open_tasks(world) == []
    assert len(world.said(TaskOpened)) == len(world.said(TaskClosed)) == 2
    assert (await world.books("alipay"))["refunded_fen"] == 1000


async def test_a_retry_never_takes_what_another_refund_was_given(world):
    agreement = await paid(world)
    await world.faulty("alipay", CLOSED)
    await ask(world, agreement, 15000)
    await world.live(hours=1)
    (failed,) = await rows(world)
    await ask(world, agreement, 15000)
    await world.live(hours=1)

    with pytest.raises(RefundAboveRest) as said:
        await retry_refund(world.deps, MERCHANT, failed["refund_id"], by="s-1")

    assert said.value.facts["rest_fen"] == AMOUNT_FEN - 15000
    await world.live(days=1)
    assert (await world.books("alipay"))["refunded_fen"] == 15000


async def test_foreign_unknown_and_narrow_callers_change_nothing(shop):
    world = shop.world
    agreement = await paid(world)
    await world.faulty("alipay", CLOSED)
    await ask(world, agreement, 1000)
    await world.live(hours=1)
    (row,) = await rows(world)
    body = {"recorded_by": "s-1"}
    path = f"/v1/refunds/{row['refund_id']}"

    for method, url, who in (
        ("GET", path, "foreign"),
        ("POST", f"{path}/retry", "foreign"),
        ("GET", f"/v1/refunds/{new_id()}", "shop"),
        ("POST", f"/v1/refunds/{new_id()}/retry", "shop"),
    ):
        status, problem = await shop.ask(method, url, who=who, body=body)
        assert (status, problem["code"]) == (404, "refund-unknown"), url
    assert (await shop.ask("POST", f"{path}/retry", who="reader", body=body))[0] == 403
    assert (await shop.ask("POST", f"{path}/retry", body={}))[0] == 400
    assert (await rows(world))[0]["state"] == "failed"
    _, page = await shop.ask("GET", "/v1/refunds?state=failed")
    assert [one["refund_id"] for one in page["items"]] == [str(row["refund_id"])]


async def test_what_the_rail_takes_back_no_more_fails_at_once_for_all_to_see(world):
    agreement = await paid(world)
    world.clock.set(world.clock.now() + timedelta(days=100))

    await ask(world, agreement, 1000)
    await world.work()

    (row,) = await rows(world)
    assert (row["state"], row["failure_code"], row["tries"]) == (
        "failed",
        "refund-window-over",
        0,
    )
    assert [said["reason"] for said in world.said(RefundFailed)] == ["refund-window-over"]
    assert "refund_failed" in await open_tasks(world)
    with pytest.raises(RefundWindowOver):
        await retry_refund(world.deps, MERCHANT, row["refund_id"], by="s-1")
    assert (await world.books("alipay"))["refunded_fen"] == 0


async def test_money_that_does_not_come_back_is_told_by_the_target_and_by_the_law(world):
    agreement = await paid(world)
    await world.faulty("alipay", DEAF)
    await ask(world, agreement, 1000, reason="seven_days")
    asked_at = world.clock.now()

    seen = []
    for days in (2, 3.5, 4.5, 6):
        world.clock.set(asked_at + timedelta(days=days))
        await watch_refunds(world.deps)
        await watch_refunds(world.deps)
        seen.append(await open_tasks(world))
    assert seen == [
        [],
        ["refund_failed"],
        ["refund_failed", "refund_late"],
        ["refund_failed", "refund_late"],
    ]
    async with world.db.connection() as conn:
        due = {row["due_at"] for row in await conn.fetch("SELECT due_at FROM tasks")}
    assert due == {asked_at + timedelta(days=5)}
    assert await look_after_tasks(world.deps) == 2

    await world.faulty("alipay")
    await world.live(hours=1)
    assert await open_tasks(world) == []
    assert (await world.books("alipay"))["refunded_fen"] == 1000
