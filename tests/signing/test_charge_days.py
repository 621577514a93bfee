"""24 periods for every charge day of 2027 and 2028 on every rail, against a written-out table."""

import time
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.billing.domain.charge_calendar import first_charge
from services.signing.contract import Rail
from services.signing.domain.errors import ChargeDayNotOnRail
from services.signing.domain.schedule import FIRST_CHARGE_AFTER, require_chargeable, schedule
from shared.calendar import at_in_china, day_in_china
from shared.ids import derived_id
from tests.support.signing_builders import NOON
from tests.support.signing_plans import plain
from tests.support.tables import csv_rows

PERIODS = 24
MONTHS = [f"{year}-{month:02d}" for year in range(2027, 2031) for month in range(1, 13)][:47]
STARTS = 24
"""Plans begin in each month of 2027 and 2028; the last of them ends in November 2030."""

TABLE = csv_rows("charge_days_2027_2030.csv", header=["charge_day", *Rail, *MONTHS], count=31)
ZONES = ("UTC", "Asia/Shanghai", "America/Los_Angeles", "Pacific/Kiritimati")


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let the machine believe that it stands elsewhere."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def written(row: dict[str, str], start: int) -> list[date]:
    """Return the 24 days that the table writes from its month number *start* on."""
    return [
        date.fromisoformat(f"{month}-{int(row[month]):02d}")
        for month in MONTHS[start : start + PERIODS]
    ]


def test_the_table_covers_every_day_once():
    assert [int(row["charge_day"]) for row in TABLE] == list(range(1, 32))
    assert sum(len(written(row, start)) for row in TABLE for start in range(STARTS)) == 17_856


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["charge_day"])
def test_every_charge_day_falls_where_the_table_says(row):
    for start in range(STARTS):
        days = written(row, start)
        now = at_in_china(days[0] - timedelta(days=10), 10)

        made = schedule(plain(2_400_000, PERIODS), charge_day=int(row["charge_day"]), now=now)

        assert [one.due_on for one in made] == days
        for one in made:
            instalment_id = derived_id("instalment", row["charge_day"], start, one.seq)
            moment = first_charge(instalment_id, one.due_on, signed_at=now)
            assert day_in_china(moment) == one.due_on


@pytest.mark.parametrize("rail", Rail)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["charge_day"])
def test_every_rail_takes_or_refuses_the_day_as_the_table_says(row, rail):
    def ask() -> None:
        require_chargeable(rail, charge_day=int(row["charge_day"]), amounts_fen=[10_000])

    if row[rail] == "ok":
        ask()
        return
    with pytest.raises(ChargeDayNotOnRail) as refused:
        ask()
    assert refused.value.code == row[rail]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    second=st.integers(0, 4 * 366 * 86_400),
    day=st.integers(1, 31),
    periods=st.integers(1, 24),
)
def test_dates_never_merge_or_drift_wherever_the_machine_stands(zone, second, day, periods):
    now = NOON + timedelta(seconds=second)

    days = [one.due_on for one in schedule(plain(240_000, periods), charge_day=day, now=now)]

    assert at_in_china(days[0], 9) >= now + FIRST_CHARGE_AFTER
    assert len(set(days)) == periods
    assert all((b.year - a.year) * 12 + b.month - a.month == 1 for a, b in pairwise(days))
    assert all(one.day == day or (one + timedelta(days=1)).day == 1 for one in days), zone
