"""A small billing day under fire: the command as ``make chaos`` calls it."""

import asyncio
import sys
from pathlib import Path

import orjson
import pytest

from deploy.chaos.kills import TARGETS

ROOT = Path(__file__).resolve().parents[2]
CHARGES = 28
KILLS = len(TARGETS)
WITHIN_S = 540


async def chaos(*arguments):
    """Run the command; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.chaos",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(WITHIN_S):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.timeout(WITHIN_S + 30)
async def test_a_day_under_fire_leaves_the_books_of_a_day_in_peace(tmp_path):
    code, said = await chaos(
        *("--seed", "11", "--charges", str(CHARGES), "--kills", str(KILLS)),
        *("--directory", str(tmp_path / "chaos")),
    )

    assert code == 0, said
    report = orjson.loads((tmp_path / "chaos" / "report.json").read_bytes())
    assert list(report) == ["seed", "charges", "kills", "faults", "violations", "seconds"]
    assert (report["seed"], report["charges"], report["violations"]) == (11, CHARGES, [])
    assert report["kills"] == dict.fromkeys(TARGETS, 1)
    assert report["faults"]["streams_deleted"] == report["faults"]["backup_restored"] == 1
    peace, fire = (
        (tmp_path / "chaos" / f"books-{day}.txt").read_bytes() for day in ("peace", "fire")
    )
    assert peace == fire
    assert peace.count(b"\ncapture:") >= CHARGES * 0.8
    assert not (tmp_path / "chaos" / "fire").exists()


async def test_too_little_to_do_is_said_in_a_sentence(tmp_path):
    code, said = await chaos("--charges", "1", "--directory", str(tmp_path))

    assert code == 2
    assert "At least 7 charges" in said
