"""The report has one shape, whatever the machine; speed itself is never asserted."""

import os

import orjson
import pytest

from deploy.bench.meter import Compared, Run, alternate, cpu_of_all, middle
from deploy.bench.report import figure, table, write


def compared() -> Compared:
    return Compared(Run(1000, 2.0, 3.0), Run(1000, 1.0, 1.5))


def test_the_ratio_is_the_rate_over_its_ceiling(tmp_path):
    file = tmp_path / "deep" / "report.json"

    write([figure("chain", "charges/s", compared(), against="a bare one", p99_ms=12.3456)], file)

    (row,) = orjson.loads(file.read_bytes())
    assert row == {
        "name": "chain",
        "rate": 500.0,
        "unit": "charges/s",
        "ceiling": 1000.0,
        "ratio": 0.5,
        "against": "a bare one",
        "cpu_ms": 3.0,
        "ceiling_cpu_ms": 1.5,
        "cpu_ratio": 0.5,
        "p99_ms": 12.346,
    }


def test_the_table_marks_what_is_below_the_target():
    slow = Compared(Run(100, 3.0, 3.0), Run(100, 1.0, 1.0))

    good, bad = (
        figure(name, "x/s", one, against="bare")
        for name, one in (("good", compared()), ("bad", slow))
    )
    lines = table([good, bad]).splitlines()

    assert "below target" not in lines[1]
    assert lines[2].endswith("below target")


def test_the_middle_run_is_not_the_lucky_one():
    runs = [Run(10, seconds, 1.0) for seconds in (1.0, 5.0, 2.0)]

    assert middle(runs).rate == pytest.approx(5.0)


async def test_ours_and_bare_take_turns_after_a_fresh_preparation():
    said: list[str] = []

    async def before() -> None:
        said.append("before")

    async def ours() -> int:
        said.append("ours")
        return 7

    async def bare() -> int:
        said.append("bare")
        return 7

    both = await alternate(ours, bare, rounds=2, before=before)

    assert said == ["before", "bare", "ours", "before", "ours", "bare"]
    assert (both.ours.items, both.bare.items) == (7, 7)


def test_cpu_time_only_grows_and_counts_our_own_work():
    began_s = cpu_of_all()
    while os.times().user + os.times().system < 0.05 + began_s and cpu_of_all() == began_s:
        sum(range(10_000))

    assert cpu_of_all() > began_s
