"""What being late costs: a table worked out by hand, and what holds for any dates."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.errors import LinesDiffer
from services.billing.domain.lines import bonus_fen, lines_of, principal_fen
from services.billing.domain.overdue_penalty import Lateness, PenaltyTerms, penalty_fen
from services.signing.contract import LineKind, SignedInstalment, SignedLine
from tests.support.billing_builders import AMOUNT_FEN, FIRST_DUE
from tests.support.billing_offers import free, half, signed
from tests.support.tables import yaml_cases

SIGNED_ON = date(2027, 3, 1)
CASES = yaml_cases(
    "overdue_penalty.yaml",
    needed=("name", "principal", "rate", "grace", "cap", "today", "fen"),
    optional=("since", "extended", "signed"),
    count=20,
)

TERMS = st.builds(
    PenaltyTerms,
    rate_ppm_per_day=st.integers(0, 1000),
    grace_days=st.integers(0, 30),
    cap_per_mille=st.integers(0, 1000),
)
DAYS = st.dates(date(2027, 1, 1), date(2029, 12, 31))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_being_late_costs_what_was_worked_out(case):
    terms = PenaltyTerms(case["rate"], case["grace"], case["cap"])
    late = Lateness(case.get("since"), case.get("extended"))

    asked = penalty_fen(
        case["principal"],
        terms,
        late,
        signed_on=case.get("signed", SIGNED_ON),
        today=case["today"],
    )

    assert asked == case["fen"]


@given(st.integers(0, 10**7), TERMS, DAYS, st.integers(0, 800), st.integers(0, 30))
def test_a_penalty_never_compounds_nor_exceeds_its_caps(principal, terms, since, days, more):
    def after(count: int) -> int:
        late = Lateness(since)
        today = since + timedelta(days=count)
        return penalty_fen(principal, terms, late, signed_on=SIGNED_ON, today=today)

    asked = after(days)

    assert 0 <= asked <= principal * terms.cap_per_mille // 1000
    assert asked <= principal * 12 * days // (100 * 365)
    assert asked <= after(days + more)
    # Simple: what a stretch of days costs does not depend on what was asked before.
    grown = (after(days + more) - asked - 1) * 10**6
    assert grown <= principal * terms.rate_ppm_per_day * more
    assert after(terms.grace_days) == 0


@given(st.integers(0, 10**7), TERMS, DAYS, st.integers(0, 60), st.integers(0, 90))
def test_a_voucher_never_costs_anything(principal, terms, since, voucher, days):
    today = since + timedelta(days=days)
    plain = Lateness(since)
    kept = Lateness(since, since + timedelta(days=voucher))

    def asked(late: Lateness) -> int:
        return penalty_fen(principal, terms, late, signed_on=SIGNED_ON, today=today)

    assert asked(kept) <= asked(plain)
    if days <= voucher:
        assert asked(kept) == 0


def test_lines_are_checked_and_read():
    assert bonus_fen(half().lines) == AMOUNT_FEN // 2
    assert bonus_fen(free(2).lines) == AMOUNT_FEN
    assert lines_of(signed(1).model_copy(update={"lines": ()})) == signed(1).lines
    with pytest.raises(LinesDiffer):
        lines_of(signed(1).model_copy(update={"amount_fen": 1}))


@given(st.integers(1, 10**7), st.integers(0, 10**6))
def test_lines_that_differ_by_anything_are_refused(base, more):
    line = SignedLine(kind=LineKind.BASE, amount_fen=base)
    instalment = SignedInstalment(
        seq=1, due_on=FIRST_DUE, amount_fen=base + 1 + more, lines=(line,)
    )

    with pytest.raises(LinesDiffer):
        lines_of(instalment)


def test_no_penalty_is_asked_on_interest():
    lines = (
        SignedLine(kind=LineKind.BASE, amount_fen=50_000),
        SignedLine(kind=LineKind.INTEREST, amount_fen=3_000),
    )
    waived = (*lines, SignedLine(kind=LineKind.INTEREST_FREE, amount_fen=-3_000))

    assert principal_fen(53_000, lines) == 50_000
    assert principal_fen(50_000, waived) == 50_000
