"""New terms as pure functions: nothing meets, nothing drifts, nothing is too soon."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.instalment import Instalment, InstalmentState
from services.billing.domain.schedule_change import amended, horizon, paused, resumed
from shared.calendar import month_day
from shared.rails.permissions import ALIPAY_CYCLE, WECHAT_PRENOTICE
from tests.support.billing_builders import an_agreement, an_instalment

DAYS = st.integers(1, 31)
PERMISSIONS = st.sampled_from([None, ALIPAY_CYCLE, WECHAT_PRENOTICE])
TODAY = st.dates(date(2027, 1, 1), date(2028, 3, 1))


def schedule(first: date, day: int, periods: int, paid: int) -> list[Instalment]:
    return [
        replace(
            an_instalment(seq + 1),
            due_on=month_day(first, seq, day=day),
            charge_on=month_day(first, seq, day=day),
            state=InstalmentState.PAID if seq < paid else InstalmentState.SCHEDULED,
        )
        for seq in range(periods)
    ]


@given(day=DAYS, months=st.integers(1, 2), paid=st.integers(0, 5), today=TODAY, rail=PERMISSIONS)
def test_a_pause_moves_by_whole_months_and_back_to_the_same_days(day, months, paid, today, rail):
    rows = schedule(today + timedelta(days=40), day, 6, paid)
    agreement = an_agreement(charge_day=day, plan_on=None)
    ahead = horizon(agreement, today=today, permission=rail)

    moved = paused(agreement, rows, ahead, months=months)

    assert [one.seq for one in moved] == [row.seq for row in rows[paid:]]
    for row, one in zip(rows[paid:], moved, strict=True):
        assert one.due_on == month_day(row.due_on, months, day=day)
        assert one.amount_fen == row.amount_fen
    assert all(one.charge_on < other.charge_on for one, other in pairwise(moved))
    later = [
        *rows[:paid],
        *(
            replace(row, due_on=one.due_on, charge_on=one.charge_on)
            for row, one in zip(rows[paid:], moved, strict=True)
        ),
    ]
    waiting = replace(agreement, paused_months=months)
    back, returned = resumed(waiting, later, ahead)
    if back == months:
        assert [one.due_on for one in returned] == [row.due_on for row in rows[paid:]]


@given(old=DAYS, new=DAYS, paid=st.integers(0, 5), shift=st.integers(-20, 200), rail=PERMISSIONS)
def test_another_day_never_lets_two_meet_or_a_notice_be_missed(old, new, paid, shift, rail):
    first = date(2027, 1, 28)
    rows = schedule(first, old, 6, paid)
    today = first + timedelta(days=shift)
    agreement = an_agreement(charge_day=old, plan_on=rows[min(paid, 5)].due_on)
    ahead = horizon(agreement, today=today, permission=rail)

    moved = amended(rows, ahead, charge_day=new, from_seq=None, amount_fen=None)

    months = [(one.due_on.year, one.due_on.month) for one in moved]
    assert len(set(months)) == len(months)
    assert len({one.charge_on for one in moved}) == len(moved)
    for one in moved:
        assert one.due_on == month_day(one.due_on, 0, day=new)
        assert one.charge_on >= max(ahead.earliest, one.due_on)
        assert one.charge_on >= today + timedelta(days=8)
