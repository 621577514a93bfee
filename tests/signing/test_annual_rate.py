"""What credit costs in a year, against published examples, and what may be asked at most."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.domain.annual_rate import annual_rate, cap_percent, require_below_cap
from services.signing.domain.errors import RateAboveCap
from services.signing.domain.plan import LegalType
from services.signing.domain.rate_cap import LenderType, lender_of, rate_cap
from tests.support.signing_plans import amounts_of
from tests.support.tables import yaml_cases

RATES = yaml_cases(
    "annual_rates.yaml",
    needed=("name", "source", "principal", "payments", "nominal"),
    optional=("effective",),
    count=17,
)
CAPS = yaml_cases(
    "rate_caps.yaml", needed=("name", "lender", "signed_on", "percent", "basis"), count=7
)
CLOSE = Decimal("0.01")


@pytest.mark.parametrize("case", RATES, ids=lambda case: case["name"])
def test_the_rate_is_the_internal_rate_of_return(case):
    rate = annual_rate(case["principal"], amounts_of(case["payments"]))

    assert abs(rate.nominal_percent - Decimal(case["nominal"])) <= CLOSE
    if "effective" in case:
        assert abs(rate.effective_percent - Decimal(case["effective"])) <= CLOSE


@given(
    principal_fen=st.integers(100_000, 10**8),
    monthly_ppm=st.integers(100, 30_000),
    periods=st.integers(1, 24),
)
def test_an_even_payment_made_from_a_rate_gives_the_rate_back(principal_fen, monthly_ppm, periods):
    monthly = Decimal(monthly_ppm) / 10**6
    payment = principal_fen * monthly / (1 - (1 + monthly) ** -periods)

    rate = annual_rate(principal_fen, [round(payment)] * periods)

    # The payment is rounded to a fen; that is what the tolerance is for.
    slack = Decimal(2400) / principal_fen * periods + CLOSE
    assert abs(rate.nominal_percent - monthly * 1200) <= slack
    assert (
        rate.effective_percent
        >= rate.nominal_percent
        == rate.nominal_percent.quantize(Decimal("0.001"))
    )


def test_the_cap_holds_against_the_higher_rate():
    require_below_cap(annual_rate(500_000, [46_726] * 12), LegalType.PREPAID)
    with pytest.raises(RateAboveCap):
        require_below_cap(annual_rate(500_000, [47_280] * 12), LegalType.PREPAID)
    with pytest.raises(RateAboveCap):
        require_below_cap(annual_rate(600_000, [54_000] * 12), LegalType.INSTALMENT_SALE)


@pytest.mark.parametrize("case", CAPS, ids=lambda case: case["name"])
def test_the_cap_depends_on_who_lends(case):
    cap = rate_cap(LenderType(case["lender"]), signed_on=case["signed_on"])

    assert (cap.percent, cap.basis, cap.lender) == (case["percent"], case["basis"], case["lender"])


@pytest.mark.parametrize("legal_type", LegalType)
def test_what_is_shown_as_cap_is_what_is_held_against(legal_type):
    shown = rate_cap(lender_of(legal_type), signed_on=date(2026, 11, 22))

    assert Decimal(shown.percent) == cap_percent(legal_type)
