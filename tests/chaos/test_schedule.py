"""The same seed is the same day: customers, lies and blows."""

from collections import Counter

from deploy.chaos import faults
from deploy.chaos.books import differences
from deploy.chaos.cast import cast
from deploy.chaos.kills import TARGETS, Work, schedule


def test_a_seed_replays():
    assert cast(7, 300) == cast(7, 300)
    assert faults.lies(7, cast(7, 300)) == faults.lies(7, cast(7, 300))
    assert schedule(7, 112) == schedule(7, 112)
    assert schedule(7, 112) != schedule(8, 112)


def test_the_blows_are_spread_over_everybody_and_the_whole_day():
    blows = schedule(3, 112)

    assert Counter(blow.target for blow in blows) == Counter(dict.fromkeys(TARGETS, 16))
    assert blows == sorted(blows)
    assert blows[0].share < 0.1
    assert blows[-1].share > 0.8


def test_what_a_bank_refuses_no_lie_touches():
    customers = cast(5, 2000)
    refused = {one.payer_no for one in customers if one.declines}
    asked = {
        script.account
        for script in faults.lies(5, customers)
        for step in script.steps
        if step["on"] in {"pay", "apply"}
    }

    assert 100 < len(refused) < 300
    assert not refused & asked


def test_work_that_a_restore_undoes_was_done_too():
    work = Work(whole=100)
    for rows in (10, 40, 20, 70):
        work.saw(rows)

    assert work.done == 80
    assert work.share == 0.8


def test_books_that_differ_are_told_line_by_line():
    peace, fire = b"a: 1\nb: 2\n", b"a: 1\nb: 3\n"

    assert differences(peace, peace) == []
    assert differences(peace, fire) == ["books differ: -b: 2", "books differ: +b: 3"]
