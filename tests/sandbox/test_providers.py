"""Nine simulators in one process: arguments, keys, books and ports."""

import asyncio
import sys
from typing import Any

import orjson
from aiohttp import ClientConnectorError, ClientSession

from deploy.processes import free_port
from deploy.sandbox import keys
from deploy.sandbox.providers import SIMULATORS, sandboxes

DEADLINE_S = 30


async def answer_of(http: ClientSession, url: str) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                async with http.get(url) as answer:
                    state: dict[str, Any] = await answer.json()
                    return state
            except ClientConnectorError:
                await asyncio.sleep(0.05)


async def test_one_process_serves_all_of_them_on_their_ports(tmp_path):
    ports = {name: free_port() for name in SIMULATORS}
    arguments = [f"--{name}-port={port}" for name, port in ports.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.sandbox.providers",
        "--now=2026-03-02T10:00:00+08:00",
        f"--books={tmp_path}",
        *arguments,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with ClientSession() as http:
            states = {
                name: await answer_of(http, f"http://127.0.0.1:{port}/_sandbox/clock")
                for name, port in ports.items()
            }
    finally:
        process.terminate()
        await process.wait()

    assert {state["now"] for state in states.values()} == {"2026-03-02T02:00:00+00:00"}
    assert {file.name for file in tmp_path.glob("*.sqlite")} == {
        f"{name}.sqlite" for name in SIMULATORS
    }


def test_credentials_come_from_the_keys_directory(tmp_path):
    secrets = {"jst_app_key": "K", "jst_app_secret": "S", "jst_access_token": "T"}
    (tmp_path / "secrets.json").write_bytes(orjson.dumps(secrets))

    (warehouse,) = sandboxes([f"--keys={tmp_path}", "--jst-port=0", "--jst-ships-at-hour=17"])

    assert keys.secret(tmp_path, "jst_app_key") == "K"
    assert vars(warehouse)["app_key"] == "K"
    assert vars(warehouse)["first_token"] == "T"
    assert vars(warehouse)["ships_at_hour"] == 17
