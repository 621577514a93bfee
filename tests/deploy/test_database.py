"""The pool: transactions, the doorbell, JSON, and what it does when it is full."""

import asyncio

import asyncpg
import pytest

from shared.db import Database


async def count(db):
    async with db.connection() as conn:
        return await conn.fetchval("SELECT count(*) FROM inbox")


async def hear(conn):
    await conn.execute("INSERT INTO inbox (consumer, event_id) VALUES ('x', gen_random_uuid())")


async def test_a_commit_rings_for_everybody_who_subscribed(billing_db):
    first, second = billing_db.committed.subscribe(), billing_db.committed.subscribe()

    async with billing_db.transaction() as conn:
        await hear(conn)
        assert not first.is_set()

    assert first.is_set()
    assert second.is_set()
    assert await count(billing_db) == 1


async def test_a_rollback_leaves_nothing_and_rings_for_nobody(billing_db):
    bell = billing_db.committed.subscribe()

    async def fail_halfway():
        async with billing_db.transaction() as conn:
            await hear(conn)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_halfway()

    assert not bell.is_set()
    assert await count(billing_db) == 0


async def test_a_quiet_commit_rings_for_nobody(billing_db):
    bell = billing_db.committed.subscribe()

    async with billing_db.transaction(quiet=True) as conn:
        await hear(conn)

    assert not bell.is_set()
    assert await count(billing_db) == 1


async def test_a_cancelled_transaction_gives_its_connection_back_clean(billing_db):
    inside = asyncio.Event()

    async def hang():
        async with billing_db.transaction() as conn:
            await hear(conn)
            inside.set()
            await asyncio.Event().wait()

    for _ in range(7):  # more often than there are connections
        task = asyncio.create_task(hang())
        await inside.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        inside.clear()

    assert await count(billing_db) == 0


async def test_jsonb_is_read_as_it_was_written(billing_db):
    said = {"名": ["猫", 1, None, True], "nested": {"fen": 2**53}}

    async with billing_db.connection() as conn:
        assert await conn.fetchval("SELECT $1::jsonb", said) == said
        assert await conn.fetchval("SELECT $1::jsonb->>'名'", said) == '["猫", 1, null, true]'


async def test_every_connection_has_the_schema_the_zone_and_the_limits(billing_db):
    async with billing_db.connection() as conn:
        assert await conn.fetchval("SHOW search_path") == "billing"
        assert await conn.fetchval("SHOW timezone") == "UTC"
        assert await conn.fetchval("SHOW statement_timeout") == "30s"
        assert await conn.fetchval("SHOW idle_in_transaction_session_timeout") == "30s"
        assert await conn.fetchval("SHOW application_name") == "test-billing"


async def test_a_statement_that_takes_too_long_is_ended(databases):
    async with databases.fresh_name("billing") as name:
        dsn = databases.dsn(name, role="billing")
        db = await Database.open(dsn, schema="billing", name="short", statement_timeout_s=0.1)
        async with db.connection() as conn:
            with pytest.raises(asyncpg.QueryCanceledError):
                await conn.execute("SELECT pg_sleep(5)")
        assert await db.ping()
        await db.close()


async def test_a_closed_database_does_not_answer(databases):
    async with databases.fresh("billing") as db:
        assert await db.ping()
        await db.close()
        assert not await db.ping()


async def test_an_old_server_is_refused(billing_db):
    with pytest.raises(RuntimeError, match="PostgreSQL 99"):
        await billing_db.require_version(990000)
