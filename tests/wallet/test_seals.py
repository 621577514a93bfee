"""The chain over transfers: every night one link, and nothing sealed can be changed unseen."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.wallet.usecases.check_invariants import (
    check_invariants,
    prove_balances,
    seal_transfers,
)
from shared.db import Connection, Database
from tests.support.servers import TestDatabases
from tests.support.shop_counter import Counter, a_counter
from tests.support.wallet_builders import a_collection, a_dispatch, an_instalment


@pytest.fixture
async def counter(wallet_db: Database) -> AsyncIterator[Counter]:
    """Two nights: a collection sealed in the first, its parcel in the second."""
    async with a_counter(wallet_db) as counter:
        await counter.wallet.hear(a_collection(1), a_collection(2))
        assert await check_invariants(counter.wallet.deps) == 0
        await counter.wallet.hear(a_dispatch(1))
        assert await check_invariants(counter.wallet.deps) == 0
        yield counter


@pytest.fixture
async def owner(counter: Counter, databases: TestDatabases) -> AsyncIterator[Connection]:
    """Somebody whom no trigger stops."""
    async with counter.wallet.db.connection() as conn:
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(databases.cluster.dsn(name))
    try:
        await owner.execute("SET session_replication_role = replica; SET search_path TO wallet")
        yield owner
    finally:
        await owner.close()


async def test_each_night_adds_a_link_for_what_is_new_and_none_for_nothing(counter):
    assert await seal_transfers(counter.wallet.deps) == 0

    _, body = await counter.get("/v1/merchant/seals")

    assert [(seal["seq"], seal["transfers"]) for seal in body["items"]] == [(2, 3), (1, 4)]
    assert body["items"][1]["total_fen"] == 2 * 19900 + 2 * 15000
    _, newest = await counter.get("/v1/merchant/seals?limit=1")
    _, older = await counter.get(f"/v1/merchant/seals?cursor={newest['next_cursor']}")
    assert newest["items"] + older["items"] == body["items"]


async def test_several_replicas_at_once_make_one_link(counter):
    await counter.wallet.hear(a_collection(3))

    sealed = await asyncio.gather(*(seal_transfers(counter.wallet.deps) for _ in range(4)))

    assert sorted(sealed) == [0, 0, 0, 2]
    assert await prove_balances(counter.wallet.db) == []


STANDS = "a sealed transfer stands as it was sealed"
COVERS = "a seal covers what it covered"
PLANTED = {
    "a changed amount": (
        "UPDATE transfers SET amount_fen = amount_fen + 1 WHERE kind = 'captured_fee'",
        {STANDS},
    ),
    "a changed account": (
        "UPDATE transfers SET credit_account = 'platform:fee' WHERE kind = 'captured_supply'",
        {STANDS},
    ),
    "a changed moment": (
        (
            "UPDATE transfers SET occurred_at = occurred_at + interval '1 second'"
            f" WHERE kind = 'held' AND cause_id = '{an_instalment(1)}'"
        ),
        {STANDS},
    ),
    "a missing row": (
        f"DELETE FROM transfers WHERE kind = 'held' AND cause_id = '{an_instalment(2)}'",
        {STANDS},
    ),
    "a row missing in both": (
        (
            "DELETE FROM transfers WHERE kind = 'captured';"
            "DELETE FROM sealed_transfers WHERE kind = 'captured'"
        ),
        {COVERS},
    ),
    "a row changed with its digest": (
        (
            "UPDATE transfers SET trade_no = 'T' WHERE kind = 'collected';"
            "UPDATE sealed_transfers s SET digest = transfer_digest(t) FROM transfers t"
            " WHERE t.cause_id = s.cause_id AND t.kind = s.kind"
        ),
        {COVERS},
    ),
    "a missing seal": ("DELETE FROM seals WHERE seq = 1", {COVERS}),
    "a seal made anew": ("UPDATE seals SET digest = sha256('x') WHERE seq = 1", {COVERS}),
    "a seal's number": ("UPDATE seals SET seq = 3 WHERE seq = 2", {COVERS}),
}


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_change_of_what_is_sealed_is_found_and_told(counter, owner, planted):
    statement, expected = PLANTED[planted]
    _, before = await counter.get("/v1/merchant/proof")
    assert (before["proven"], before["transfers"], before["differences"]) == (True, 7, [])

    await owner.execute(statement)

    found = {d.check for d in await prove_balances(counter.wallet.db)}
    assert found & {STANDS, COVERS} == expected
    _, after = await counter.get("/v1/merchant/proof")
    assert not after["proven"]
    assert {d["check"] for d in after["differences"]} == found


async def test_the_service_itself_cannot_change_what_is_sealed(counter):
    for table in ("transfers", "seals", "sealed_transfers"):
        for statement in (f"UPDATE {table} SET merchant_id = merchant_id", f"DELETE FROM {table}"):
            async with counter.wallet.db.connection() as conn:
                with pytest.raises(asyncpg.PostgresError):
                    await conn.execute(statement)


async def test_a_proof_is_asked_with_its_own_scope_and_shows_only_ones_own(counter):
    assert (await counter.get("/v1/merchant/proof", who="reader"))[0] == 403
    _, theirs = await counter.get("/v1/merchant/proof", who="foreign")
    assert (theirs["proven"], theirs["accounts"], theirs["head"]) == (True, 0, None)
