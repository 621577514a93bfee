"""Previews equal what is done, several instalments are paid at once, and what is refused."""

from datetime import date, timedelta

import pytest

from services.billing.contract import ChargeCollected, InstalmentPostponed
from services.billing.domain.instalment import InstalmentState
from services.billing.store import invariants
from services.signing.contract import AgreementCancelled, LineKind, Rail, SignedLine
from services.wallet.contract import HoldCaptured
from shared.api_keys import issue_key
from shared.calendar import at_in_china
from shared.ids import derived_id, new_id
from tests.billing.test_api import FOREIGN, READ, WRITE, Caller
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT, a_signing, agreement_id
from tests.support.billing_world import BUYER
from tests.support.change_builders import a_pause, an_amendment

AGREED = {"agreed": True, "text_version": "postpone-1"}
APRIL = at_in_china(date(2027, 3, 20), 12)


@pytest.fixture
async def shop(world):
    async with world.db.transaction() as conn:
        made = {
            name: await issue_key(
                conn, tenant_id=tenant, scopes=[READ, WRITE], name=name, now=world.clock.now()
            )
            for name, tenant in (("shop", MERCHANT), ("foreign", FOREIGN))
        }
    return Caller(world, made)


async def promises(world):
    async with world.db.connection() as conn:
        return await invariants.broken(conn, stuck_before=world.clock.now() - timedelta(days=2))


async def pay_all_of(world, order):
    for payment in order["payments"]:
        number = payment["client"].get("trade_no") or payment["client"].get("tradeNO")
        await world.ask("alipay", "POST", f"/users/{BUYER}/pay", {"trade_no": number})
    await world.work()


async def test_a_pause_does_exactly_what_its_preview_told(shop):
    world = shop.world
    agreement = await world.signed()
    await world.live_until(APRIL)
    path = f"/v1/agreements/{agreement}/pause/preview"

    status, told = await shop.ask("POST", path, body={"periods": 2})
    before = await world.instalments(agreement)
    await world.hear(a_pause(periods=2))
    after = await world.instalments(agreement)

    assert status == 200
    assert [line["seq"] for line in told["lines"]] == [2, 3]
    assert all("CT-14" in line["source"] for line in told["lines"])
    assert [
        (line["due_on_before"], line["due_on"], line["charge_on"], line["amount_fen"])
        for line in told["lines"]
    ] == [
        (str(was.due_on), str(now.due_on), str(now.charge_on), now.amount_fen)
        for was, now in list(zip(before, after, strict=True))[1:]
    ]
    status, again = await shop.ask("POST", path, body={"periods": 1})
    assert (status, again["code"]) == (409, "pause-not-possible")


@pytest.mark.parametrize(
    "change",
    [
        {"charge_day": 3},
        {"from_seq": 3, "amount_fen": 21000},
        {"charge_day": 28, "from_seq": 2, "amount_fen": 15000},
    ],
)
async def test_an_amendment_does_exactly_what_its_preview_told(shop, change):
    world = shop.world
    agreement = await world.signed()
    await world.live_until(APRIL)

    path = f"/v1/agreements/{agreement}/amendment/preview"
    status, told = await shop.ask("POST", path, body=change)
    await world.hear(an_amendment(**change))
    after = {one.seq: one for one in await world.instalments(agreement)}

    assert status == 200
    for line in told["lines"]:
        now = after[line["seq"]]
        expected = (str(now.due_on), str(now.charge_on), now.amount_fen)
        assert (line["due_on"], line["charge_on"], line["amount_fen"]) == expected
    assert told["total_fen"] == sum(one.amount_fen for one in after.values())
    assert await promises(world) == []


async def test_a_postponement_is_agreed_previewed_told_and_charged_on_its_day(shop):
    world = shop.world
    agreement = await world.signed(rail=Rail.WECHATPAY)
    await world.live_until(APRIL)
    second = await world.instalment(agreement, 2)
    path = f"/v1/instalments/{second.instalment_id}/postponement"
    asked = {"to_day": "2027-04-22"}

    _, told = await shop.ask("POST", f"{path}/preview", body=asked)
    assert (await world.instalment(agreement, 2)) == second
    no_word = await shop.ask("POST", path, body=asked)
    status, done = await shop.ask("POST", path, body=asked | {"consent": AGREED})

    assert (no_word[0], status) == (400, 200)
    assert done == told
    assert [(line["seq"], line["to_day"]) for line in done["lines"]] == [(2, "2027-04-22")]
    await world.live_until(at_in_china(date(2027, 4, 21), 20))
    assert len(world.said(InstalmentPostponed)) == 1
    assert (await world.instalment(agreement, 2)).state is InstalmentState.NOTICED
    await world.live_until(at_in_china(date(2027, 4, 22), 20))
    assert (await world.instalment(agreement, 2)).state is InstalmentState.PAID
    status, late = await shop.ask("POST", path, body=asked | {"consent": AGREED})
    assert (status, late["code"]) == (409, "postponement-not-possible")


@pytest.mark.parametrize("to_day", ["2027-03-21", "2027-04-12", "2027-05-12", "2026-01-01"])
async def test_a_day_without_notice_or_room_is_refused_with_the_bounds(shop, to_day):
    agreement = await shop.world.signed()
    await shop.world.live_until(APRIL)
    second = await shop.world.instalment(agreement, 2)
    path = f"/v1/instalments/{second.instalment_id}/postponement"

    status, told = await shop.ask("POST", path, body={"to_day": to_day, "consent": AGREED})

    assert (status, told["code"]) == (422, "postponement-day-invalid")
    assert (told["earliest"], told["latest"]) == ("2027-04-13", "2027-05-09")
    assert (await shop.world.instalment(agreement, 2)) == second


async def test_several_are_paid_in_one_order_each_by_a_payment_of_its_own(shop):
    world = shop.world
    agreement = await world.signed()
    await world.live_until(APRIL)
    ids = [str(one.instalment_id) for one in (await world.instalments(agreement))[1:]]
    path = f"/v1/agreements/{agreement}/payment-orders"

    body = {"instalment_ids": ids, "total_fen": 2 * AMOUNT_FEN}
    status, order = await shop.ask("POST", path, body=body)
    _, same = await shop.ask("POST", path, body=body)

    assert (status, order["state"], len(order["payments"])) == (201, "open", 2)
    assert same["order_id"] == order["order_id"]
    await pay_all_of(world, order)
    await world.live(minutes=5)
    _, after = await shop.ask("GET", f"/v1/payment-orders/{order['order_id']}")
    assert (after["state"], after["paid_fen"]) == ("paid", 2 * AMOUNT_FEN)
    assert {row.state for row in await world.instalments(agreement)} == {InstalmentState.PAID}
    assert len(world.said(ChargeCollected)) == 3
    assert await promises(world) == []


async def test_a_wrong_sum_a_foreign_or_paid_one_is_refused_and_kept(shop):
    world = shop.world
    agreement = await world.signed()
    await world.signed(2)
    await world.live_until(APRIL)
    first, second, third = await world.instalments(agreement)
    other = await world.instalment(agreement_id(2), 2)
    path = f"/v1/agreements/{agreement}/payment-orders"

    async def ask(ids, fen, **more):
        body = {"instalment_ids": [str(one.instalment_id) for one in ids], "total_fen": fen}
        return await shop.ask("POST", path, body=body, **more)

    partial = await ask([second, third], AMOUNT_FEN)
    foreign = await ask([second, other], 2 * AMOUNT_FEN)
    paid = await ask([first], AMOUNT_FEN)
    zero = await ask([second], 0)
    none = await ask([], AMOUNT_FEN)
    elsewhere = await ask([second], AMOUNT_FEN, who="foreign")

    assert (partial[0], partial[1]["code"]) == (422, "amount-differs")
    assert partial[1]["amount_due_fen"] == 2 * AMOUNT_FEN
    assert (foreign[0], foreign[1]["code"]) == (422, "instalments-foreign")
    assert (paid[0], paid[1]["code"]) == (409, "nothing-to-pay")
    assert (zero[0], none[0], elsewhere[0]) == (400, 400, 404)
    async with world.db.connection() as conn:
        kept = await conn.fetch("SELECT code, asked_fen, due_fen FROM refused_orders")
        assert await conn.fetchval("SELECT count(*) FROM payment_orders") == 0
    assert [tuple(row) for row in kept] == [("amount-differs", AMOUNT_FEN, 2 * AMOUNT_FEN)]


async def test_a_quote_holds_a_day_and_not_after_something_was_paid(shop):
    world = shop.world
    agreement = await world.signed()
    await world.live_until(APRIL)
    base = f"/v1/agreements/{agreement}"

    _, preview = await shop.ask("GET", f"{base}/pay-all/preview")
    status, quote = await shop.ask("POST", f"{base}/settlement-quotes")
    assert (status, quote["total_fen"]) == (201, preview["total_fen"])
    body = {"quote_id": quote["quote_id"], "total_fen": quote["total_fen"]}
    await world.live(hours=24, seconds=1)
    status, late = await shop.ask("POST", f"{base}/payment-orders", body=body)
    assert (status, late["code"]) == (409, "quote-outdated")

    _, fresh = await shop.ask("POST", f"{base}/settlement-quotes")
    body = {"quote_id": fresh["quote_id"], "total_fen": fresh["total_fen"]}
    status, order = await shop.ask("POST", f"{base}/payment-orders", body=body)
    assert status == 201
    await pay_all_of(world, order)
    await world.live(minutes=5)
    status, again = await shop.ask("POST", f"{base}/settlement-quotes")
    assert (status, again["code"]) == (409, "nothing-to-pay")
    unknown = body | {"quote_id": str(new_id())}
    status, none = await shop.ask("POST", f"{base}/payment-orders", body=unknown)
    assert (status, none["code"]) == (404, "quote-unknown")


def with_interest():
    """Three periods of 199 yuan, 10 yuan of each interest."""
    signing = a_signing()
    lines = (
        SignedLine(kind=LineKind.BASE, amount_fen=AMOUNT_FEN - 1000),
        SignedLine(kind=LineKind.INTEREST, amount_fen=1000),
    )
    return tuple(one.model_copy(update={"lines": lines}) for one in signing.instalments)


@pytest.mark.parametrize("pays", [True, False])
async def test_an_early_settlement_asks_no_interest_of_days_to_come(shop, pays):
    world = shop.world
    agreement = await world.signed(instalments=with_interest())
    await world.live_until(APRIL)
    base = f"/v1/agreements/{agreement}"

    _, quote = await shop.ask("POST", f"{base}/settlement-quotes")
    assert quote["total_fen"] == 2 * (AMOUNT_FEN - 1000)
    body = {"quote_id": quote["quote_id"], "total_fen": quote["total_fen"]}
    _, order = await shop.ask("POST", f"{base}/payment-orders", body=body)
    if pays:
        await pay_all_of(world, order)
    await world.live(hours=2)

    assert await promises(world) == []
    amounts = [row.amount_fen for row in await world.instalments(agreement)]
    if pays:
        assert amounts == [AMOUNT_FEN, AMOUNT_FEN - 1000, AMOUNT_FEN - 1000]
    else:  # not paid: everything is as it was signed
        assert amounts == [AMOUNT_FEN] * 3


async def test_an_end_is_previewed_line_by_line(shop):
    world = shop.world
    agreement = await world.signed()
    await world.live_until(APRIL)
    first = await world.instalment(agreement)
    captured = HoldCaptured(
        event_id=new_id(),
        occurred_at=world.clock.now(),
        hold_id=new_id(),
        instalment_id=first.instalment_id,
        agreement_id=agreement,
        merchant_id=MERCHANT,
        customer_id=derived_id("customer", 1),
        amount_fen=12000,
    )
    await world.hear(captured)
    await world.forget_what_was_heard()
    await world.hear(captured)
    path = f"/v1/agreements/{agreement}/termination/preview"
    loss = [{"item": "定制", "amount_fen": 100000, "evidence_ref": "inv-1"}]

    _, wish = await shop.ask("POST", path, body={"reason": "customer_wish", "loss": loss})
    _, lost = await shop.ask("POST", path, body={"reason": "pet_lost", "loss": loss})
    foreign = await shop.ask("POST", path, who="foreign", body={"reason": "pet_lost"})

    assert (wish["penalty_due_fen"], wish["refund_fen"]) == (3980, AMOUNT_FEN - 12000 - 3980)
    assert (lost["penalty_due_fen"], lost["refund_fen"]) == (0, AMOUNT_FEN - 12000)
    assert (wish["refund_latest_on"], wish["interest_ppm_per_year"]) == ("2027-04-04", 15_000)
    assert all(line["source"] for line in wish["lines"])
    assert foreign[0] == 404


async def test_a_cancellation_after_an_order_was_opened_returns_nothing_twice(shop):
    """The agreement ended first: nothing new is opened; money under way is booked once."""
    world = shop.world
    agreement = await world.signed()
    await world.live_until(APRIL)
    ids = [str(one.instalment_id) for one in (await world.instalments(agreement))[1:]]
    path = f"/v1/agreements/{agreement}/payment-orders"
    body = {"instalment_ids": ids, "total_fen": 2 * AMOUNT_FEN}
    _, order = await shop.ask("POST", path, body=body)
    await world.hear(
        AgreementCancelled(
            event_id=new_id(),
            occurred_at=world.clock.now(),
            agreement_id=agreement,
            merchant_id=MERCHANT,
            customer_id=derived_id("customer", 1),
        )
    )

    status, late = await shop.ask("POST", path, body=body)
    assert (status, late["code"]) == (409, "nothing-to-pay")
    await pay_all_of(world, order)
    await world.live(minutes=5)
    assert len(world.said(ChargeCollected)) == 3
    assert await promises(world) == []
