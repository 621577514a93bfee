"""A request repeated under its Idempotency-Key has one effect and one answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared import idempotency
from shared.db import Database
from tests.shared.test_web import THING, problem
from tests.support.waiting import until
from tests.support.web_api import NOON, Served, served


@pytest.fixture
async def shop(signing_db: Database) -> AsyncIterator[Served]:
    async with served(signing_db) as running:
        yield running


async def rows(db: Database) -> int:
    async with db.connection() as conn:
        return int(await conn.fetchval("SELECT count(*) FROM job_runs"))


async def test_the_same_request_again_gets_the_same_answer(shop):
    first = await shop.add(THING, idempotency_key="one")
    again = await shop.add(THING, idempotency_key='"one"')

    assert (first.status, again.status) == (201, 201)
    assert await first.read() == await again.read()
    assert first.content_type == again.content_type == "application/json"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (shop.deps.runs, await rows(shop.deps.db)) == (1, 1)


async def test_a_refusal_is_repeated_too(shop):
    for replayed in (None, "true"):
        answer = await shop.add({**THING, "name": "full"})
        assert (await answer.json())["code"] == "shelf-full"
        assert (answer.status, answer.headers.get("Idempotency-Replayed")) == (409, replayed)
        assert answer.content_type == "application/problem+json"
    assert shop.deps.runs == 1


async def test_another_body_under_the_same_key_is_422(shop):
    await shop.add(THING)

    answer = await shop.add({**THING, "price_fen": 5})

    await problem(answer, 422, "idempotency-key-reused")
    assert shop.deps.runs == 1


async def test_another_tenant_may_use_the_same_key(shop):
    await shop.add(THING)
    headers = shop.headers(shop.operator, **{"Idempotency-Key": "k"})

    answer = await shop.client.post("/v1/things", json={**THING, "count": 2}, headers=headers)

    assert answer.status == 201
    assert shop.deps.ids[0] != shop.deps.ids[1]


async def test_while_the_first_is_in_work_the_second_is_409(shop):
    first = asyncio.create_task(shop.add({**THING, "name": "slow"}))
    await until(lambda: shop.deps.runs == 1)

    await problem(await shop.add({**THING, "name": "slow"}), 409, "idempotency-key-in-flight")
    shop.deps.gate.set()
    assert (await first).status == 201
    assert (await shop.add({**THING, "name": "slow"})).headers["Idempotency-Replayed"] == "true"


async def test_of_many_at_once_one_runs(shop):
    answers = await asyncio.gather(*(shop.add(THING) for _ in range(20)))

    assert {answer.status for answer in answers} <= {201, 409}
    assert (shop.deps.runs, await rows(shop.deps.db)) == (1, 1)


async def test_a_failure_is_not_final(shop):
    body = {**THING, "name": "breaks once"}

    assert (await shop.add(body)).status == 500
    assert (await shop.add(body)).status == 201
    assert (await shop.add(body)).headers["Idempotency-Replayed"] == "true"


async def test_after_a_crash_the_lapsed_request_lands_on_the_same_rows(shop):
    """The process died after the handler's commit and before the answer was kept."""
    await shop.add(THING)
    async with shop.deps.db.transaction() as conn:
        await conn.execute(
            "UPDATE idempotency_keys SET status = NULL, content_type = NULL, body = NULL"
        )
    await problem(await shop.add(THING), 409, "idempotency-key-in-flight")

    shop.clock.set(NOON + idempotency.LEASE)
    answer = await shop.add(THING)

    assert answer.status == 201
    assert shop.deps.ids[0] == shop.deps.ids[1]
    assert (shop.deps.runs, await rows(shop.deps.db)) == (2, 1)


async def test_who_was_overtaken_cannot_store_an_answer(signing_db):
    slot = idempotency.Slot("c", "POST /x", "k", idempotency.fingerprint("/x", b""))
    later = NOON + idempotency.LEASE
    slow, quick = (idempotency.Answer(200, "text/plain", text) for text in (b"slow", b"quick"))
    async with signing_db.transaction() as conn:
        overtaken = await idempotency.claim(conn, slot, now=NOON)
        fence = await idempotency.claim(conn, slot, now=later)
        assert isinstance(overtaken, int)
        assert isinstance(fence, int)
        await idempotency.store(conn, slot, overtaken, slow)
        await idempotency.store(conn, slot, fence, quick)

        assert await idempotency.claim(conn, slot, now=later) == quick


async def test_answers_are_forgotten_after_their_time(signing_db):
    slot = idempotency.Slot("c", "POST /x", "k", idempotency.fingerprint("/x", b""))
    async with signing_db.transaction() as conn:
        await idempotency.claim(conn, slot, now=NOON)

        assert await idempotency.forget_old(conn, now=NOON + idempotency.KEPT) == 0
        late = NOON + idempotency.KEPT + timedelta(seconds=1)
        assert await idempotency.forget_old(conn, now=late) == 1


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "idempotency-key-missing"),
        ("", "idempotency-key-malformed"),
        ('""', "idempotency-key-malformed"),
        ("x" * 256, "idempotency-key-malformed"),
        ("钥匙", "idempotency-key-malformed"),
    ],
)
async def test_a_post_needs_a_proper_key(shop, header, code):
    headers = shop.headers() if header is None else shop.headers(**{"Idempotency-Key": header})

    answer = await shop.client.post("/v1/things", json=THING, headers=headers)

    await problem(answer, 400, code)
