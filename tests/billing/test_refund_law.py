"""Refund law case by case, from a table; and what must hold for every case."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.termination import (
    Formula,
    Prepaid,
    deadline,
    formula_for,
    interest_fen,
    interest_ppm,
    refund,
)
from services.signing.contract.termination import Cause, EndReason, Penalty, cause_of, penalty

TABLE = Path(__file__).parents[1] / "data" / "refund_law.yaml"
SIGNED_ON = date(2026, 12, 1)
ENDED_ON = date(2027, 3, 1)
KNOWN = {
    "case",
    "source",
    "reason",
    "prepaid",
    "expect",
    "consumer_cause_mode",
    "unlimited",
    "unpaid_fen",
    "loss_fen",
    "days_to_pay",
}
EXPECTED = {"used_fen", "penalty_fen", "refund_fen", "interest_fen", "latest_after_days"}


def load() -> list[dict[str, Any]]:
    """Read the table; a key that nobody knows, or a case without its source, is refused."""
    rows: list[dict[str, Any]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    for row in rows:
        strange = (set(row) - KNOWN) | (set(row["expect"]) - EXPECTED)
        assert not strange, (row["case"], strange)
        missing = {"case", "source", "reason", "prepaid", "expect"} - set(row)
        assert not missing, (row["case"], missing)
        assert {"used_fen", "penalty_fen", "refund_fen"} <= set(row["expect"]), row["case"]
    return rows


CASES = load()


def test_there_are_twelve_cases():
    assert len(CASES) == len({row["case"] for row in CASES}) == 12


@pytest.mark.parametrize("row", CASES, ids=[row["case"] for row in CASES])
def test_a_case_comes_out_as_the_law_says(row):
    reason = EndReason(row["reason"])
    formula = formula_for(
        reason,
        consumer_cause_mode=row.get("consumer_cause_mode", False),
        unlimited=row.get("unlimited", False),
    )
    cost = penalty(
        reason,
        cooling_off=False,
        unpaid_fen=row.get("unpaid_fen", 0),
        loss_fen=row.get("loss_fen", 0),
    )
    found = refund(Prepaid(**row["prepaid"]), formula, cost)
    ppm = interest_ppm(reason, signed_on=SIGNED_ON)
    paid_on = ENDED_ON + timedelta(days=row.get("days_to_pay", 0))
    known = {
        "used_fen": found.used_principal_fen,
        "penalty_fen": found.penalty_fen,
        "refund_fen": found.refund_fen,
        "interest_fen": interest_fen(found.refund_fen, ppm, ended_on=ENDED_ON, paid_on=paid_on),
        "latest_after_days": (deadline(reason, ended_on=ENDED_ON).latest_on - ENDED_ON).days,
    }

    assert {key: known[key] for key in row["expect"]} == row["expect"]


def test_every_reason_has_a_cause_and_merchants_causes_pay_the_higher_rate():
    for reason in EndReason:
        merchant = cause_of(reason) is Cause.MERCHANT
        assert interest_ppm(reason, signed_on=SIGNED_ON) == (30_000 if merchant else 15_000)


FEN = st.integers(0, 10**7)


@given(principal=FEN, bonus=FEN, used=FEN, of_unpaid=FEN, of_loss=FEN, free=st.booleans())
def test_no_refund_is_below_nothing_or_above_what_was_paid(
    principal, bonus, used, of_unpaid, of_loss, free
):
    prepaid = Prepaid(principal, bonus, used)
    found = refund(prepaid, Formula.DEAL_PRICE, Penalty(of_unpaid, of_loss, free))

    assert found.refund_fen >= 0
    assert found.penalty_fen <= min(of_unpaid, of_loss)
    assert found.used_principal_fen + found.penalty_fen + found.refund_fen == principal
