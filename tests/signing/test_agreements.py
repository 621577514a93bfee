"""Agreements after they were signed: cooling off, ending, and the mandate that goes along."""

from dataclasses import replace
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest

from services.billing.contract import AgreementFullyPaid
from services.fulfillment.contract import ShipmentDispatched
from services.signing.contract import Rail
from services.signing.domain.mandate import MandateState
from services.signing.gateways.wechatpay import WechatMandates
from services.signing.store import mandates
from services.signing.usecases.ask_providers import sweep_mandates
from services.signing.usecases.check_invariants import check_invariants
from services.signing.usecases.end_agreement import note_fully_paid, note_shipped
from shared.ids import new_id
from shared.rails.outcome import Refused
from shared.rails.wechatpay import WechatPayClient
from tests.support.signing_builders import NOON, PAYERS


async def rail_states(shop, rail):
    kind = "agreements" if rail == "alipay" else "contracts"
    books = await shop.sandbox(rail, "GET", f"/_sandbox/books?kind={kind}", None)
    return [row.get("status", row.get("state")) for row in books[kind]]


async def test_it_becomes_active_after_48_hours_of_the_clock(shop):
    agreement = await shop.agreement()
    path = f"/v1/agreements/{agreement['agreement_id']}"
    await shop.said()

    await shop.pass_time(hours=47, minutes=59)
    assert (await shop.ok("GET", path))["state"] == "cooling_off"
    await shop.pass_time(minutes=1)

    assert (await shop.ok("GET", path))["state"] == "active"
    assert await shop.said() == ["agreement.activated.v1"]


@pytest.mark.parametrize("rail", ["alipay", "wechatpay", "bankcard"])
async def test_cancelled_in_time_costs_nothing_and_closes_the_mandate(shop, rail):
    agreement = await shop.agreement(rail)
    path = f"/v1/agreements/{agreement['agreement_id']}"
    await shop.said()

    await shop.pass_time(hours=47)
    cancelled = await shop.ok("POST", f"{path}/cancellation")
    await shop.pass_time(minutes=2)

    assert (cancelled["state"], cancelled["penalty_fen"]) == ("cancelled", 0)
    assert await shop.mandate_state(agreement["agreement_id"]) == "closed"
    assert await rail_states(shop, rail) == [
        {"alipay": "UNSIGN", "wechatpay": "1", "bankcard": "ENDED"}[rail]
    ]
    assert await shop.said() == ["agreement.cancelled.v1", "mandate.closed.v1"]


async def test_after_48_hours_it_can_only_be_terminated(shop):
    agreement = await shop.agreement()
    path = f"/v1/agreements/{agreement['agreement_id']}"
    await shop.pass_time(hours=48)

    late = await shop.call("POST", f"{path}/cancellation")
    loss = [{"item": "首期赠品", "amount_fen": 10_000, "evidence_ref": "inv-1"}]
    body = {"reason": "customer_wish", "loss": loss}
    ended = await shop.ok("POST", f"{path}/termination", body)
    again = await shop.ok("POST", f"{path}/termination", body)

    assert (late.status, late.body["code"]) == (409, "cooling-off-over")
    # 130 % of 100 yuan is less than 10 % of 3,588 yuan.
    assert (ended["state"], ended["penalty_fen"]) == ("terminated", 13_000)
    assert again == ended


async def test_a_mandate_that_the_rail_will_not_close_is_tried_again(shop):
    agreement = await shop.agreement()
    steps = [{"on": "unsign", "do": "http_500", "times": 2}]
    await shop.sandbox("alipay", "PUT", "/_sandbox/faults/2088000000000001", {"steps": steps})
    await shop.ok("POST", f"/v1/agreements/{agreement['agreement_id']}/cancellation")

    await shop.settle()
    assert await shop.mandate_state(agreement["agreement_id"]) == "closing"
    await shop.pass_time(minutes=1)
    await shop.pass_time(minutes=10)
    await shop.pass_time(hours=1)

    assert await shop.mandate_state(agreement["agreement_id"]) == "closed"
    assert await rail_states(shop, "alipay") == ["UNSIGN"]


@pytest.mark.parametrize("rail", ["alipay", "wechatpay", "bankcard"])
async def test_the_customer_may_revoke_at_the_rail(shop, rail):
    agreement = await shop.agreement(rail)
    await shop.said()
    await shop.pass_time(hours=49)
    async with shop.db.connection() as conn:
        number = await conn.fetchval("SELECT rail_agreement_no FROM mandates")
    user = PAYERS[rail]
    names = {"alipay": "agreement_no", "wechatpay": "contract_id", "bankcard": "contract_no"}
    name = names[rail]

    await shop.sandbox(rail, "POST", f"/_sandbox/users/{user}/unsign", {name: number})
    await shop.settle()

    assert await shop.mandate_state(agreement["agreement_id"]) == "revoked"
    found = await shop.ok("GET", f"/v1/agreements/{agreement['agreement_id']}")
    assert found["state"] == "active"
    assert await shop.said() == ["agreement.activated.v1", "mandate.revoked.v1"]


async def test_the_sweep_finds_what_nobody_told_us(shop):
    agreement = await shop.agreement("wechatpay")
    steps = [{"on": "notify", "do": "drop", "times": 9}]
    user = "oWx0000000000000000000000001"
    await shop.sandbox("wechatpay", "PUT", f"/_sandbox/faults/{user}", {"steps": steps})
    async with shop.db.connection() as conn:
        number = await conn.fetchval("SELECT rail_agreement_no FROM mandates")
    path = f"/_sandbox/users/{user}/unsign"
    await shop.sandbox("wechatpay", "POST", path, {"contract_id": number})
    await shop.settle()
    assert await shop.mandate_state(agreement["agreement_id"]) == "active"

    shop.clock.advance(hours=1)
    assert await sweep_mandates(shop.deps) == 1

    assert await shop.mandate_state(agreement["agreement_id"]) == "revoked"


class Gibberish:
    """A rail whose answers nobody can read."""

    async def look(self, mandate, *, now):
        raise ValueError(f"Invalid isoformat string of {mandate.mandate_id} at {now}")


async def test_an_answer_that_nobody_can_read_does_not_stop_the_sweep(shop):
    agreement = await shop.agreement("wechatpay")
    odd = replace(shop.deps, rails={**shop.deps.rails, Rail.WECHATPAY: Gibberish()})

    assert await sweep_mandates(odd) == 1

    assert await shop.mandate_state(agreement["agreement_id"]) == "active"


class Refusing:
    """WeChat Pay refusing to answer for a reason that says nothing of the contract."""

    def __init__(self, code):
        self.code = code

    async def call_v2(self, path, fields):
        assert path == "/papay/querycontract"
        assert fields
        return Refused(self.code)


@pytest.mark.parametrize(
    ("code", "gone"), [("CONTRACT_NOT_EXIST", True), ("RETURN_FAIL", False), ("SIGNERROR", False)]
)
async def test_a_contract_is_gone_only_if_the_rail_says_so(shop, code, gone):
    await shop.agreement("wechatpay")
    async with shop.db.connection() as conn:
        (standing,) = await mandates.active(conn, after=UUID(int=0), limit=1)
    unheard = replace(standing, state=MandateState.CLOSING, rail_agreement_no="")
    rail = WechatMandates(cast("WechatPayClient", Refusing(code)), plan_id="1", notify_url="")

    ended = await rail.end(unheard, now=NOON)

    assert (ended is not None) is gone


def paid(agreement):
    return AgreementFullyPaid(
        event_id=new_id(),
        occurred_at=NOON,
        agreement_id=UUID(agreement["agreement_id"]),
        merchant_id=UUID(agreement["merchant_id"]),
        customer_id=UUID(agreement["customer_id"]),
    )


def shipped(agreement, seq):
    return ShipmentDispatched(
        event_id=new_id(),
        occurred_at=NOON + timedelta(days=seq),
        shipment_id=new_id(),
        instalment_id=new_id(),
        agreement_id=UUID(agreement["agreement_id"]),
        merchant_id=UUID(agreement["merchant_id"]),
        customer_id=UUID(agreement["customer_id"]),
        seq=seq,
        carrier="zto",
        tracking_no="1",
        supply_cost_fen=1,
        items=(),
    )


@pytest.mark.parametrize("paid_first", [True, False])
async def test_it_is_complete_when_paid_and_shipped_in_any_order_and_twice(shop, paid_first):
    agreement = await shop.agreement()
    await shop.pass_time(hours=48)
    await shop.said()
    parcels = [shipped(agreement, seq) for seq in range(1, 13)]

    async def pay():
        async with shop.db.transaction() as conn:
            await note_fully_paid(conn, paid(agreement), shop.deps)

    async def ship():
        async with shop.db.transaction() as conn:
            await note_shipped(conn, parcels, shop.deps)

    for step in (pay, ship) if paid_first else (ship, pay):
        assert await shop.said() == []
        await step()
    await pay()
    await ship()
    await shop.pass_time(minutes=2)

    assert await shop.said() == ["agreement.completed.v1", "mandate.closed.v1"]
    assert await shop.mandate_state(agreement["agreement_id"]) == "closed"


async def test_eleven_parcels_do_not_complete_twelve_periods(shop):
    agreement = await shop.agreement()
    await shop.pass_time(hours=48)
    async with shop.db.transaction() as conn:
        await note_fully_paid(conn, paid(agreement), shop.deps)
        await note_shipped(conn, [shipped(agreement, seq) for seq in range(1, 12)], shop.deps)

    found = await shop.ok("GET", f"/v1/agreements/{agreement['agreement_id']}")
    assert found["state"] == "active"


async def test_the_history_tells_who_and_why(shop):
    agreement = await shop.agreement()
    path = f"/v1/agreements/{agreement['agreement_id']}"
    await shop.ok("POST", f"{path}/termination", {"reason": "pet_lost"})

    moves = (await shop.ok("GET", f"{path}/history"))["moves"]
    last = [move for move in moves if move["thing"] == "agreement"][-1]

    assert (last["from_state"], last["to_state"]) == ("cooling_off", "terminated")
    assert last["reason"] == "pet_lost"
    assert last["actor"].startswith("key:")


async def test_the_invariants_hold_and_notice_a_breach(shop):
    agreement = await shop.agreement()
    assert await check_invariants(shop.deps) == 0

    async with shop.db.transaction() as conn:
        await conn.execute(
            "UPDATE agreements SET total_fen = total_fen + 1 WHERE agreement_id = $1",
            UUID(agreement["agreement_id"]),
        )
    assert await check_invariants(shop.deps) == 1
