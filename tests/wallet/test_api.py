"""What wallet answers over HTTP, to whom, and what it refuses."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.wallet.routes import api
from shared.api_keys import issue_key
from shared.clock import TestClock
from shared.db import Database
from shared.ids import derived_id, new_id
from shared.web import make_cursor
from tests.support.wallet_builders import (
    AGREEMENT,
    CUSTOMER,
    MERCHANT,
    NOON,
    WalletForTests,
    a_collection,
    a_dispatch,
    a_failed_refund,
    a_signing,
    a_termination,
    an_instalment,
)

FOREIGN = derived_id("merchant", "foreign")

UNKNOWN = UUID(int=404)
"""The id of nothing; the same in every run, for tests are named after it."""


@dataclass
class Shop:
    """A merchant's view of wallet, and a foreign merchant's."""

    client: TestClient[web.Request, web.Application]
    wallet: WalletForTests
    key: str
    foreign_key: str
    narrow_key: str

    async def get(self, path: str, *, key: str | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        answer = await self.client.get(path, headers=headers)
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json"
        return answer.status, await answer.json()


@pytest.fixture
async def shop(wallet_db: Database) -> AsyncIterator[Shop]:
    wallet = WalletForTests(wallet_db)
    async with wallet_db.transaction() as conn:
        keys = [
            await issue_key(conn, tenant_id=tenant, scopes=[scope], name="shop", now=NOON)
            for tenant, scope in (
                (MERCHANT, "wallet:read"),
                (FOREIGN, "wallet:read"),
                (MERCHANT, "other:read"),
            )
        ]
    app = web.Application()
    api.add_to(app, wallet.deps, clock=TestClock(NOON))
    async with TestClient(TestServer(app)) as client:
        yield Shop(client, wallet, *keys)


ALL_PATHS = [
    f"/v1/customers/{CUSTOMER}/wallet",
    f"/v1/customers/{CUSTOMER}/transfers",
    f"/v1/agreements/{AGREEMENT}/ledger",
    "/v1/holds",
    "/v1/merchant/accounts",
    f"/v1/explain/{an_instalment(1)}",
    f"/v1/customers/{CUSTOMER}/lots",
    f"/v1/customers/{CUSTOMER}/spending",
    f"/v1/customers/{CUSTOMER}/preference",
    "/v1/redemptions",
    f"/v1/redemptions/{UNKNOWN}",
    "/v1/redemption-refusals",
    "/v1/redemption-devices",
    "/v1/redemption-services",
    "/v1/merchant/seals",
]


async def test_a_wallet_shows_its_purses_and_periods_left(shop):
    await shop.wallet.hear(a_signing())
    await shop.wallet.hear(a_collection())

    status, body = await shop.get(f"/v1/customers/{CUSTOMER}/wallet")

    assert status == 200
    assert (body["principal_fen"], body["bonus_fen"], body["held_fen"]) == (4900, 0, 15000)
    (agreement,) = body["agreements"]
    assert agreement["periods_left"] == 11
    assert agreement["unspent_fen"] == 4900


async def test_a_wallet_is_there_before_its_first_money(shop):
    await shop.wallet.hear(a_signing())

    status, body = await shop.get(f"/v1/customers/{CUSTOMER}/wallet")

    assert status == 200
    assert (body["principal_fen"], body["agreements"][0]["periods_left"]) == (0, 12)
    assert (await shop.get(f"/v1/customers/{CUSTOMER}/transfers"))[1]["items"] == []


async def test_the_history_is_read_page_by_page_newest_first(shop):
    for seq in range(1, 6):
        moment = NOON + timedelta(days=seq)
        await shop.wallet.hear(a_collection(seq, auto_ship=False, collected_at=moment))

    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        path = f"/v1/customers/{CUSTOMER}/transfers?limit=2{cursor}"
        status, body = await shop.get(path)
        assert status == 200
        seen += [item["cause_id"] for item in body["items"]]
        cursor = f"&cursor={body['next_cursor']}"

    assert body["next_cursor"] is None
    assert seen == [str(an_instalment(seq)) for seq in (5, 4, 3, 2, 1)]
    assert body["items"][0]["trade_no"] == a_collection(1).trade_no


async def test_a_ledger_shows_money_holds_and_refunds(shop):
    await shop.wallet.hear(a_collection())
    await shop.wallet.hear(a_dispatch())
    await shop.wallet.hear(a_termination())
    (told,) = await shop.wallet.told("wallet.refund.requested.v1")
    await shop.wallet.hear(a_failed_refund(told.body["settlement_id"], 4900))

    status, body = await shop.get(f"/v1/agreements/{AGREEMENT}/ledger")

    assert status == 200
    assert body["money"]["captured_fen"] == 15000
    assert body["money"]["ended_as"] == "terminated"
    assert body["holds"][0]["state"] == "captured"
    assert body["settlements"][0]["amount_fen"] == 4900
    assert body["settlements"][0]["failure"] == "closed"


async def test_holds_are_filtered_and_paged(shop):
    await shop.wallet.hear(*(a_collection(seq) for seq in (1, 2, 3)))
    await shop.wallet.hear(a_dispatch(2))

    _, captured = await shop.get("/v1/holds?state=captured")
    _, first = await shop.get(f"/v1/holds?agreement_id={AGREEMENT}&limit=2")
    _, rest = await shop.get(f"/v1/holds?limit=2&cursor={first['next_cursor']}")
    _, none = await shop.get(f"/v1/holds?customer_id={new_id()}")

    assert [hold["instalment_id"] for hold in captured["items"]] == [str(an_instalment(2))]
    both = {hold["instalment_id"] for hold in first["items"] + rest["items"]}
    assert both == {str(an_instalment(seq)) for seq in (1, 2, 3)}
    assert rest["next_cursor"] is None
    assert none["items"] == []


async def test_the_merchants_accounts_are_listed_without_wallets(shop):
    await shop.wallet.hear(a_collection())
    await shop.wallet.hear(a_dispatch())

    _, first = await shop.get("/v1/merchant/accounts?limit=3")
    _, rest = await shop.get(f"/v1/merchant/accounts?cursor={first['next_cursor']}")

    balances = {item["code"]: item["balance_fen"] for item in first["items"] + rest["items"]}
    assert balances == {
        "merchant:payable": 5700,
        "platform:fee": 300,
        "rail:alipay": 19900,
        "supplier:warehouse:payable": 9000,
    }


async def test_an_instalment_and_its_hold_are_explained_alike(shop):
    await shop.wallet.hear(a_collection())
    await shop.wallet.hear(a_dispatch())

    _, by_instalment = await shop.get(f"/v1/explain/{an_instalment(1)}")
    _, by_hold = await shop.get(f"/v1/explain/{by_instalment['hold']['hold_id']}")

    kinds = [transfer["kind"] for transfer in by_instalment["transfers"]]
    assert sorted(kinds) == ["captured", "captured_fee", "captured_supply", "collected", "held"]
    assert by_hold["transfers"] == by_instalment["transfers"]
    assert by_hold["hold"]["captured_fen"] == 15000


async def test_a_settlement_is_explained(shop):
    await shop.wallet.hear(a_collection(auto_ship=False))
    await shop.wallet.hear(a_termination())
    (told,) = await shop.wallet.told("wallet.refund.requested.v1")

    _, body = await shop.get(f"/v1/explain/{told.body['settlement_id']}")

    assert [transfer["kind"] for transfer in body["transfers"]] == ["refund_requested"]
    assert body["hold"] is None


@pytest.mark.parametrize("path", ALL_PATHS)
async def test_a_foreign_merchant_sees_nothing(shop, path):
    await shop.wallet.hear(a_collection())

    status, body = await shop.get(path, key=shop.foreign_key)

    if "items" in body:
        assert (status, body["items"]) == (200, [])
    else:
        assert (status, body["status"]) == (404, 404)


@pytest.mark.parametrize("path", ALL_PATHS)
async def test_a_key_without_the_scope_is_refused(shop, path):
    assert (await shop.get(path, key=shop.narrow_key))[0] == 403


@pytest.mark.parametrize("path", ALL_PATHS)
async def test_no_key_no_answer(shop, path):
    answer = await shop.client.get(path)

    assert answer.status == 401
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/v1/customers/{UNKNOWN}/wallet", 404, "wallet-unknown"),
        (f"/v1/customers/{UNKNOWN}/transfers", 404, "wallet-unknown"),
        (f"/v1/agreements/{UNKNOWN}/ledger", 404, "ledger-unknown"),
        (f"/v1/explain/{UNKNOWN}", 404, "cause-unknown"),
        ("/v1/holds?state=lost", 400, "malformed"),
        ("/v1/holds?limit=0", 400, "malformed"),
        ("/v1/holds?colour=red", 400, "malformed"),
        ("/v1/holds?cursor=nonsense", 400, "cursor-invalid"),
        ("/v1/holds?agreement_id=1", 400, "malformed"),
        ("/v1/merchant/accounts?cursor=!!!", 400, "cursor-invalid"),
        (f"/v1/customers/{UNKNOWN}/lots", 404, "wallet-unknown"),
        (f"/v1/customers/{UNKNOWN}/spending", 404, "wallet-unknown"),
        (f"/v1/customers/{UNKNOWN}/preference", 404, "wallet-unknown"),
        (f"/v1/redemptions/{UNKNOWN}", 404, "redemption-unknown"),
        ("/v1/redemptions?state=lost", 400, "malformed"),
        ("/v1/redemptions?cursor=nonsense", 400, "cursor-invalid"),
        (f"/v1/merchant/seals?cursor={make_cursor(-1, -1)}", 400, "cursor-invalid"),
        ("/v1/merchant/preference?first_day=1999-01-01", 400, "malformed"),
        ("/v1/merchant/preference?last_day=9999-12-31", 400, "malformed"),
    ],
)
async def test_bad_input_gets_a_problem_with_a_stable_code(shop, path, status, code):
    found, body = await shop.get(path)

    assert (found, body["code"]) == (status, code)


@pytest.mark.parametrize("path", ["customers/x/wallet", "agreements/1/ledger", "explain/none"])
async def test_an_id_that_is_none_is_refused(shop, path):
    status, body = await shop.get(f"/v1/{path}")

    assert status in {400, 404}
    assert body["status"] == status
