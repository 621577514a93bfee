"""The supervisor: everything starts, what dies comes back, everything ends."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import asyncpg
import orjson
import pytest

from deploy.embedded import Nats, Postgres, place_for_ordinary_user
from deploy.platform import Platform, instant
from deploy.processes import EmbeddedError, free_port, process_runs
from deploy.supervisor import Child, PlatformError, Program

ROOT = Path(__file__).resolve().parents[2]
STUB = {"billing": "tests.support.stub_service"}


async def until(condition, *, timeout_s=20.0):
    """Wait for *condition*; fail when it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.05)


def a_platform(directory, *, replicas=None):
    return Platform(
        directory,
        services=("billing", "nobody"),
        modules=STUB,
        simulators=(),
        replicas=replicas,
        fsync=False,
        say=lambda _: None,
    )


async def status(url, *, key=None):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status
    except aiohttp.ClientError:
        return None


@pytest.fixture(scope="module")
async def platform(tmp_path_factory):
    async with a_platform(tmp_path_factory.mktemp("run"), replicas={"billing": 2}) as running:
        yield running


async def test_every_process_answers_and_is_written_down(platform):
    state = orjson.loads(platform.state_file.read_bytes())

    processes = {one["name"]: one for one in state["processes"]}
    assert set(processes) == {"postgres", "nats", "billing", "billing-2"}
    assert all(process_runs(one["pid"], needle="") for one in processes.values())
    assert len(platform.urls("billing")) == 2
    for url in platform.urls("billing"):
        assert await status(f"{url}/readyz") == 200
    assert platform.state_file.stat().st_mode & 0o077 == 0


async def test_the_operator_key_opens_every_service(platform):
    url = f"{platform.url('billing')}/ops/dead-letters"

    assert await status(url) == 401
    assert await status(url, key=platform.operator_key) == 200


async def test_a_service_that_is_not_here_is_skipped_with_a_note(platform):
    assert platform.skipped == ("nobody",)
    assert any("nobody" in note for note in platform.notes)


async def test_a_killed_service_comes_back_on_its_port(platform):
    before = platform.processes["billing"]

    platform.kill("billing")

    async def back():
        return platform.processes["billing"] not in {before, None}

    await until(back)
    await platform.wait_ready("billing")
    assert await status(f"{platform.url('billing')}/readyz") == 200
    assert platform.restarts("billing") == 1
    state = orjson.loads(platform.state_file.read_bytes())
    written = {one["name"]: one["pid"] for one in state["processes"]}
    assert written["billing"] == platform.processes["billing"]


async def test_a_stopped_service_stays_down_until_it_is_started(platform):
    await platform.stop("billing-2")
    assert platform.processes["billing-2"] is None

    await platform.start("billing-2")
    assert await status(f"{platform.urls('billing')[1]}/readyz") == 200


@pytest.mark.parametrize("server", ["postgres", "nats"])
async def test_a_killed_server_comes_back_and_the_services_recover(platform, server):
    before = platform.processes[server]
    platform.kill(server)

    async def back():
        return platform.processes[server] not in {before, None}

    async def ready():
        return await status(f"{platform.url('billing')}/readyz") == 200

    await until(back)
    await until(ready)


async def test_its_output_is_kept(platform):
    log = platform.directory / "logs" / "billing.log"

    assert b"service.started" in log.read_bytes()


async def test_the_roles_of_the_embedded_database_are_the_real_ones(platform):
    conn = await asyncpg.connect(platform.dsn("billing"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute("CREATE TABLE mine (id int)")
    finally:
        await conn.close()


async def test_two_platforms_do_not_share_a_directory(platform):
    state = orjson.loads(platform.state_file.read_bytes())
    somebody = {**state, "pid": platform.processes["billing"]}
    platform.state_file.write_bytes(orjson.dumps(somebody))

    with pytest.raises(PlatformError, match="already"):
        await a_platform(platform.directory).__aenter__()

    platform.state_file.write_bytes(orjson.dumps(state))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--directory", "{here}"), "A platform runs in {here} already"),
        (("--directory", "/proc/nowhere"), "The platform cannot run in /proc/nowhere: "),
        (("--now", "yesterday"), "--now: invalid instant value: 'yesterday'"),
    ],
)
def test_what_stands_in_its_way_is_said_in_a_sentence(tmp_path, words, said):
    mine = {"pid": os.getpid()}
    (tmp_path / "platform.json").write_bytes(orjson.dumps(mine))

    told = subprocess.run(
        [sys.executable, "-m", "deploy.platform", *(word.format(here=tmp_path) for word in words)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert told.returncode != 0
    assert said.format(here=tmp_path) in told.stderr.splitlines()[-1]
    assert "Traceback" not in told.stderr


def test_an_instant_without_an_offset_is_meant_in_china():
    assert instant("2026-12-01T09:00") == instant("2026-12-01T01:00:00+00:00")


async def test_a_program_that_cannot_start_says_why(tmp_path):
    program = Program(
        name="broken",
        kind="service",
        module="tests.support.no_such_module",
        url="",
        probes=(f"http://127.0.0.1:{free_port()}/readyz",),
    )
    child = Child(program, logs=tmp_path, restart=True, changed=lambda _: None)
    child.start()

    with pytest.raises(PlatformError, match="no_such_module"):
        await child.ready()
    await child.stop()


def run_aside(directory):
    """A platform in a process of its own, for ends that would end the test as well."""
    code = (
        # A shell lets what it runs in the background ignore SIGINT; this one is at the front.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import asyncio\nfrom pathlib import Path\nfrom deploy.platform import Platform\n"
        "async def main():\n"
        f"    async with Platform(Path({str(directory)!r}), services=('billing',),\n"
        f"                        modules={STUB!r}, simulators=(), fsync=False):\n"
        "        print('up', flush=True)\n        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "up\n":
        assert line, "it never came up"
    state = orjson.loads((directory / "platform.json").read_bytes())
    return process, {one["name"]: one["pid"] for one in state["processes"]}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(tmp_path, number):
    process, pids = run_aside(tmp_path)

    process.send_signal(number)
    process.wait(30)

    assert [name for name, pid in pids.items() if process_runs(pid, needle="")] == []
    assert not (tmp_path / "platform.json").exists()


async def test_a_platform_after_a_killed_one_clears_up_and_goes_on(tmp_path):
    process, pids = run_aside(tmp_path)
    process.kill()
    process.wait(30)
    assert process_runs(pids["billing"], needle="stub_service")

    async with a_platform(tmp_path) as again:
        assert not process_runs(pids["billing"], needle="stub_service")
        assert not process_runs(pids["nats"], needle="nats-server")
        assert await status(f"{again.url('billing')}/readyz") == 200


def test_a_cluster_keeps_its_data_over_a_power_cut(tmp_path):
    server = Postgres(tmp_path / "postgres")
    server.start()

    async def execute(statement):
        conn = await asyncpg.connect(server.dsn())
        try:
            return await conn.fetchval(statement)
        finally:
            await conn.close()

    asyncio.run(execute("CREATE TABLE kept AS SELECT 1 AS id"))
    server.kill()
    server.start()
    assert asyncio.run(execute("SELECT id FROM kept")) == 1
    server.stop()
    server.stop()
    assert server.pid is None


def test_without_user_namespaces_an_ordinary_user_runs_the_cluster(tmp_path):
    user = "nobody" if os.geteuid() == 0 else None  # who is no root is that user already
    server = Postgres(tmp_path / "postgres", fsync=False, run_as=user)
    try:
        server.start()
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    finally:
        server.stop()
        shutil.rmtree(place_for_ordinary_user(server.directory), ignore_errors=True)


def test_a_port_that_is_taken_is_named(tmp_path):
    first = Nats(tmp_path / "first")
    first.start()
    second = Nats(tmp_path / "second", port=first.port)
    try:
        with pytest.raises(EmbeddedError, match=str(first.port)):
            second.start()
    finally:
        first.stop()
        second.stop()
