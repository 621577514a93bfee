"""A service sees its own schema and nothing else."""

import asyncpg
import pytest
from asyncpg import InsufficientPrivilegeError

from deploy.schemas import AUDITOR, prepare_schema


@pytest.fixture
async def shared_database(databases):
    """One database with two services in it, as the platform has them."""
    async with databases.fresh_name("billing", "wallet") as name:
        yield name


@pytest.fixture
async def as_role(databases, shared_database):
    """`await as_role("billing")`: a connection to the common database as this role."""
    opened = []

    async def connect(role):
        conn = await asyncpg.connect(databases.dsn(shared_database, role=role))
        opened.append(conn)
        return conn

    yield connect
    for conn in opened:
        await conn.close()


@pytest.mark.parametrize("table", ["wallet.inbox", "wallet.outbox", "wallet.schema_migrations"])
async def test_billing_cannot_read_the_tables_of_wallet(as_role, table):
    billing = await as_role("billing")

    with pytest.raises(InsufficientPrivilegeError):
        await billing.fetch(f"SELECT * FROM {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE billing.mine (id int)",
        "CREATE TABLE wallet.mine (id int)",
        "CREATE TABLE public.mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "DROP TABLE billing.outbox",
        "TRUNCATE billing.outbox",
        "ALTER TABLE billing.outbox ADD mine int",
        "DELETE FROM billing.schema_migrations",
        "INSERT INTO wallet.inbox (consumer, event_id) VALUES ('x', gen_random_uuid())",
        "SET ROLE wallet",
        "SET ROLE billing_owner",
        "CREATE ROLE mine",
    ],
)
async def test_billing_can_neither_make_tables_nor_become_somebody_else(as_role, statement):
    billing = await as_role("billing")

    with pytest.raises(InsufficientPrivilegeError):
        await billing.execute(statement)


async def test_a_service_writes_rows_of_its_own(as_role):
    billing = await as_role("billing")

    await billing.execute("INSERT INTO inbox (consumer, event_id) VALUES ('x', gen_random_uuid())")

    assert await billing.fetchval("SELECT count(*) FROM billing.inbox") == 1


async def test_the_auditor_reads_every_schema_and_writes_none(as_role):
    auditor = await as_role(AUDITOR)

    assert await auditor.fetchval("SELECT count(*) FROM billing.outbox") == 0
    assert await auditor.fetchval("SELECT count(*) FROM wallet.outbox") == 0
    await auditor.execute("SET default_transaction_read_only = off")
    with pytest.raises(InsufficientPrivilegeError):
        await auditor.execute("DELETE FROM wallet.outbox")


async def test_a_wrong_password_is_refused(databases, shared_database):
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(databases.cluster.dsn(shared_database, user="billing", password="x"))


async def test_preparing_twice_changes_nothing(databases, shared_database, as_role):
    conn = await asyncpg.connect(databases.cluster.dsn(shared_database))
    try:
        assert await prepare_schema(conn, "billing", passwords=databases.passwords) == []
    finally:
        await conn.close()

    assert await (await as_role("billing")).fetchval("SELECT count(*) FROM outbox") == 0


async def test_what_a_later_migration_adds_is_open_to_its_service_at_once(
    databases, shared_database, as_role
):
    conn = await asyncpg.connect(databases.cluster.dsn(shared_database))
    try:
        await conn.execute("SET ROLE wallet_owner; CREATE TABLE wallet.later (id int)")
    finally:
        await conn.close()

    wallet, billing = await as_role("wallet"), await as_role("billing")
    await wallet.execute("INSERT INTO later VALUES (1)")
    with pytest.raises(InsufficientPrivilegeError):
        await billing.fetch("SELECT * FROM wallet.later")
