"""Migrations: once each, in order, all or nothing."""

import asyncio

import asyncpg
import pytest

from shared.migrate import NO_TRANSACTION, MigrationError, migrate


@pytest.fixture
async def connect(databases):
    """`await connect()`: a superuser's connection to a database with an empty schema."""
    opened = []
    async with databases.fresh_name("billing") as name:

        async def open_one():
            opened.append(await asyncpg.connect(databases.cluster.dsn(name)))
            return opened[-1]

        first = await open_one()
        await first.execute("CREATE SCHEMA trial")
        yield open_one
        for conn in opened:
            await conn.close()


async def test_files_are_applied_once_and_in_the_order_of_their_numbers(connect, tmp_path):
    conn = await connect()
    (tmp_path / "0002_more.sql").write_text("INSERT INTO things VALUES (2);")
    (tmp_path / "0001_things.sql").write_text("CREATE TABLE things (id int);")

    first = await migrate(conn, tmp_path, schema="trial")
    again = await migrate(conn, tmp_path, schema="trial")

    assert first == ["service/0001_things", "service/0002_more"]
    assert again == []
    assert await conn.fetchval("SELECT count(*) FROM trial.things") == 1


async def test_two_series_live_in_one_schema(connect, tmp_path):
    conn = await connect()
    for series in ("shared", "billing"):
        (tmp_path / series).mkdir()
        (tmp_path / series / "0001_table.sql").write_text(f"CREATE TABLE t_{series} (id int);")
        await migrate(conn, tmp_path / series, schema="trial", series=series)

    names = await conn.fetch("SELECT name FROM trial.schema_migrations ORDER BY name")
    assert [row["name"] for row in names] == ["billing/0001_table", "shared/0001_table"]


async def test_a_file_that_fails_leaves_nothing_and_comes_again(connect, tmp_path):
    conn = await connect()
    file = tmp_path / "0001_things.sql"
    file.write_text("CREATE TABLE things (id int); SELECT 1 / 0;")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(conn, tmp_path, schema="trial")
    file.write_text("CREATE TABLE things (id int);")

    assert await migrate(conn, tmp_path, schema="trial") == ["service/0001_things"]


async def test_an_applied_file_may_not_be_edited(connect, tmp_path):
    conn = await connect()
    file = tmp_path / "0001_things.sql"
    file.write_text("CREATE TABLE things (id int);")
    await migrate(conn, tmp_path, schema="trial")
    file.write_text("CREATE TABLE things (id bigint);")

    with pytest.raises(MigrationError, match="edited"):
        await migrate(conn, tmp_path, schema="trial")


@pytest.mark.parametrize("names", [["1_short.sql"], ["0001_a.sql", "0001_b.sql"], ["0001-a.sql"]])
async def test_a_directory_out_of_order_is_refused(connect, tmp_path, names):
    conn = await connect()
    for name in names:
        (tmp_path / name).write_text("SELECT 1;")

    with pytest.raises(MigrationError):
        await migrate(conn, tmp_path, schema="trial")


async def test_a_marked_file_runs_outside_a_transaction(connect, tmp_path):
    conn = await connect()
    (tmp_path / "0001_things.sql").write_text("CREATE TABLE things (id int);")
    (tmp_path / "0002_index.sql").write_text(
        f"{NO_TRANSACTION}\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_id ON things (id);"
    )

    applied = await migrate(conn, tmp_path, schema="trial")

    assert applied == ["service/0001_things", "service/0002_index"]


async def test_several_processes_at_once_apply_each_file_once(connect, tmp_path):
    (tmp_path / "0001_things.sql").write_text(
        "CREATE TABLE things (id int); SELECT pg_sleep(0.1); INSERT INTO things VALUES (1);"
    )
    conns = [await connect() for _ in range(3)]

    applied = await asyncio.gather(*(migrate(conn, tmp_path, schema="trial") for conn in conns))

    assert sorted(map(len, applied)) == [0, 0, 1]
    assert await conns[0].fetchval("SELECT count(*) FROM trial.things") == 1
