"""Pausing, going on and amending: who may, when, with what consent, and what the others hear."""

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from services.billing.contract import ChargeCollected, ScheduleChanged, ScheduledInstalment
from services.signing.contract import Rail
from services.signing.usecases.change_agreement import note_paid, note_schedule
from shared.ids import new_id
from tests.support.signing_builders import NOON

CONSENT = {"agreed": True, "text_version": "amend-1", "shown_ms": 6000}
PAUSE = {"periods": 1, "reason": "pet_sick", "evidence_ref": "vet-17"}


def amendment(**what):
    return {"reason": "发薪日改为25日", "consent": CONSENT} | what


def path_of(agreement, what=""):
    return f"/v1/agreements/{agreement['agreement_id']}{what}"


async def active(shop, rail="alipay"):
    agreement = await shop.agreement(rail)
    await shop.pass_time(hours=48)
    await shop.said()
    return agreement


async def test_a_pause_is_told_with_its_number_and_ends_by_itself(shop):
    agreement = await active(shop)

    paused = await shop.ok("POST", path_of(agreement, "/pause"), PAUSE | {"periods": 2})

    # The first charge of 15 March becomes 15 May; eight days before, all goes on.
    assert (paused["state"], paused["paused_periods"]) == ("paused", 2)
    assert paused["resumes_at"] == "2027-05-07T02:00:00Z"
    assert (await shop.ok("GET", path_of(agreement)))["state"] == "paused"
    shop.clock.set(datetime(2027, 5, 7, 2, 0, tzinfo=UTC))
    await shop.settle()
    after = await shop.ok("GET", path_of(agreement, "/changes"))
    assert (after["state"], after["paused_periods"], after["resumes_at"]) == ("active", 0, None)
    assert [one["kind"] for one in after["changes"]] == ["paused", "resumed"]
    assert await shop.said() == ["agreement.paused.v1", "agreement.resumed.v1"]


async def test_who_asked_why_and_with_what_proof_is_kept(shop):
    agreement = await active(shop)
    await shop.ok("POST", path_of(agreement, "/pause"), PAUSE)
    await shop.ok("POST", path_of(agreement, "/resume"))
    await shop.ok("POST", path_of(agreement, "/amendment"), amendment(charge_day=25))

    moves = (await shop.ok("GET", path_of(agreement, "/history")))["moves"]
    last = [move for move in moves if move["thing"] == "agreement"][-3:]
    evidence = await shop.ok("GET", path_of(agreement, "/evidence"))
    changes = (await shop.ok("GET", path_of(agreement, "/changes")))["changes"]

    assert [(move["from_state"], move["to_state"], move["reason"]) for move in last] == [
        ("active", "paused", "pet_sick"),
        ("paused", "active", "asked"),
        ("active", "amended", "发薪日改为25日"),
    ]
    assert all(move["actor"].startswith("key:") for move in last)
    assert [entry["kind"] for entry in evidence["entries"]][-3:] == [
        "agreement_paused",
        "agreement_resumed",
        "agreement_amended",
    ]
    assert evidence["first_broken"] is None
    assert changes[0]["evidence_ref"] == "vet-17"
    assert changes[2]["detail"]["consent"] == CONSENT


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (PAUSE | {"periods": 3}, 422, "pause-too-long"),
        (PAUSE | {"periods": 0}, 400, None),
        (PAUSE | {"reason": "bored"}, 400, None),
        ({"periods": 1, "reason": "pet_sick"}, 400, None),
    ],
)
async def test_a_pause_that_cannot_be_is_refused_and_changes_nothing(shop, body, status, code):
    agreement = await active(shop)

    answer = await shop.call("POST", path_of(agreement, "/pause"), body)

    assert answer.status == status
    assert code is None or answer.body["code"] == code
    assert (await shop.ok("GET", path_of(agreement, "/changes")))["changes"] == []
    assert await shop.said() == []


async def test_a_pause_is_for_active_agreements_and_once_at_a_time(shop):
    agreement = await shop.agreement()
    early = await shop.call("POST", path_of(agreement, "/pause"), PAUSE)
    await shop.pass_time(hours=48)
    first = await shop.call("POST", path_of(agreement, "/pause"), PAUSE, idempotency_key="p")
    again = await shop.call("POST", path_of(agreement, "/pause"), PAUSE, idempotency_key="p")
    other = await shop.call("POST", path_of(agreement, "/pause"), PAUSE)
    amended = await shop.call("POST", path_of(agreement, "/amendment"), amendment(charge_day=25))

    assert (early.status, early.body["code"]) == (409, "agreement-state")
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert (other.status, other.body["code"]) == (409, "paused-already")
    assert (amended.status, amended.body["code"]) == (409, "agreement-state")
    resumed = await shop.call("POST", path_of(agreement, "/resume"))
    twice = await shop.call("POST", path_of(agreement, "/resume"))
    assert (resumed.status, twice.status) == (200, 409)


@pytest.mark.parametrize(
    ("rail", "what", "status", "code"),
    [
        ("alipay", {"charge_day": 29}, 422, "charge-day-not-on-rail"),
        ("alipay", {"charge_day": 15}, 409, "amendment-empty"),
        ("alipay", {"amount": {"from_seq": 1, "amount_fen": 29900}}, 409, "amendment-empty"),
        ("alipay", {"amount": {"from_seq": 1, "amount_fen": 19899}}, 422, "amount-below-parcel"),
        ("alipay", {"amount": {"from_seq": 1, "amount_fen": 10**7}}, 422, "amount-above-mandate"),
        ("wechatpay", {"amount": {"from_seq": 1, "amount_fen": 50_001}}, 422, "amount-above-rail"),
        ("alipay", {"amount": {"from_seq": 13, "amount_fen": 25000}}, 409, "nothing-to-change"),
        ("alipay", {"amount": {"from_seq": 1, "amount_fen": 0}}, 400, None),
        ("alipay", {"amount": {"from_seq": 1, "amount_fen": -5}}, 400, None),
        ("alipay", {}, 400, None),
        ("alipay", {"charge_day": 25, "consent": CONSENT | {"agreed": False}}, 400, None),
        ("alipay", {"charge_day": 25, "consent": None}, 400, None),
    ],
)
async def test_an_amendment_that_could_not_be_charged_is_refused(shop, rail, what, status, code):
    agreement = await active(shop, rail)

    answer = await shop.call("POST", path_of(agreement, "/amendment"), amendment(**what))

    assert answer.status == status, answer.body
    assert code is None or answer.body["code"] == code
    assert await shop.said() == []


async def test_a_dearer_amount_within_the_mandate_is_told(shop):
    agreement = await active(shop)
    async with shop.db.connection() as conn:
        ceiling = await conn.fetchval("SELECT ceiling_fen FROM mandates")
    body = amendment(amount={"from_seq": 4, "amount_fen": ceiling}, charge_day=28)

    answer = await shop.call("POST", path_of(agreement, "/amendment"), body)

    if ceiling == 29900:  # the mandate allows no more than was signed
        assert answer.body["charge_day"] == 28
    assert (answer.status, answer.body["charge_day"]) == (200, 28)
    async with shop.db.connection() as conn:
        told = await conn.fetchval(
            "SELECT body FROM outbox WHERE subject = 'signing.agreement.amended.v1'"
        )
    assert b'"from_seq":4' in bytes(told) if isinstance(told, bytes) else '"from_seq":4' in told


async def test_other_merchants_see_and_change_nothing(shop):
    agreement = await active(shop)
    foreign = await shop.key_for(new_id())

    for method, what, body in (
        ("GET", "/changes", None),
        ("POST", "/pause", PAUSE),
        ("POST", "/resume", None),
        ("POST", "/amendment", amendment(charge_day=25)),
    ):
        answer = await shop.call(method, path_of(agreement, what), body, key=foreign)
        assert (answer.status, answer.body["code"]) == (404, "agreement-unknown")


async def test_an_amendment_and_a_revocation_race_with_one_outcome(shop):
    """Either it was amended while the mandate lived, or it was refused; never a third thing."""
    agreement = await active(shop)
    async with shop.db.connection() as conn:
        number = await conn.fetchval("SELECT rail_agreement_no FROM mandates")

    async def revoke():
        await shop.sandbox(
            "alipay",
            "POST",
            "/_sandbox/users/2088000000000001/unsign",
            {"agreement_no": number},
        )
        await shop.settle()

    answer, _ = await asyncio.gather(
        shop.call("POST", path_of(agreement, "/amendment"), amendment(charge_day=25)), revoke()
    )

    said = await shop.said()
    amended = ["agreement.amended.v1"] if answer.status == 200 else []
    assert sorted(said) == sorted([*amended, "mandate.revoked.v1"])
    assert answer.status == 200 or answer.body["code"] == "mandate-not-alive"
    late = await shop.call("POST", path_of(agreement, "/amendment"), amendment(charge_day=26))
    assert (late.status, late.body["code"]) == (409, "mandate-not-alive")


def told_schedule(agreement, terms_no, days, amount_fen=29900):
    return ScheduleChanged(
        event_id=new_id(),
        occurred_at=NOON,
        agreement_id=UUID(agreement["agreement_id"]),
        merchant_id=UUID(agreement["merchant_id"]),
        customer_id=UUID(agreement["customer_id"]),
        terms_no=terms_no,
        change_no=1,
        reason="paused",
        total_fen=amount_fen * len(days),
        instalments=tuple(
            ScheduledInstalment(
                seq=seq, due_on=day, charge_on=day, amount_fen=amount_fen, state="scheduled"
            )
            for seq, day in enumerate(days, start=1)
        ),
    )


def collected(agreement, seq):
    return ChargeCollected(
        event_id=new_id(),
        occurred_at=NOON,
        instalment_id=new_id(),
        agreement_id=UUID(agreement["agreement_id"]),
        merchant_id=UUID(agreement["merchant_id"]),
        customer_id=UUID(agreement["customer_id"]),
        seq=seq,
        periods=12,
        amount_fen=29900,
        charge_id=new_id(),
        pet_id=UUID(agreement["pet_id"]),
        rail=Rail.ALIPAY,
        trade_no="T",
        rail_trade_no="R",
        source="pay_now",
        hold_fen=19900,
        auto_ship=True,
        collected_at=NOON,
    )


async def test_a_penalty_is_reckoned_of_what_is_unpaid_after_every_change(shop):
    """The newest schedule counts in whatever order it is told; what is paid costs nothing."""
    agreement = await active(shop)
    newest = told_schedule(agreement, 2, [date(2027, 5, 15), date(2027, 6, 15)], 20_000)
    older = told_schedule(agreement, 1, [date(2027, 4, 15), date(2027, 5, 15)])
    async with shop.db.transaction() as conn:
        for told in (newest, older, newest):
            await note_schedule(conn, told, shop.deps)
        for _ in range(2):
            await note_paid(conn, [collected(agreement, 1)], shop.deps)

    shown = await shop.ok("GET", path_of(agreement, "/changes"))
    loss = [{"item": "赠品", "amount_fen": 10**6, "evidence_ref": "inv-1"}]
    ended = await shop.ok(
        "POST",
        path_of(agreement, "/termination"),
        {"reason": "customer_wish", "loss": loss},
    )

    assert [(line["due_on"], line["paid"]) for line in shown["schedule"]] == [
        ("2027-05-15", True),
        ("2027-06-15", False),
    ]
    assert ended["penalty_fen"] == 2_000
