"""What each score permits, at the edges of its bands."""

import pytest

from services.signing.domain.credit_tiers import Answer, judge, threshold_for
from services.signing.domain.offer import Offer
from services.signing.domain.plan import LegalType
from tests.support.signing_plans import a_plan
from tests.support.tables import csv_rows

ROWS = csv_rows(
    "credit_tiers.csv", header=["score", "periods", "down_per_mille", "verdict"], count=42
)


def answer_at(score: str, threshold: int) -> Answer:
    """Answer as a provider does, which knows the score and tells only one side of it."""
    if score == "unknown":
        return Answer.NO_SCORE
    return Answer.PASSED if int(score) >= threshold else Answer.BELOW


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row.values()))
def test_a_score_permits_what_its_band_says(row):
    plan = a_plan(
        legal_type=LegalType.INSTALMENT_SALE,
        periods=int(row["periods"]),
        offer=Offer(down_payment_per_mille=int(row["down_per_mille"])),
    )

    assert judge(answer_at(row["score"], threshold_for(plan))) == row["verdict"]


def test_every_edge_is_in_the_table():
    assert {row["score"] for row in ROWS} == {
        *map(str, (549, 550, 599, 600, 649, 650)),
        "unknown",
    }
