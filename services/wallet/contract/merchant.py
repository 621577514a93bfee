"""What wallet takes and answers over HTTP about a merchant's own money."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from services.wallet.contract.merchant_states import (
    AdvanceState,
    Beneficiary,
    BorneBy,
    MoneySubject,
    PayoutState,
    StatementPeriod,
)
from shared.web import Body, FenAmount, PageQuery, PositiveFen, Query, Text, View

PerMille = Annotated[int, Field(ge=0, le=1000)]
AccountRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{5,63}$")]
"""The channel's token of a bank account; a letter first: an account number is refused."""


class TermsBody(Body):
    """Terms of a merchant from a day on; what is left out has the platform's default."""

    fee_per_mille: PerMille = 20
    rail_fee_borne_by: BorneBy = Field(default=BorneBy.PLATFORM, strict=False)
    supply_per_mille: PerMille | None = None
    sku_costs_fen: dict[Text, FenAmount] = Field(default_factory=dict, max_length=1000)
    renewal_bonus_per_mille: Annotated[int, Field(ge=0, le=200)] = 0
    supply_rebate_per_mille: Annotated[int, Field(ge=0, le=500)] = 0
    payout_minimum_fen: PositiveFen = 10_000
    payout_maximum_fen: PositiveFen = 100_000_000
    guarantee_monthly_per_mille: Annotated[int, Field(ge=300, le=1000)] = 300
    guarantee_balance_per_mille: Annotated[int, Field(ge=0, le=1000)] = 0
    guarantee_floor_fen: FenAmount = 0
    guarantee_insured_fen: FenAmount = 0
    advance_per_mille: Annotated[int, Field(ge=0, le=500)] = 400


class NewTermsBody(TermsBody):
    """Terms, and the first day (in China) on which they count."""

    from_day: date


class TermsView(View):
    """Terms of a merchant, and the first day on which they count."""

    from_day: date
    terms: TermsBody


class TermsListView(View):
    """All terms of a merchant, newest first."""

    items: list[TermsView]


class AccountBody(Body):
    """Where payouts go: the channel's token and the last four digits, never the number."""

    account_ref: AccountRef
    bank: Text
    tail: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]


class DepositBody(Body):
    """What a merchant paid into the supervised account as its deposit."""

    amount_fen: PositiveFen
    reference: Text


class GuaranteeBody(Body):
    """A move of the deposit, and why."""

    amount_fen: PositiveFen
    reason: Text


class MoneyView(View):
    """How a merchant's money stands, in fen; see the README for what may leave."""

    payable_fen: int
    stated_fen: int
    undelivered_fen: int
    delivered_fen: int
    free_fen: int
    supervised_fen: int
    guarantee_fen: int
    guarantee_required_fen: int
    guarantee_short: bool
    advance_fen: int
    account_bank: str | None
    account_tail: str | None


class FiguresView(View):
    """A statement's figures in fen, each positive in its usual direction."""

    collected_fen: int
    delivered_fen: int
    platform_fee_fen: int
    supply_cost_fen: int
    rail_fee_fen: int
    penalty_fen: int
    reward_fen: int
    promotion_fen: int
    advance_drawn_fen: int
    advance_interest_fen: int
    advance_repaid_fen: int
    kept_fen: int
    refunded_fen: int
    settled_fen: int
    paid_out_fen: int


class StatementView(View):
    """A closed statement; ``digest`` covers all of it and, by ``previous``, those before."""

    statement_id: UUID
    period: StatementPeriod
    from_day: date
    to_day: date
    opening_fen: int
    payable_fen: int
    figures: FiguresView
    transfers: int
    lines_digest: str
    previous: str
    digest: str
    issued_at: datetime


class StatementFilter(PageQuery):
    """Which statements to list."""

    period: StatementPeriod | None = None


class SheetFormat(StrEnum):
    """What a statement is exported as."""

    CSV = "csv"
    XLSX = "xlsx"


class ExportQuery(Query):
    """What a statement is exported as."""

    format: SheetFormat = SheetFormat.CSV


class PayoutView(View):
    """A payout and how far it has got."""

    payout_id: UUID
    beneficiary: Beneficiary
    amount_fen: int
    day: date
    state: PayoutState
    reference: str | None
    failure: str | None
    created_at: datetime
    ended_at: datetime | None


class AdvanceBody(Body):
    """How much a merchant wants to have in advance."""

    amount_fen: PositiveFen


class AdvanceView(View):
    """An advance; interest in millionths of what is outstanding, each day."""

    advance_id: UUID
    state: AdvanceState
    amount_fen: int
    covered_fen: int
    interest_ppm: int
    interest_fen: int
    repaid_fen: int
    outstanding_fen: int
    valid_until: datetime
    asked_at: datetime
    drawn_at: datetime | None
    failure: str | None


class MoneyEntryView(View):
    """One line of the history of a merchant's money."""

    entry_id: UUID
    subject: MoneySubject
    subject_id: str
    move: str
    actor: str
    detail: dict[str, object]
    noted_at: datetime
