"""The database comes back from kills and from backups."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded import Postgres
from deploy.processes import EmbeddedError
from tests.support.waiting import until


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "one", options={"shared_buffers": "16MB"})
    server.start()
    yield server
    server.stop()


async def ask(server, statement):
    conn = await asyncpg.connect(server.dsn())
    try:
        return await conn.fetchval(statement)
    finally:
        await conn.close()


async def test_killed_while_one_of_its_processes_does_not_die_yet(postgres):
    log = postgres.directory / "postgres.log"
    conn = await asyncpg.connect(postgres.dsn())
    backend = await conn.fetchval("SELECT pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)
    postgres.kill()
    conn.terminate()

    starting = asyncio.create_task(asyncio.to_thread(postgres.start))
    await until(lambda: "pre-existing shared memory" in log.read_text())
    os.kill(backend, signal.SIGCONT)
    await starting

    assert await ask(postgres, "SELECT 1") == 1


async def test_a_backup_of_a_running_cluster_is_what_stood_then(postgres, tmp_path):
    await ask(postgres, "CREATE TABLE told (n integer)")
    await ask(postgres, "INSERT INTO told VALUES (1)")
    await asyncio.to_thread(postgres.back_up, tmp_path / "backup")
    await ask(postgres, "INSERT INTO told VALUES (2)")
    with pytest.raises(EmbeddedError, match="cannot be replaced"):
        postgres.restore(tmp_path / "backup")

    postgres.stop()
    postgres.restore(tmp_path / "backup")
    postgres.start()
    assert await ask(postgres, "SELECT sum(n) FROM told") == 1

    other = Postgres(tmp_path / "other", options={"shared_buffers": "16MB"})
    other.restore(tmp_path / "backup")
    with closing(_Stopping(other)):
        other.start()
        assert await ask(other, "SELECT sum(n) FROM told") == 1


class _Stopping:
    def __init__(self, server: Postgres) -> None:
        self.close = server.stop
