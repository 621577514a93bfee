"""Money that is given back while the agreement goes on: full, part, several parts, refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.wallet.contract.states import RefundReason
from services.wallet.domain.accounts import Purse
from services.wallet.domain.errors import NothingToRefund, RefundAboveRest
from services.wallet.domain.ledger import Settlement
from services.wallet.routes import api
from services.wallet.usecases.ask_refund import ask_refund
from services.wallet.usecases.issue_statements import issue_statements
from shared.api_keys import issue_key
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.shop_counter import FOREIGN, Counter
from tests.support.wallet_builders import (
    AGREEMENT,
    MERCHANT,
    NOON,
    WalletForTests,
    a_cancellation,
    a_collection,
    a_dispatch,
    a_failed_refund,
    a_refund,
    a_termination,
    an_instalment,
)

PATH = f"/v1/agreements/{AGREEMENT}/refunds"
UNKNOWN = UUID(int=404)
FREE_FEN = 4900
"""What a collection leaves free beside the hold for its parcel."""


@pytest.fixture
async def shop(wallet_db: Database) -> AsyncIterator[Counter]:
    wallet = WalletForTests(wallet_db)
    keys = {}
    async with wallet_db.transaction() as conn:
        for who, tenant, scopes in (
            ("all", MERCHANT, ["wallet:refund", "wallet:read"]),
            ("foreign", FOREIGN, ["wallet:refund", "wallet:read"]),
            ("reader", MERCHANT, ["wallet:read"]),
        ):
            keys[who] = await issue_key(
                conn, tenant_id=tenant, scopes=scopes, name="shop", now=NOON
            )
    app = web.Application()
    api.add_to(app, wallet.deps, clock=wallet.clock)
    async with TestClient(TestServer(app)) as client:
        yield Counter(client, wallet, keys)


def wish(amount_fen: Any = 1000, **changes: Any) -> dict[str, Any]:
    return {"amount_fen": amount_fen, "reason": "after_sales"} | changes


async def requested(shop: Counter) -> list[tuple[int, str]]:
    told = await shop.wallet.told("wallet.refund.requested.v1")
    return [(t.body["amount_fen"], t.body["reason"]) for t in told]


async def refusals(shop: Counter) -> list[tuple[str, str, int]]:
    _, body = await shop.get("/v1/redemption-refusals")
    return [(one["action"], one["code"], one["amount_fen"]) for one in body["items"]]


async def test_several_parts_and_then_the_rest_go_back(shop):
    await shop.wallet.hear(a_collection())

    for amount_fen in (1000, 900, 3000):
        status, body = await shop.post(PATH, wish(amount_fen))
        assert (status, body["amount_fen"], body["refunded_fen"]) == (201, amount_fen, 0)

    assert await requested(shop) == [(n, "after_sales") for n in (1000, 900, 3000)]
    assert await shop.wallet.purse(Purse.PRINCIPAL) == 0
    assert await shop.wallet.purse(Purse.HELD) == 15000
    assert await shop.wallet.balance("refund:alipay") == FREE_FEN
    await shop.wallet.assert_books_agree()


async def test_a_refund_reaches_its_rail_and_the_request_shows_it(shop):
    await shop.wallet.hear(a_collection())
    _, asked = await shop.post(PATH, wish(FREE_FEN, reason="seven_days"))

    await shop.wallet.hear(a_refund(UUID(asked["settlement_id"]), FREE_FEN))

    _, body = await shop.get(f"{PATH}/{asked['settlement_id']}")
    assert (body["refunded_fen"], body["reason"], body["failure"]) == (
        FREE_FEN,
        "seven_days",
        None,
    )
    assert await shop.wallet.balance("refund:alipay") == 0
    assert await shop.wallet.balance("rail:alipay") == 15000
    await shop.wallet.assert_books_agree()


async def test_more_than_is_left_is_refused_with_what_is_left(shop):
    await shop.wallet.hear(a_collection())
    await shop.post(PATH, wish(900))

    status, body = await shop.post(PATH, wish(4001))

    assert (status, body["code"], body["rest_fen"]) == (422, "refund-above-rest", 4000)
    assert await refusals(shop) == [("refund", "refund-above-rest", 4001)]
    assert await requested(shop) == [(900, "after_sales")]
    assert await shop.wallet.purse(Purse.PRINCIPAL) == 4000
    await shop.wallet.assert_books_agree()


async def test_an_amount_that_is_none_is_malformed(shop):
    await shop.wallet.hear(a_collection())

    for amount_fen in (0, -1, 10**19, 1.5, "12", None):
        status, body = await shop.post(PATH, wish(amount_fen))
        assert (status, body["code"]) == (400, "malformed"), amount_fen

    assert await shop.wallet.purse(Purse.PRINCIPAL) == FREE_FEN


async def test_a_reason_must_be_known(shop):
    status, body = await shop.post(PATH, wish(reason="because"))

    assert (status, body["code"]) == (400, "malformed")


async def test_bonus_and_held_money_are_never_given_back(shop):
    await shop.wallet.hear(a_collection(hold_fen=19900, bonus_fen=500))

    status, body = await shop.post(PATH, wish(600))

    assert (status, body["code"], body["rest_fen"]) == (422, "refund-above-rest", 500)
    _, story = await shop.get(f"/v1/agreements/{AGREEMENT}/ledger")
    assert story["money"]["unspent_fen"] == 500


async def test_nothing_left_is_said(shop):
    await shop.wallet.hear(a_collection(hold_fen=19900))

    status, body = await shop.post(PATH, wish(1))

    assert (status, body["code"]) == (409, "nothing-to-refund")
    assert await refusals(shop) == [("refund", "nothing-to-refund", 1)]


async def test_what_an_ended_agreement_has_goes_back_by_itself(shop):
    await shop.wallet.hear(a_collection())
    await shop.wallet.hear(a_termination(penalty_fen=FREE_FEN))

    status, body = await shop.post(PATH, wish(1))

    assert (status, body["code"]) == (409, "agreement-ended")
    assert await requested(shop) == []


async def test_foreign_and_unknown_agreements_are_not_there(shop):
    await shop.wallet.hear(a_collection())

    for who, path in (("foreign", PATH), ("all", f"/v1/agreements/{UNKNOWN}/refunds")):
        status, body = await shop.post(path, wish(), who=who)
        assert (status, body["code"]) == (404, "ledger-unknown"), who

    assert await requested(shop) == []


async def test_a_foreign_request_is_not_shown(shop):
    await shop.wallet.hear(a_collection())
    _, asked = await shop.post(PATH, wish())

    for who, settlement_id in (("foreign", asked["settlement_id"]), ("all", UNKNOWN)):
        status, body = await shop.get(f"{PATH}/{settlement_id}", who=who)
        assert (status, body["code"]) == (404, "settlement-unknown")


async def test_a_key_that_only_reads_gives_nothing_back(shop):
    status, body = await shop.post(PATH, wish(), who="reader")

    assert (status, body["code"]) == (403, "scope-missing")


async def test_the_same_key_gives_back_once_and_another_body_is_refused(shop):
    await shop.wallet.hear(a_collection())

    _, first = await shop.post(PATH, wish(), key="k-1")
    _, again = await shop.post(PATH, wish(), key="k-1")
    status, other = await shop.post(PATH, wish(999), key="k-1")

    assert again == first
    assert (status, other["code"]) == (422, "idempotency-key-reused")
    assert await requested(shop) == [(1000, "after_sales")]


async def ask(wallet: WalletForTests, amount_fen: int, settlement_id: UUID) -> Settlement:
    return await ask_refund(
        wallet.deps,
        merchant_id=MERCHANT,
        agreement_id=AGREEMENT,
        settlement_id=settlement_id,
        amount_fen=amount_fen,
        reason=RefundReason.GOODWILL,
    )


async def test_of_requests_at_once_as_many_are_granted_as_fit(shop):
    number = 12
    await shop.wallet.hear(a_collection())

    answers = await asyncio.gather(
        *(ask(shop.wallet, 3000, new_id()) for _ in range(number)), return_exceptions=True
    )

    refused = [answer for answer in answers if isinstance(answer, RefundAboveRest)]
    assert len(refused) == number - 1
    assert {answer.facts["rest_fen"] for answer in refused} == {FREE_FEN - 3000}
    assert await requested(shop) == [(3000, "goodwill")]
    await shop.wallet.assert_books_agree()


async def test_two_wishes_for_all_at_once_give_it_back_once(shop):
    await shop.wallet.hear(a_collection())

    answers = await asyncio.gather(
        *(ask(shop.wallet, FREE_FEN, new_id()) for _ in range(2)), return_exceptions=True
    )

    assert [type(one) for one in answers if isinstance(one, Exception)] == [NothingToRefund]
    await shop.wallet.assert_books_agree()


async def test_the_same_request_at_once_and_later_is_one(shop):
    await shop.wallet.hear(a_collection())
    settlement_id = derived_id("settlement", 1)

    asked = await asyncio.gather(*(ask(shop.wallet, 4000, settlement_id) for _ in range(3)))

    assert {one.settlement_id for one in asked} == {settlement_id}
    assert await requested(shop) == [(4000, "goodwill")]


async def test_a_refund_at_the_moment_of_the_end_never_gives_more_than_there_is(shop):
    await shop.wallet.hear(a_collection(auto_ship=False))

    await asyncio.gather(
        ask(shop.wallet, 19900, new_id()),
        shop.wallet.hear(a_cancellation()),
        return_exceptions=True,
    )

    assert sum(amount for amount, _ in await requested(shop)) == 19900
    assert await shop.wallet.purse(Purse.PRINCIPAL) == 0
    await shop.wallet.assert_books_agree()


async def test_the_end_settles_what_was_not_given_back(shop):
    await shop.wallet.hear(a_collection())
    await shop.post(PATH, wish(900))

    await shop.wallet.hear(a_termination())
    await shop.wallet.hear(a_dispatch())

    assert await requested(shop) == [(900, "after_sales"), (4000, "terminated")]
    await shop.wallet.assert_books_agree()


async def test_a_failure_is_shown_until_the_money_is_back(shop):
    await shop.wallet.hear(a_collection())
    _, asked = await shop.post(PATH, wish(1000))
    settlement_id = UUID(asked["settlement_id"])
    refund_id = new_id()
    failed = a_failed_refund(settlement_id, 1000, refund_id=refund_id)

    await shop.wallet.hear(failed)
    _, body = await shop.get(f"{PATH}/{settlement_id}")
    assert (body["failure"], body["refunded_fen"]) == ("closed", 0)
    assert await shop.wallet.balance("refund:alipay") == 1000

    await shop.wallet.hear(a_refund(settlement_id, 1000, refund_id=refund_id))
    await shop.wallet.forget_what_was_heard()
    await shop.wallet.hear(failed)

    _, body = await shop.get(f"{PATH}/{settlement_id}")
    assert (body["failure"], body["failed_at"], body["refunded_fen"]) == (None, None, 1000)
    assert await shop.wallet.balance("refund:alipay") == 0
    await shop.wallet.assert_books_agree()


async def test_a_request_and_a_lot_are_explained(shop):
    await shop.wallet.hear(a_collection())
    _, asked = await shop.post(PATH, wish(900))
    shop.wallet.clock.set(NOON + timedelta(days=1))
    await issue_statements(shop.wallet.deps)

    _, request = await shop.get(f"/v1/explain/{asked['settlement_id']}")
    _, collected = await shop.get(f"/v1/explain/{an_instalment(1)}")

    assert request["settlement"]["amount_fen"] == 900
    assert [one["kind"] for one in request["transfers"]] == ["refund_requested"]
    assert request["lots"] == []
    assert [(lot["amount_fen"], lot["left_fen"]) for lot in collected["lots"]] == [(19900, 4000)]
    assert [line["kind"] for line in collected["statement_lines"]] == ["collected"]
