"""The operator's command: what it prints, and what it exits with."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.audit import CHECKS
from deploy.cli import app
from deploy.running import RunningPlatform
from shared.clock import SystemClock
from tests.audit.conftest import Platform
from tests.audit.state import NOW, A, instalment

NOWHERE = "http://127.0.0.1:9"
UNKNOWN = "00000000-0000-0000-0000-000000000007"


def yuefu(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def write(directory: Path, running: RunningPlatform | None = None, **changes: Any) -> Path:
    told = {
        "services": {"billing": NOWHERE},
        "simulators": dict(running.simulators) if running else {},
        "processes": [{"name": "billing-1", "kind": "service", "url": NOWHERE}],
        "operator_key": "key",
        "postgres": {"auditor": running.auditor_dsn if running else "postgresql://127.0.0.1:9/x"},
        "nats": {"url": "nats://127.0.0.1:9", "monitor_url": NOWHERE, "bootstrap_seed": ""},
        "test_clock": True,
    }
    file = directory / "platform.json"
    file.write_text(json.dumps(told | changes))
    return file


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--help",), ["clock", "deadletters", "outbox", "explain", "audit"]),
        (("clock", "--help"), ["now", "advance"]),
        (("deadletters", "--help"), ["list", "replay"]),
        (("outbox", "--help"), ["replay"]),
        (("audit", "--help"), ["--json", "--platform", "--again-after"]),
    ],
)
def test_help_names_what_there_is(words: tuple[str, ...], named: list[str]):
    answer = yuefu(*words)

    assert answer.exit_code == 0
    assert [word for word in named if word not in answer.output] == []


@pytest.mark.parametrize(
    "words",
    [
        ("clock", "now"),
        ("clock", "advance", "30d"),
        ("explain", UNKNOWN),
        ("audit",),
        ("deadletters", "list"),
        ("deadletters", "replay"),
        ("outbox", "replay", "billing"),
    ],
    ids=" ".join,
)
class TestWithoutPlatform:
    def test_no_platform_file_is_said_in_one_line(self, tmp_path: Path, words: tuple[str, ...]):
        missing = tmp_path / "platform.json"

        answer = yuefu(*words, "--platform", missing)

        assert answer.exit_code == 2
        assert answer.output.splitlines() == [
            f"No platform runs at {missing}; start one with `make run`."
        ]

    def test_a_platform_that_is_gone_is_said_in_one_line(
        self, tmp_path: Path, words: tuple[str, ...]
    ):
        answer = yuefu(*words, "--platform", write(tmp_path, simulators={"alipay": NOWHERE}))

        assert answer.exit_code == 2
        assert len(answer.output.splitlines()) == 1
        assert answer.output.startswith("The platform does not answer: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("explain", "seven"), "valid UUID"),
        (("explain",), "Missing argument"),
        (("clock", "advance"), "Missing argument"),
        (("audit", "--again-after", "-1"), "again-after"),
        (("deadletters", "replay", "seven"), "valid UUID"),
        (("deadletters", "list", "nobody"), "no such service: nobody"),
        (("outbox", "replay", "nobody"), "no such service: nobody"),
        (("dance",), "dance"),
    ],
    ids=str,
)
def test_bad_arguments_are_named(tmp_path: Path, words: tuple[str, ...], said: str):
    where = () if words == ("dance",) else ("--platform", write(tmp_path))

    answer = yuefu(*words, *where)

    assert answer.exit_code == 2
    assert said in answer.output


def test_a_clock_that_is_real_cannot_be_advanced(tmp_path: Path):
    file = write(tmp_path, test_clock=False)

    answer = yuefu("clock", "advance", "30d", "--platform", file)

    assert answer.exit_code == 2
    assert "machine's clock" in answer.output


def test_a_clock_that_is_real_says_what_time_it_is(tmp_path: Path):
    before = SystemClock().now()

    answer = yuefu("clock", "now", "--platform", write(tmp_path, test_clock=False))

    assert answer.exit_code == 0
    assert before <= datetime.fromisoformat(answer.output.strip()) <= SystemClock().now()


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("soon", "'soon' is neither like 30d"),
        ("30", "'30' is neither like 30d"),
        ("2027-01-01T00:00:00", "must have a time zone"),
        ("2020-01-01T00:00:00+00:00", "lie in the future"),
    ],
)
async def test_a_strange_target_is_refused(platform: Platform, tmp_path: Path, by: str, said: str):
    file = write(tmp_path, platform.running, processes=[])

    answer = await asyncio.to_thread(yuefu, "clock", "advance", by, "--platform", file)

    assert answer.exit_code == 2
    assert said in " ".join(answer.output.replace("│", " ").split())


async def test_the_clock_can_be_read(platform: Platform, tmp_path: Path):
    file = write(tmp_path, platform.running, processes=[])

    answer = await asyncio.to_thread(yuefu, "clock", "now", "--platform", file)

    assert (answer.exit_code, answer.output) == (0, f"{NOW.isoformat()}\n")


async def test_a_clean_audit_exits_with_0(platform: Platform, tmp_path: Path):
    file = write(tmp_path, platform.running)

    answer = await asyncio.to_thread(yuefu, "audit", "--platform", file)

    assert answer.exit_code == 0
    assert [line[:5] for line in answer.output.splitlines()] == ["ok   "] * len(CHECKS)


async def test_an_audit_that_finds_something_exits_with_1(platform: Platform, tmp_path: Path):
    platform.books["alipay"]["captures"].clear()
    file = write(tmp_path, platform.running)

    words = ("audit", "--json", "--again-after", "0", "--platform", str(file))
    answer = await asyncio.to_thread(yuefu, *words)

    assert answer.exit_code == 1
    found = [finding for finding in json.loads(answer.output) if not finding["ok"]]
    assert {finding["check"] for finding in found} >= {
        "rail captures = billing's succeeded attempts",
        "rail money = ledger's rail accounts",
    }
    assert all(set(finding) == {"check", "ok", "detail"} for finding in found)


async def test_an_audit_without_a_simulator_says_which(platform: Platform, tmp_path: Path):
    few = {"alipay": platform.running.simulators["alipay"]}
    file = write(tmp_path, platform.running, simulators=few)

    answer = await asyncio.to_thread(yuefu, "audit", "--platform", file)

    assert answer.exit_code == 2
    assert "runs without wechatpay" in answer.output


async def test_explain_tells_the_story(platform: Platform, tmp_path: Path):
    file = write(tmp_path, platform.running)

    answer = await asyncio.to_thread(
        yuefu, "explain", str(instalment(A, 1)), "--platform", str(file)
    )

    assert answer.exit_code == 0
    assert answer.output.startswith("协议 YF2026A（幼猫月付，支付宝）\n第 1/3 期")


async def test_explain_names_what_it_does_not_know(platform: Platform, tmp_path: Path):
    file = write(tmp_path, platform.running)

    answer = await asyncio.to_thread(yuefu, "explain", UNKNOWN, "--platform", str(file))

    assert answer.exit_code == 2
    assert answer.output.startswith(f"没有这个编号：{UNKNOWN}（")
