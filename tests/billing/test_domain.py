"""What billing decides: numbers, slots, retries, notices, postponements, settlements."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.agreement import (
    AgreementMove,
    AgreementState,
    move,
    period_failed,
    period_paid,
)
from services.billing.domain.attempt import AttemptState
from services.billing.domain.attempt import settle as settle_attempt
from services.billing.domain.charge_calendar import (
    charge_moment,
    first_charge,
    next_slot,
    plan_day,
    within_hours,
)
from services.billing.domain.dunning import FAST, GENTLE, Rung, step_at, step_moment
from services.billing.domain.errors import MoveForbidden
from services.billing.domain.findings import (
    Failed,
    NotFound,
    Paid,
    Pending,
    Refunded,
    RefundPending,
    RefundRefused,
    Unclear,
)
from services.billing.domain.instalment import InstalmentMove, InstalmentState, moved
from services.billing.domain.notices import NoticeKind, outside_quiet_hours, plan
from services.billing.domain.postponement import postpone
from services.billing.domain.refund import Refund, Refundable, RefundState, allocate
from services.billing.domain.refund import settle as settle_refund
from services.billing.domain.retry_policy import RETRIES_WITHIN, retry_at
from services.billing.domain.settlement import Case, Happening, settle
from services.billing.domain.trade_no import refund_no, trade_no
from shared.calendar import CHINA, at_in_china, day_in_china, month_day
from shared.ids import derived_id, new_id
from shared.rails.classes import FailureClass
from shared.rails.permissions import ALIPAY_CYCLE, WECHAT_24H, WECHAT_PRENOTICE
from tests.support.billing_builders import (
    AMOUNT_FEN,
    FIRST_DUE,
    SIGNED_AT,
    an_agreement,
    an_attempt,
    an_instalment,
)

NINE = at_in_china(FIRST_DUE, 9)
MOMENTS = st.integers(0, 6 * 365 * 86400).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
PAID = Paid("2027031222000000001", AMOUNT_FEN, NINE)
DECLINED = Failed(FailureClass.RETRY_LATER, "BUYER_BALANCE_NOT_ENOUGH")


@given(st.uuids(), st.integers(1, 60), st.integers(1, 999))
def test_a_trade_number_is_pure_and_fits_every_rail(agreement, seq, attempt):
    number = trade_no(agreement, seq, attempt)

    assert number == trade_no(UUID(str(agreement)), seq, attempt)
    assert re.fullmatch(r"[0-9A-Z]{32}", number)
    assert re.fullmatch(r"[0-9A-Z]{8,32}", refund_no(agreement))


@given(st.uuids(), st.sets(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=2))
def test_trade_numbers_of_different_attempts_differ(agreement, pairs):
    assert len({trade_no(agreement, *pair) for pair in pairs}) == len(pairs)


@given(st.uuids(), st.dates(date(2026, 1, 1), date(2032, 1, 1)))
def test_first_tries_lie_in_the_window_and_leave_room_for_retries(instalment, day):
    moment = charge_moment(instalment, day)

    assert day_in_china(moment) == day
    assert time(9) <= moment.astimezone(CHINA).time() < time(17)


@given(MOMENTS)
def test_the_next_slot_is_a_quarter_hour_in_charge_hours_soon(moment):
    slot = next_slot(moment)

    assert moment <= slot <= moment + timedelta(hours=15, minutes=15)
    assert within_hours(slot)
    assert slot.minute % 15 == 0
    assert next_slot(slot) == slot


@given(st.uuids(), MOMENTS, st.integers(7, 60))
def test_nobody_is_charged_within_168_hours_of_signing(instalment, signed_at, days):
    due_on = day_in_china(signed_at + timedelta(days=days))

    assert first_charge(instalment, due_on, signed_at=signed_at) >= signed_at + timedelta(hours=168)


@given(st.uuids(), st.dates(date(2026, 1, 1), date(2032, 1, 1)))
def test_notices_are_planned_with_a_margin_and_never_at_night(instalment, day):
    charge_at = charge_moment(instalment, day)
    owed = plan(charge_at, rail_notice_days=2)

    assert [one.kind for one in owed] == list(NoticeKind)
    for one in owed:
        assert one.send_at < one.send_by
        assert outside_quiet_hours(one.send_at) == one.send_at
    assert owed[0].send_by == charge_at - timedelta(hours=120)
    assert owed[1].send_by == charge_at - timedelta(hours=48)


@pytest.mark.parametrize(
    ("hour", "minute", "day", "expected"),
    [(21, 0, 1, (2, 8)), (7, 59, 2, (2, 8)), (20, 59, 1, (1, 20)), (0, 0, 1, (1, 8))],
)
def test_quiet_hours_end_at_eight(hour, minute, day, expected):
    moved_to = outside_quiet_hours(at_in_china(date(2027, 3, day), hour, minute)).astimezone(CHINA)

    assert (moved_to.day, moved_to.hour) == expected


@given(
    st.sampled_from(list(FailureClass)),
    st.integers(1, 4),
    st.integers(0, 35),
    st.sampled_from([ALIPAY_CYCLE, WECHAT_PRENOTICE, WECHAT_24H]),
)
def test_retries_stay_within_a_day_the_hours_the_window_and_two(failure, tries, slot, permission):
    now = NINE + timedelta(minutes=15 * slot)
    last_day = FIRST_DUE if permission is ALIPAY_CYCLE else None

    again = retry_at(
        failure,
        auto_tries=tries,
        first_tried_at=NINE,
        now=now,
        last_day=last_day,
        permission=permission,
    )

    if permission is WECHAT_24H or tries > 2:
        assert again is None
    if failure in {FailureClass.NEEDS_CUSTOMER, FailureClass.MANDATE_GONE}:
        assert again is None
    if again is not None:
        assert now < again <= NINE + RETRIES_WITHIN
        assert within_hours(again)
        assert last_day is None or day_in_china(again) <= last_day


def a_case(**changes) -> Case:
    collecting = an_instalment(
        state=InstalmentState.COLLECTING, tries=1, auto_tries=1, first_tried_at=NINE
    )
    return replace(Case(an_agreement(), collecting, an_attempt()), **changes)


def after(case: Case, finding, now=NINE) -> Case:
    return settle(case, finding, now=now, permission=ALIPAY_CYCLE, ladder=FAST)


def test_money_pays_the_period_and_moves_the_plan_by_a_month():
    done = after(a_case(), PAID)

    assert done.happenings == (Happening.COLLECTED,)
    assert done.instalment.state is InstalmentState.PAID
    assert done.instalment.charge_id == done.attempt.attempt_id
    assert done.agreement.plan_on == date(2027, 4, 12)
    assert after(replace(done, happenings=()), PAID).happenings == ()


def test_money_that_arrives_second_is_surplus():
    paid = an_instalment(state=InstalmentState.PAID, charge_id=new_id())

    done = after(a_case(instalment=paid), PAID)

    assert done.happenings == (Happening.SURPLUS,)
    assert done.attempt.surplus
    assert done.instalment is paid


def test_money_that_arrives_after_the_end_is_booked():
    ended = a_case(
        agreement=an_agreement(state=AgreementState.TERMINATED),
        instalment=an_instalment(state=InstalmentState.CANCELLED),
    )

    assert after(ended, PAID).happenings == (Happening.COLLECTED,)


def test_a_late_proof_beats_an_earlier_failure():
    failed = after(a_case(), DECLINED)

    assert failed.instalment.state is InstalmentState.DUE
    assert after(failed, PAID).instalment.state is InstalmentState.PAID


def test_the_third_failure_ends_the_period_and_the_second_period_in_a_row_flags():
    tired = an_instalment(
        seq=2, state=InstalmentState.COLLECTING, auto_tries=3, first_tried_at=NINE
    )
    once = an_agreement(failed_periods=1, last_failed_seq=1)

    done = after(a_case(instalment=tired, agreement=once), DECLINED)

    assert done.happenings == (Happening.FAILED, Happening.EXHAUSTED, Happening.RISK_FLAGGED)
    assert done.instalment.state is InstalmentState.OVERDUE
    assert done.instalment.next_dunning_at is not None


def test_a_failure_after_the_end_starts_nothing_new():
    ended = a_case(
        agreement=an_agreement(state=AgreementState.CANCELLED),
        instalment=an_instalment(state=InstalmentState.CANCELLED),
    )

    done = after(ended, DECLINED)

    assert (done.attempt.state, done.happenings) == (AttemptState.FAILED, ())
    assert done.instalment.state is InstalmentState.CANCELLED


@given(st.lists(st.sampled_from([PAID, DECLINED, Pending(), Unclear("timeout"), NotFound()])))
def test_whatever_the_order_only_proofs_end_an_attempt_and_money_wins(findings):
    attempt = an_attempt()
    for finding in findings:
        attempt = settle_attempt(attempt, finding, now=NINE, query_at=NINE + timedelta(seconds=5))

    if PAID in findings:
        assert attempt.state is AttemptState.SUCCEEDED
    elif DECLINED in findings:
        assert attempt.state is AttemptState.FAILED
    else:
        assert attempt.query_at is not None


def test_every_move_of_an_instalment_is_known_or_forbidden():
    allowed = 0
    for state in InstalmentState:
        for step in InstalmentMove:
            try:
                moved(state, step)
                allowed += 1
            except MoveForbidden:
                continue
    assert allowed == 35
    assert moved(InstalmentState.SCHEDULED, InstalmentMove.GRANT) is InstalmentState.PAID
    assert moved(InstalmentState.OVERDUE, InstalmentMove.PAY) is InstalmentState.PAID
    with pytest.raises(MoveForbidden):
        moved(InstalmentState.PAID, InstalmentMove.COLLECT)


def test_consecutive_failures_count_and_a_payment_clears_them():
    once = period_failed(an_agreement(), 1, now=NINE)
    again = period_failed(once, 1, now=NINE)
    twice = period_failed(once, 2, now=NINE)
    apart = period_failed(once, 3, now=NINE)

    assert (once.failed_periods, again.failed_periods, apart.failed_periods) == (1, 1, 1)
    assert (twice.failed_periods, twice.flagged_at) == (2, NINE)
    assert period_paid(twice).flagged_at is None


def test_an_ended_agreement_stays_as_it_ended():
    ended = move(an_agreement(), AgreementMove.CANCEL)

    assert move(ended, AgreementMove.ACTIVATE) is ended


@given(st.integers(0, 20), st.dates(date(2027, 1, 25), date(2028, 3, 3)))
def test_postponed_periods_never_share_a_day_and_later_ones_wait_for_the_plan(late, first):
    first = first.replace(day=min(first.day, 28))
    rows = [
        an_instalment(
            seq,
            due_on=month_day(first, seq - 1, day=first.day),
            charge_on=month_day(first, seq - 1, day=first.day),
        )
        for seq in (1, 2, 3)
    ]
    now = at_in_china(first + timedelta(days=late), 10)

    changed = postpone(
        rows[0], rows[1:], an_agreement(plan_on=first), now=now, permission=ALIPAY_CYCLE
    )

    by_id = {row.instalment_id: row for row in [*rows, *changed]}
    days = [by_id[row.instalment_id].charge_on for row in rows]
    assert len(set(days)) == 3
    assert days[0] >= day_in_china(now) + timedelta(days=8)
    plan_on = plan_day(days[0], 28)
    for periods, day in enumerate(days[1:], 1):
        assert day >= month_day(plan_on, periods, day=plan_on.day) - timedelta(days=5)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2027, 1, 28), date(2027, 1, 28)),
        (date(2027, 1, 29), date(2027, 2, 1)),
        (date(2027, 12, 31), date(2028, 1, 1)),
        (date(2028, 2, 29), date(2028, 3, 1)),
    ],
)
def test_a_plan_names_only_days_that_the_rail_knows(day, expected):
    assert plan_day(day, 28) == expected


@given(st.integers(1, 10**9), st.lists(st.integers(0, 10**6), max_size=30))
def test_refunds_never_exceed_what_each_charge_has_left(amount, free):
    charges = [Refundable(new_id(), new_id(), "alipay", fen) for fen in free]

    shares = allocate(amount, charges, now=SIGNED_AT)

    assert sum(share for _, share in shares) == min(amount, sum(free))
    assert all(0 < share <= charge.free_fen for charge, share in shares)


def a_refund(**changes) -> Refund:
    refund = Refund(
        refund_id=derived_id("refund"),
        refund_no="R1234567",
        attempt_id=derived_id("attempt"),
        instalment_id=derived_id("instalment"),
        agreement_id=derived_id("agreement"),
        merchant_id=derived_id("merchant"),
        customer_id=derived_id("customer"),
        settlement_id=None,
        rail="alipay",
        amount_fen=100,
        reason="r",
        state=RefundState.SENT,
        created_at=NINE,
        next_at=NINE,
    )
    return replace(refund, **changes)


def test_an_unclear_refund_is_asked_about_and_money_back_is_final():
    waiting = settle_refund(a_refund(), RefundPending("timeout"), now=NINE)
    assert (waiting.state, waiting.next_at) == (RefundState.SENT, NINE + timedelta(minutes=1))
    short = settle_refund(a_refund(), RefundRefused("NOT_ENOUGH", final=False), now=NINE)
    assert short.state is RefundState.SENT
    done = settle_refund(a_refund(), Refunded(), now=NINE)
    assert settle_refund(done, RefundRefused("CLOSED", final=True), now=NINE) == done
    failed = settle_refund(a_refund(), RefundRefused("CLOSED", final=True), now=NINE)
    assert settle_refund(failed, Refunded(), now=NINE).state is RefundState.SUCCEEDED


def test_the_ladders_are_the_handbooks():
    assert [(step.days_late, step.rung) for step in FAST] == [
        (1, Rung.REMINDER),
        (3, Rung.STAFF_TASK),
        (7, Rung.EXTENSION),
        (15, Rung.DEMAND),
        (30, Rung.LAWFUL_PROCEDURE),
    ]
    assert step_at(GENTLE, 9) is not None
    assert step_at(FAST, 5) is None
    assert step_moment(FAST[0], overdue_since=FIRST_DUE) == at_in_china(date(2027, 3, 13), 10)


def test_signing_at_night_still_leaves_168_hours():
    signed_at = at_in_china(date(2027, 3, 1), 13, 7)
    early = UUID(int=0)  # its slot is 09:00

    moment = first_charge(early, date(2027, 3, 8), signed_at=signed_at)

    assert moment == at_in_china(date(2027, 3, 8), 13, 15)
    assert signed_at > SIGNED_AT
