"""Shared quotes and estimates of treatments, as they are sent and shown."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from services.signing.contract.events import OverduePenalty, Rail, SignedInstalment
from shared.web import Body, PositiveFen, Query, Text, View

DEFAULT_DAYS: Final = 7
"""How long a code opens its quote unless the shop says otherwise."""

MOST_DAYS: Final = 90
"""A printed sign in the shop is renewed every quarter at least."""

_Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]


class NewShare(Body):
    """For how long a quote may be looked at by its code."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] = DEFAULT_DAYS


class ShareView(View):
    """The code of a quote; *url* is what the two images say."""

    code: str
    quote_id: UUID
    url: str
    svg_path: str
    png_path: str
    shared_at: datetime
    expires_at: datetime


class ImageQuery(Query):
    """How large an image should be."""

    module_px: Annotated[int, Field(ge=1, le=40)] = Field(
        default=10, description="Pixels of each of the code's squares."
    )


class CapView(View):
    """What may be asked at most, in per cent a year, of the higher of the two rates."""

    lender: Literal["nobody", "seller", "bank", "consumer_finance", "micro_loan"]
    percent: str
    basis: Literal["business", "four_times_lpr"]


class FiguresView(View):
    """
    What is paid, when, and what that costs in a year.

    The instalments, the down payment (number 0) among them, add up to *total_fen*.
    *interest_fen* is within it; *other_fees_fen* is always 0, nothing else is charged.
    *nominal_percent* is twelve times the monthly internal rate of return, *effective_percent*
    the same compounded.
    """

    total_fen: int
    cash_price_fen: int
    down_payment_fen: int
    interest_fen: int
    other_fees_fen: Literal[0] = 0
    bonus_fen: int
    nominal_percent: str
    effective_percent: str
    overdue_penalty: OverduePenalty | None
    instalments: list[SignedInstalment]


class SharedQuoteView(FiguresView):
    """
    A shared quote, with the dates it would have if it were signed within the hour.

    Nothing in it is about a person.
    """

    code: str
    expires_at: datetime
    quoted_at: datetime
    reckoned_at: datetime
    merchant_name: str
    plan_id: UUID
    plan_version: int
    plan_name: str
    kind: str
    legal_type: str
    periods: int
    rail: Rail
    charge_day: int
    cap: CapView


class NewProcedurePrice(Body):
    """What a treatment costs; the three rise."""

    name: Text
    low_fen: PositiveFen
    likely_fen: PositiveFen
    high_fen: PositiveFen
    insurance_per_mille: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Share that an insurance pays; null where there is none."
    )


class ProcedurePriceView(View):
    """One line of the merchant's list of treatments."""

    procedure: str
    species: str
    name: str
    low_fen: int
    likely_fen: int
    high_fen: int
    insurance_per_mille: int | None
    changed_at: datetime


class EstimateQuery(Query):
    """Which treatment, in which plan's periods."""

    procedure: _Word
    species: _Word
    plan_id: UUID
    plan_version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    rail: Rail
    charge_day: Annotated[int, Field(ge=1, le=31)]


class TermsView(FiguresView):
    """A plan's terms at one price; *score* is the credit score they ask for."""

    score: int


class InsuranceView(View):
    """
    The same with insurance: *covered_fen* and *own_fen* add up to the price.

    *terms* are those of one's own share; null where it is too small for periods.
    """

    per_mille: int
    covered_fen: int
    own_fen: int
    terms: TermsView | None


class OutcomeView(View):
    """One of the three prices, and what it comes to without and with insurance."""

    likelihood: Literal["low", "likely", "high"]
    cost_fen: int
    terms: TermsView
    insurance: InsuranceView | None


class EstimateView(View):
    """What a treatment comes to before it begins: low, likely, high."""

    procedure: str
    species: str
    name: str
    priced_at: datetime
    plan_id: UUID
    plan_version: int
    plan_name: str
    periods: int
    rail: Rail
    charge_day: int
    cap: CapView
    outcomes: list[OutcomeView]
