"""Resident identity numbers, and the moment from which their owner may sign."""

from datetime import date, datetime

import pytest

from services.signing.domain.errors import PhoneInvalid, TooYoung
from services.signing.domain.resident_id import normalise, normalise_mobile, require_adult
from shared.calendar import day_in_china
from shared.errors import Problem
from tests.support.tables import yaml_cases

TODAY = date(2026, 11, 22)
NUMBERS = yaml_cases("resident_ids.yaml", needed=("name", "number", "result"), count=23)
MOMENTS = yaml_cases("adults.yaml", needed=("name", "number", "at", "adult"), count=11)


@pytest.mark.parametrize("case", NUMBERS, ids=lambda case: case["name"])
def test_a_number_is_taken_or_refused_as_the_table_says(case):
    number = normalise(case["number"])
    if case["result"] == "ok":
        require_adult(number, today=TODAY)
        return
    with pytest.raises(Problem) as refused:
        require_adult(number, today=TODAY)
    assert refused.value.code == case["result"]
    assert not case["number"] or case["number"] not in str(refused.value)


@pytest.mark.parametrize("case", MOMENTS, ids=lambda case: case["name"])
def test_a_customer_is_an_adult_from_midnight_of_the_birthday_in_china(case):
    today = day_in_china(datetime.fromisoformat(case["at"]))
    if case["adult"]:
        require_adult(case["number"], today=today)
        return
    with pytest.raises(TooYoung):
        require_adult(case["number"], today=today)


def test_mobile_numbers_are_written_in_many_ways():
    assert normalise_mobile("+86 138-0013-8000") == "13800138000"
    with pytest.raises(PhoneInvalid):
        normalise_mobile("01012345678")


async def test_an_application_begins_at_midnight_of_the_birthday_and_not_before(shop):
    """The world's clock stands at noon in China on 1 March 2027; the birthday is the next day."""
    body = shop.application_body(customer={"id_number": "110101200903020015"})
    shop.clock.advance(hours=12, microseconds=-1)

    before = await shop.call("POST", "/v1/applications", body)
    shop.clock.advance(microseconds=1)
    after = await shop.call("POST", "/v1/applications", body)

    assert (before.status, before.body["code"]) == (422, "too-young")
    assert after.status == 201
