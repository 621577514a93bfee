"""Both presets, day by day for two months, against the real use cases on a moved clock."""

import copy

import pytest
import yaml

from services.billing.domain.dunning import POLICIES
from services.billing.usecases.choose_policy import choose_policy
from tests.support.billing_builders import MERCHANT
from tests.support.billing_world import BillingWorld
from tests.support.dunning_life import (
    NO_MONEY,
    contacts_of,
    until_day,
    what_happened,
)
from tests.support.dunning_table import DATA, TableWrong, load, parse

TABLES = [
    "dunning_fast_prepaid.yaml",
    "dunning_fast_instalment_sale.yaml",
    "dunning_gentle_prepaid.yaml",
    "dunning_gentle_instalment_sale.yaml",
]


@pytest.mark.parametrize("name", TABLES)
async def test_each_day_is_as_the_table_says(world: BillingWorld, name: str):
    table = load(name)
    async with world.db.transaction() as conn:
        await choose_policy(
            conn, world.deps, MERCHANT, preset=table.preset, reason="table", by="test"
        )
    agreement = await world.signed(periods=1, legal_type=table.legal_type)
    instalment = await world.instalment(agreement)
    await world.faulty("alipay", NO_MONEY)

    seen = []
    for day in table.days:
        told = len(world.told)
        await until_day(world, instalment, day.day)
        seen.append(await what_happened(world, agreement, day.day, told))

    assert seen == list(table.days)
    contacts = await contacts_of(world, agreement)
    assert len(contacts) == sum(1 for day in table.days if day.text)
    assert {one.kind.value for one in contacts} == {"message"}


def test_the_tables_are_whole_and_tell_of_every_step():
    tables = [load(name) for name in TABLES]

    assert [len(table.days) for table in tables] == [61, 61, 61, 61]
    assert [sum(1 for day in table.days if day.rung) for table in tables] == [3, 5, 5, 10]
    for table in tables:
        owed = table.legal_type != "prepaid"
        wanted = [
            step.days_late
            for step in POLICIES[table.preset].steps
            if owed or step.condition == "always"
        ]
        assert [day.day for day in table.days if day.rung] == wanted


def test_a_table_with_anything_unknown_is_refused():
    good = yaml.safe_load((DATA / TABLES[0]).read_text(encoding="utf-8"))
    bad = [copy.deepcopy(good) for _ in range(5)]
    bad[0]["surprise"] = 1
    bad[1]["days"][1]["surprise"] = 1
    bad[2]["days"].append({"day": 61, "rung": "reminder"})
    bad[3]["days"][1]["day"] = 0
    bad[4]["days"][2] = {"day": 2}

    for table in bad:
        with pytest.raises(TableWrong):
            parse(table)
