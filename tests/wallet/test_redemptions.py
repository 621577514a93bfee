"""The counter: a code is consumed once, bonus goes first, and what comes back goes back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from services.wallet.domain.accounts import Purse
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.shop_counter import FOREIGN, Counter, a_counter
from tests.support.wallet_builders import (
    AGREEMENT,
    CUSTOMER,
    MERCHANT,
    NOON,
    a_collection,
    a_dispatch,
    a_termination,
)

OTHER = derived_id("agreement", "other")


@pytest.fixture
async def counter(wallet_db: Database) -> AsyncIterator[Counter]:
    """A customer with 100 yuan of principal and 20 of bonus in one agreement."""
    async with a_counter(wallet_db) as counter:
        await counter.wallet.hear(
            a_collection(1, amount_fen=10000, bonus_fen=2000, auto_ship=False)
        )
        yield counter


async def purses(counter: Counter) -> tuple[int, int]:
    wallet = counter.wallet
    return await wallet.purse(Purse.PRINCIPAL), await wallet.purse(Purse.BONUS)


async def test_bonus_is_spent_first_then_principal_and_the_platform_gets_its_share(counter):
    status, body = await counter.redeem(await counter.code(), 5000, who="clerk")

    assert status == 201
    assert (body["state"], body["bonus_fen"], body["fee_fen"]) == ("booked", 2000, 100)
    assert await purses(counter) == (7000, 0)
    assert await counter.wallet.balance("merchant:payable") == 4900
    assert await counter.wallet.balance("platform:fee") == 100
    (told,) = await counter.wallet.told("wallet.redemption.booked.v1")
    assert told.body["amount_fen"] == 5000
    await counter.wallet.assert_books_agree()


async def test_lots_of_several_agreements_are_used_first_in_first_out(counter):
    later = NOON + timedelta(days=3)
    await counter.wallet.hear(
        a_collection(1, agreement_id=OTHER, amount_fen=8000, auto_ship=False, collected_at=later)
    )
    await counter.wallet.hear(
        a_collection(2, amount_fen=5000, auto_ship=False, collected_at=later + timedelta(days=1))
    )

    _, redeemed = await counter.redeem(await counter.code(), 17000)

    _, story = await counter.get(f"/v1/redemptions/{redeemed['redemption_id']}")
    taken = {part["agreement_id"]: part["principal_fen"] for part in story["parts"]}
    assert taken == {str(AGREEMENT): 10000, str(OTHER): 5000}
    assert sum(part["fee_fen"] for part in story["parts"]) == redeemed["fee_fen"] == 340
    _, lots = await counter.get(f"/v1/customers/{CUSTOMER}/lots")
    left = [(lot["purse"], lot["amount_fen"], lot["left_fen"]) for lot in lots["items"]]
    assert left == [
        ("bonus", 2000, 0),
        ("principal", 10000, 0),
        ("principal", 8000, 3000),
        ("principal", 5000, 5000),
    ]
    await counter.wallet.assert_books_agree()


async def test_a_clerk_may_confirm_a_service_at_its_price(counter):
    service = {"name": "洗护", "category": "grooming", "price_fen": 6800}
    await counter.send("PUT", "/v1/redemption-services/wash", service)

    body = {"code": await counter.code(), "service_code": "wash"}
    status, redeemed = await counter.post("/v1/redemptions", body)

    assert status == 201
    assert (redeemed["amount_fen"], redeemed["category"]) == (6800, "grooming")


async def test_the_same_request_repeated_is_one_redemption(counter):
    code, key = await counter.code(), str(new_id())

    first = await counter.redeem(code, 5000, key=key)
    again = await counter.redeem(code, 5000, key=key)

    assert first == again
    assert await purses(counter) == (7000, 0)


async def test_a_return_gives_principal_back_first_and_then_bonus(counter):
    _, redeemed = await counter.redeem(await counter.code(), 5000)

    status, returned = await counter.give_back(redeemed["redemption_id"], amount_fen=4000)

    assert status == 200
    assert (returned["returned_fen"], returned["returned_bonus_fen"]) == (4000, 1000)
    assert await purses(counter) == (10000, 1000)
    assert await counter.wallet.balance("platform:fee") == 20
    assert await counter.wallet.balance("merchant:payable") == 980
    await counter.wallet.assert_books_agree()


async def test_a_whole_return_leaves_everything_as_it_was(counter):
    before = await counter.all_balances()
    _, redeemed = await counter.redeem(await counter.code(), 11999)

    await counter.give_back(redeemed["redemption_id"])

    nothing = {f"{MERCHANT} merchant:payable": 0, f"{MERCHANT} platform:fee": 0}
    assert await counter.all_balances() == nothing | before
    await counter.wallet.assert_books_agree()


async def test_what_returns_to_an_agreement_that_has_ended_is_settled_at_once(counter):
    _, redeemed = await counter.redeem(await counter.code(), 5000)
    await counter.wallet.hear(a_termination())

    await counter.give_back(redeemed["redemption_id"])

    asked = [t.body["amount_fen"] for t in await counter.wallet.told("wallet.refund.requested.v1")]
    assert asked == [7000, 3000]
    assert await purses(counter) == (0, 0)
    assert await counter.wallet.balance("merchant:promotion") == 0
    await counter.wallet.assert_books_agree()


async def test_an_ended_agreements_money_is_on_its_way_back_and_not_to_be_spent(counter):
    await counter.wallet.hear(a_termination())

    status, body = await counter.redeem(await counter.code(), 1)

    assert (status, body["code"]) == (409, "balance-too-low")


async def test_of_many_clerks_with_one_code_exactly_one_wins(counter):
    code = await counter.code()

    answers = await asyncio.gather(*(counter.redeem(code, 100) for _ in range(8)))

    statuses = sorted(status for status, _ in answers)
    assert statuses == [201] + [409] * 7
    assert {body["code"] for status, body in answers if status == 409} == {"code-used"}
    assert await purses(counter) == (10000, 1900)
    await counter.wallet.assert_books_agree()


async def test_of_many_codes_at_once_as_many_win_as_the_wallet_can_pay(counter):
    codes = [await counter.code() for _ in range(8)]

    answers = await asyncio.gather(*(counter.redeem(code, 2500) for code in codes))

    assert sorted(status for status, _ in answers) == [201] * 4 + [409] * 4
    assert await purses(counter) == (2000, 0)
    await counter.wallet.assert_books_agree()


BAD = {
    "no code": ("nonsense", 100, 422, "code-unreadable"),
    "half a code": (None, 100, 422, "code-unreadable"),
    "zero": ("good", 0, 422, "amount-invalid"),
    "negative": ("good", -100, 422, "amount-invalid"),
    "above the balance": ("good", 12001, 409, "balance-too-low"),
    "above the ceiling": ("good", 500_001, 422, "amount-above-ceiling"),
    "above the customer's limit": ("limited", 301, 422, "amount-above-code"),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_input_is_refused_kept_and_changes_nothing(counter, case):
    which, amount_fen, status, problem = BAD[case]
    good = await counter.code(max_amount_fen=300 if which == "limited" else None)
    code = {"nonsense": "YF1.x", None: good[:80]}.get(which, good)
    before = await counter.all_balances()

    found, body = await counter.redeem(code, amount_fen, who="clerk")

    assert (found, body["code"]) == (status, problem)
    assert await counter.refusals() == [("redeem", problem)]
    assert await counter.all_balances() == before
    await counter.wallet.assert_books_agree()


async def test_a_forged_code_is_refused(counter):
    code = await counter.code()
    changed = code[:60] + ("A" if code[60] != "A" else "B") + code[61:]

    status, body = await counter.redeem(changed, 100)

    assert (status, body["code"]) == (422, "code-forged")
    assert await counter.refusals() == [("redeem", "code-forged")]


async def test_a_code_is_refused_when_used_expired_or_of_another_merchant(counter):
    used, late, theirs = [await counter.code() for _ in range(3)]
    await counter.redeem(used, 100)
    before = await counter.all_balances()

    _, reused = await counter.redeem(used, 100)
    _, foreign = await counter.redeem(theirs, 100, who="foreign")
    counter.wallet.clock.advance(minutes=5, seconds=1)
    _, expired = await counter.redeem(late, 100)

    assert [body["code"] for body in (reused, foreign, expired)] == [
        "code-used",
        "code-foreign",
        "code-expired",
    ]
    assert await counter.refusals() == [("redeem", "code-expired"), ("redeem", "code-used")]
    assert await counter.all_balances() == before
    async with counter.wallet.db.connection() as conn:
        kept = await conn.fetch(
            "SELECT code FROM redemption_refusals WHERE merchant_id = $1", FOREIGN
        )
    assert [row["code"] for row in kept] == ["code-foreign"]


async def test_a_clerk_does_only_what_the_key_allows(counter):
    before = await counter.all_balances()
    _, redeemed = await counter.redeem(await counter.code(), 100, who="terminal")
    assert redeemed["code"] == "scope-missing"
    assert await counter.all_balances() == before
    _, redeemed = await counter.redeem(await counter.code(), 100, who="clerk")

    status, body = await counter.give_back(redeemed["redemption_id"], who="clerk")
    at_the_door, _ = await counter.redeem(await counter.code(), 100, who="reader")

    assert (status, body["code"]) == (403, "scope-missing")
    assert at_the_door == 403
    assert await counter.refusals() == [("return", "scope-missing"), ("redeem", "scope-missing")]
    await counter.wallet.assert_books_agree()


@pytest.mark.parametrize(
    ("amount_fen", "status", "problem"),
    [
        (0, 422, "amount-invalid"),
        (-1, 422, "amount-invalid"),
        (5001, 422, "return-above-redemption"),
    ],
)
async def test_a_bad_return_is_refused_and_kept(counter, amount_fen, status, problem):
    _, redeemed = await counter.redeem(await counter.code(), 5000)
    before = await counter.all_balances()

    found, body = await counter.give_back(redeemed["redemption_id"], amount_fen=amount_fen)

    assert (found, body["code"]) == (status, problem)
    assert await counter.refusals() == [("return", problem)]
    assert await counter.all_balances() == before


async def test_a_second_return_and_one_of_nothing_are_refused(counter):
    _, redeemed = await counter.redeem(await counter.code(), 5000)
    await counter.give_back(redeemed["redemption_id"], amount_fen=100)
    before = await counter.all_balances()

    again, body = await counter.give_back(redeemed["redemption_id"])
    unknown, _ = await counter.give_back(str(UUID(int=404)))
    theirs, _ = await counter.give_back(redeemed["redemption_id"], who="foreign")

    assert (again, body["code"]) == (409, "redemption-returned")
    assert (unknown, theirs) == (404, 404)
    assert await counter.all_balances() == before


async def test_a_sale_names_an_amount_or_a_service(counter):
    both = {"amount_fen": 1, "category": "food", "service_code": "wash"}
    for body in ({}, {"amount_fen": 5}, both, {"service_code": "unknown"}):
        status, answer = await counter.post(
            "/v1/redemptions", {"code": await counter.code(), **body}
        )
        expected = (404, "service-unknown") if body == {"service_code": "unknown"} else None
        assert (status, answer["code"]) == (expected or (422, "amount-invalid"))
    assert await purses(counter) == (10000, 2000)


async def test_a_customer_may_not_ask_for_codes_without_end(counter):
    path = f"/v1/customers/{CUSTOMER}/redemption-codes"
    asked = [await counter.post(path, {}) for _ in range(11)]

    assert [status for status, _ in asked] == [201] * 10 + [429]
    assert len({body["code"] for _, body in asked[:10]}) == 10
    assert await counter.refusals() == [("code", "too-many-codes")]
    counter.wallet.clock.advance(seconds=61)
    assert (await counter.post(path, {}))[0] == 201


@pytest.mark.parametrize(
    ("limit_fen", "problem"),
    [(0, "amount-invalid"), (-5, "amount-invalid"), (500_001, "amount-above-ceiling")],
)
async def test_a_code_with_a_bad_limit_is_not_made(counter, limit_fen, problem):
    path = f"/v1/customers/{CUSTOMER}/redemption-codes"

    status, body = await counter.post(path, {"max_amount_fen": limit_fen})

    assert (status, body["code"]) == (422, problem)
    assert await counter.refusals() == [("code", problem)]


async def test_a_stranger_gets_no_code(counter):
    path = f"/v1/customers/{UUID(int=404)}/redemption-codes"

    assert (await counter.post(path, {}))[0] == 404
    mine = f"/v1/customers/{CUSTOMER}/redemption-codes"
    assert (await counter.post(mine, {}, who="foreign"))[0] == 404


async def test_history_and_preference_tell_parcels_redemptions_and_returns(counter):
    await counter.wallet.hear(a_collection(1, agreement_id=OTHER))
    counter.wallet.clock.advance(hours=1)
    await counter.wallet.hear(a_dispatch(1, agreement_id=OTHER))
    counter.wallet.clock.advance(hours=1)
    _, redeemed = await counter.redeem(await counter.code(), 5000)
    counter.wallet.clock.advance(hours=1)
    await counter.give_back(redeemed["redemption_id"], amount_fen=1000)

    lines: list[tuple[str, int, str]] = []
    cursor: str | None = ""
    while cursor is not None:
        _, page = await counter.get(f"/v1/customers/{CUSTOMER}/spending?limit=1{cursor}")
        lines += [(line["what"], line["amount_fen"], line["category"]) for line in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    span = "first_day=2027-03-01&last_day=2027-03-01"
    _, mine = await counter.get(f"/v1/customers/{CUSTOMER}/preference?{span}")
    _, shops = await counter.get(f"/v1/merchant/preference?{span}")
    _, none = await counter.get("/v1/merchant/preference?first_day=2027-03-02&last_day=2027-03-09")

    assert lines == [
        ("return", -1000, "food"),
        ("redemption", 5000, "food"),
        ("parcel", 15000, "parcel"),
    ]
    assert [(c["category"], c["amount_fen"]) for c in mine["categories"]] == [
        ("parcel", 15000),
        ("food", 4000),
    ]
    assert shops == mine
    assert none == {"categories": []}


async def test_a_redemption_is_explained_with_its_return(counter):
    _, redeemed = await counter.redeem(await counter.code(), 5000)
    await counter.give_back(redeemed["redemption_id"])

    _, story = await counter.get(f"/v1/explain/{redeemed['redemption_id']}")

    kinds = sorted(transfer["kind"] for transfer in story["transfers"])
    assert kinds == [
        "returned",
        "returned_bonus",
        "returned_fee",
        "spent",
        "spent_bonus",
        "spent_fee",
    ]
