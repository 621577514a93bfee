"""What the HTTP kit promises about requests, answers, keys and limits."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse

from shared.api_keys import REMEMBERED_FOR, install_key, issue_key, new_token, revoke_key
from shared.db import Database
from shared.ids import derived_id, new_id
from shared.web import CursorInvalid, Limits, make_cursor, read_cursor
from tests.support.waiting import until
from tests.support.web_api import NOON, TENANT, Served, served

THING = {"name": "a bowl", "price_fen": 1990}


@pytest.fixture
async def shop(signing_db: Database) -> AsyncIterator[Served]:
    async with served(signing_db) as running:
        yield running


async def problem(answer: ClientResponse, status: int, code: str) -> dict[str, Any]:
    """Return the document of *answer*, having checked that it is that problem."""
    assert answer.status == status, await answer.text()
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = await answer.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"/problems/{code}"
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert document["title"]
    assert document["detail"]
    return document


async def test_a_thing_is_added_and_answered_with_201(shop):
    answer = await shop.add({**THING, "size": "large", "owner_id": str(TENANT)})

    assert answer.status == 201
    assert answer.content_type == "application/json"
    assert (await answer.json())["name"] == "a bowl"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": 5}, "#/name"),
        ({"name": ""}, "#/name"),
        ({"name": None}, "#/name"),
        ({"price_fen": "1990"}, "#/price_fen"),
        ({"price_fen": 19.9}, "#/price_fen"),
        ({"price_fen": True}, "#/price_fen"),
        ({"price_fen": 0}, "#/price_fen"),
        ({"size": "huge"}, "#/size"),
        ({"owner_id": "zzzz"}, "#/owner_id"),
        ({"labels": [{"text": ""}]}, "#/labels/0/text"),
        ({"labels": {}}, "#/labels"),
        ({"colour/~": "red"}, "#/colour~1~0"),
        ({"count": 2**63}, "#"),
    ],
)
async def test_a_body_that_does_not_fit_names_the_place_and_nothing_else(shop, change, pointer):
    answer = await shop.add({**THING, **change})

    document = await problem(answer, 400, "malformed")
    assert [error["pointer"] for error in document["errors"]] == [pointer]
    assert "zzzz" not in json.dumps(document)
    assert shop.deps.runs == 0


async def test_missing_members_are_all_named(shop):
    document = await problem(await shop.add({}), 400, "malformed")

    assert {error["pointer"] for error in document["errors"]} == {"#/name", "#/price_fen"}


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5000, b'{"name": "\\ud800"}']
)
async def test_a_body_that_is_not_the_json_expected_is_malformed(shop, raw):
    headers = shop.headers(**{"Idempotency-Key": "k", "Content-Type": "application/json"})

    answer = await shop.client.post("/v1/things", data=raw, headers=headers)

    await problem(answer, 400, "malformed")


async def test_a_text_the_database_cannot_hold_is_malformed(shop):
    await problem(await shop.add({**THING, "name": "a\x00b"}), 400, "malformed")
    bad_query = await shop.client.get("/v1/things?tags=a%00b", headers=shop.headers())
    await problem(bad_query, 400, "malformed")


async def test_another_media_type_is_415(shop):
    headers = shop.headers(**{"Idempotency-Key": "k", "Content-Type": "text/xml"})

    answer = await shop.client.post("/v1/things", data=b"<a/>", headers=headers)

    await problem(answer, 415, "unsupported-media-type")


async def test_a_body_too_large_is_413_announced_or_streamed(shop):
    headers = shop.headers(**{"Idempotency-Key": "k", "Content-Type": "application/json"})

    async def stream():
        for _ in range(300):
            yield b" " * 1024

    announced = await shop.client.post("/v1/things", data=b" " * 262_145, headers=headers)
    await problem(announced, 413, "too-large")
    streamed = await shop.client.post("/v1/things", data=stream(), headers=headers)
    await problem(streamed, 413, "too-large")


async def test_unknown_paths_and_methods_are_problems_too(shop):
    await problem(await shop.client.get("/nowhere"), 404, "not-found")
    wrong = await shop.client.put("/v1/things")
    await problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["Allow"] == "GET, POST"


async def test_path_parameters_are_parsed_by_their_annotation(shop):
    found = await shop.client.get("/v1/shelves/7/abc")
    assert (await found.json())["name"] == "abc"

    for path, name in (("x/abc", "number"), (f"{2**63}/abc", "number"), ("7/ABC", "code")):
        document = await problem(await shop.client.get(f"/v1/shelves/{path}"), 400, "malformed")
        assert document["errors"][0]["parameter"] == name


async def test_an_unknown_id_is_404_with_its_facts(shop):
    missing = new_id()

    answer = await shop.client.get(f"/v1/things/{missing}", headers=shop.headers())

    document = await problem(answer, 404, "not-found")
    assert document["thing_id"] == str(missing)


async def test_raw_answers_and_empty_ones(shop):
    pdf = await shop.client.get("/v1/picture")
    assert (pdf.content_type, await pdf.read()) == ("application/pdf", b"%PDF-")
    assert pdf.headers["Content-Disposition"] == 'attachment; filename="thing.pdf"'

    gone = await shop.client.delete(f"/v1/things/{TENANT}", headers=shop.headers())
    assert gone.status == 204


async def test_pages_follow_each_other_to_the_end(shop):
    names, cursor = [], None
    while True:
        params = {"limit": "3"} if cursor is None else {"limit": "3", "cursor": cursor}
        answer = await shop.client.get("/v1/things", params=params, headers=shop.headers())
        page = await answer.json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert names == [str(number) for number in range(7)]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "colour=red", "size=huge"])
async def test_a_query_that_does_not_fit_is_malformed(shop, query):
    answer = await shop.client.get(f"/v1/things?{query}", headers=shop.headers())

    document = await problem(answer, 400, "malformed")
    assert document["errors"][0]["parameter"] == query.split("=")[0]


@pytest.mark.parametrize("cursor", ["x", "%%%", "bnVsbA", make_cursor("a", "b"), "W10", "é"])
async def test_a_cursor_made_elsewhere_is_malformed(shop, cursor):
    answer = await shop.client.get("/v1/things", params={"cursor": cursor}, headers=shop.headers())

    await problem(answer, 400, "cursor-invalid")


@pytest.mark.parametrize("number", [2**15, 2**62, -(2**15) - 1])
async def test_a_cursor_that_the_database_cannot_hold_was_made_elsewhere(shop, number):
    query = {"cursor": make_cursor(number, str(TENANT))}

    answer = await shop.client.get("/v1/things", params=query, headers=shop.headers())

    await problem(answer, 400, "cursor-invalid")


def test_a_cursor_brings_back_what_it_was_made_of():
    tie = new_id()

    assert read_cursor(make_cursor(7, tie), int, type(tie)) == (7, tie)
    with pytest.raises(CursorInvalid):
        read_cursor(make_cursor(7, 8), int, type(tie))


async def test_a_bug_is_500_and_says_nothing(shop):
    document = await problem(await shop.add({**THING, "name": "broken"}), 500, "internal")

    assert "13800138000" not in json.dumps(document)
    assert "RuntimeError" not in json.dumps(document)


async def test_a_slow_handler_is_cut_off(signing_db):
    async with served(signing_db, limits=Limits(timeout_s=0.2)) as shop:
        answer = await shop.add({**THING, "name": "slow"})

        await problem(answer, 503, "timed-out")
        assert answer.headers["Retry-After"] == "1"
        shop.deps.gate.set()
        assert (await shop.add({**THING, "name": "slow"})).status == 201


async def test_too_many_requests_at_once_are_told_to_come_again(signing_db):
    async with served(signing_db, limits=Limits(concurrent=1)) as shop:
        first = asyncio.create_task(shop.add({**THING, "name": "slow"}))
        await until(lambda: shop.deps.runs == 1)
        assert shop.activity.in_flight == 1

        await problem(await shop.client.get("/v1/picture"), 503, "overloaded")
        shop.deps.gate.set()
        assert (await first).status == 201
        assert shop.activity.in_flight == 0
        assert shop.activity.served == 1, "a request turned away is no work"


async def test_requests_in_work_finish_before_the_server_stops(signing_db):
    async with served(signing_db) as shop:
        request = asyncio.create_task(shop.add({**THING, "name": "slow"}))
        await until(lambda: shop.deps.runs == 1)
        stopping = asyncio.create_task(shop.client.server.close())
        shop.deps.gate.set()

        assert (await request).status == 201
        await stopping


async def test_a_key_that_asks_too_often_is_told_when_to_come_again(signing_db):
    async with served(signing_db, limits=Limits(per_key_per_s=0.1, per_key_burst=2)) as shop:
        for _ in range(2):
            fine = await shop.client.get("/v1/tenant", headers=shop.headers())
            assert fine.status == 200
        assert fine.headers["RateLimit"].startswith('"key";r=0')

        answer = await shop.client.get("/v1/tenant", headers=shop.headers())

        await problem(answer, 429, "rate-exceeded")
        assert 1 <= int(answer.headers["Retry-After"]) <= 10
        other = await shop.client.get("/v1/tenant", headers=shop.headers(shop.operator))
        assert other.status == 403, "another key has its own allowance"


# --- Keys ---------------------------------------------------------------------------------

NOBODYS_KEY = f"Bearer yf_live_{16 * '0'}_{48 * '0'}"


@pytest.mark.parametrize(
    "header",
    [None, "", "Basic eDp5", "Bearer", "Bearer x", NOBODYS_KEY],
)
async def test_without_a_known_key_it_is_401(shop, header):
    headers = {} if header is None else {"Authorization": header}

    answer = await shop.client.get("/v1/things", headers=headers)

    await problem(answer, 401, "unauthentic")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_right_id_with_a_wrong_secret_is_401(shop):
    forged = shop.key[:-4] + ("0000" if not shop.key.endswith("0000") else "1111")

    answer = await shop.client.get("/v1/things", headers=shop.headers(forged))

    await problem(answer, 401, "unauthentic")


async def test_a_key_of_another_environment_is_401(shop, signing_db):
    async with signing_db.transaction() as conn:
        key = await issue_key(
            conn, tenant_id=TENANT, scopes=["*"], name="x", now=NOON, environment="test"
        )

    await problem(
        await shop.client.get("/v1/things", headers=shop.headers(key)), 401, "unauthentic"
    )


async def test_a_key_without_the_scope_is_403(shop, signing_db):
    async with signing_db.transaction() as conn:
        key = await issue_key(conn, tenant_id=TENANT, scopes=["other"], name="x", now=NOON)

    answer = await shop.client.get("/v1/things", headers=shop.headers(key))

    assert (await problem(answer, 403, "scope-missing"))["scope"] == "things:read"


async def test_a_revoked_key_stops_working_when_it_is_forgotten(shop, signing_db):
    """Two keys live side by side, which is how a key is rotated."""
    async with signing_db.transaction() as conn:
        fresh = await issue_key(conn, tenant_id=TENANT, scopes=["*"], name="new", now=NOON)
    for key in (shop.key, fresh):
        assert (await shop.client.get("/v1/tenant", headers=shop.headers(key))).status == 200

    async with signing_db.transaction() as conn:
        await revoke_key(conn, shop.key.split("_")[2], now=NOON)
    shop.clock.set(NOON + REMEMBERED_FOR)

    await problem(await shop.client.get("/v1/tenant", headers=shop.headers()), 401, "unauthentic")
    assert (await shop.client.get("/v1/tenant", headers=shop.headers(fresh))).status == 200


async def test_a_key_ends_at_its_time_even_while_remembered(shop, signing_db):
    async with signing_db.transaction() as conn:
        end = NOON + timedelta(seconds=5)
        key = await issue_key(
            conn, tenant_id=TENANT, scopes=["*"], name="x", now=NOON, not_after=end
        )
    assert (await shop.client.get("/v1/tenant", headers=shop.headers(key))).status == 200

    shop.clock.set(end)

    await problem(
        await shop.client.get("/v1/tenant", headers=shop.headers(key)), 401, "unauthentic"
    )


async def test_a_key_made_elsewhere_is_installed_once(signing_db):
    token = new_token("live")
    async with signing_db.transaction() as conn:
        done = [
            await install_key(conn, token, tenant_id=None, scopes=["*"], name="x", now=NOON)
            for _ in range(2)
        ]

    assert done == [True, False]


async def test_the_operator_acts_for_the_tenant_it_names(shop):
    other = derived_id("another tenant")
    for key, tenant, status, code in (
        (shop.operator, None, 403, "tenant-needed"),
        (shop.operator, "x", 400, "malformed"),
        (shop.key, other, 403, "tenant-foreign"),
    ):
        named = {} if tenant is None else {"Tenant-Id": str(tenant)}
        answer = await shop.client.get("/v1/tenant", headers=shop.headers(key, **named))
        await problem(answer, status, code)

    for key, tenant in ((shop.operator, other), (shop.key, TENANT)):
        headers = shop.headers(key, **{"Tenant-Id": str(tenant)})
        answer = await shop.client.get("/v1/tenant", headers=headers)
        assert (await answer.json())["thing_id"] == str(tenant)


# --- Webhooks -----------------------------------------------------------------------------


async def test_a_webhook_gets_the_raw_body_and_answers_in_its_own_way(shop):
    answer = await shop.client.post("/webhooks/door", data=b"a=1&b=2")

    assert (answer.status, await answer.text()) == (200, "heard 7")


async def test_a_webhook_too_large_is_413(shop):
    await problem(await shop.client.post("/webhooks/door", data=b"x" * 1001), 413, "too-large")


async def test_a_webhook_that_fails_answers_in_the_providers_form(shop):
    answer = await shop.client.post("/webhooks/bell/abc", data=b"x")
    assert (answer.status, await answer.json()) == (200, {"result": False})

    await problem(await shop.client.post("/webhooks/door", data=b"garbage"), 500, "internal")


async def test_a_webhooks_impossible_address_is_the_callers_mistake(shop):
    await problem(await shop.client.post("/webhooks/bell/%00", data=b"x"), 400, "malformed")
    await problem(await shop.client.post("/webhooks/bell/ABC", data=b"x"), 400, "malformed")


# --- Documents ----------------------------------------------------------------------------


async def test_each_kind_of_problem_has_a_page(shop):
    page = await shop.client.get("/problems/shelf-full")

    assert page.status == 200
    assert "Nothing more fits on this shelf" in await page.text()
    await problem(await shop.client.get("/problems/none-such"), 404, "not-found")


async def test_a_callers_request_id_is_kept_if_it_looks_like_one(shop):
    kept = await shop.client.get("/v1/picture", headers={"X-Request-Id": "abcdef-123456"})
    assert kept.headers["X-Request-Id"] == "abcdef-123456"

    replaced = await shop.client.get("/v1/picture", headers={"X-Request-Id": "a b"})
    assert replaced.headers["X-Request-Id"] != "a b"
