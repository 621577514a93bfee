"""What billing answers about rails' bills and the differences in them."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.web import Body, PageQuery, View


class BillDayFilter(PageQuery):
    """Which days to list."""

    rail: str | None = Field(default=None, max_length=40)
    open_only: bool = False


class BillDayView(View):
    """The bill of one day of our account at one rail; totals are the bill's own."""

    day_id: UUID
    rail: str
    account_no: str
    day: date
    state: str = Field(description="expected, fetched, matched or closed")
    refused: str | None = Field(description="Why there is no usable bill yet.")
    next_at: datetime | None = Field(description="When it is looked at by itself.")
    lines: int
    matched_to: int = Field(description="How many of the lines have been judged.")
    compared: bool = Field(description="Our own records of the day were looked for, too.")
    charges: int
    refunds: int
    captured_fen: int
    refunded_fen: int
    fee_fen: int
    opened_at: datetime
    fetched_at: datetime | None
    matched_at: datetime | None
    closed_at: datetime | None


class OutcomeView(View):
    """What became of some lines of a bill."""

    kind: str
    outcome: str
    lines: int
    amount_fen: int
    fee_fen: int


class BillDayStory(View):
    """A day with what became of its lines and how many differences are open, by kind."""

    day: BillDayView
    outcomes: list[OutcomeView]
    open_tickets: dict[str, int]


class ReconciliationView(View):
    """What a closed day came to for one merchant: the lines of the bill that are ours."""

    reconciliation_id: UUID
    rail: str
    day: date
    charges: int
    refunds: int
    captured_fen: int
    refunded_fen: int
    fee_fen: int
    surplus_captured_fen: int = Field(description="Of it: money that arrived twice.")
    surplus_refunded_fen: int = Field(description="Of it: such money that went back.")
    closed_at: datetime


class TicketFilter(PageQuery):
    """Which differences to list."""

    day_id: UUID | None = None
    open_only: bool = True


class TicketView(View):
    """One difference, with both sides' amounts; null where a side has none."""

    ticket_id: UUID
    day_id: UUID
    rail: str
    day: date
    kind: str = Field(
        description="missing_here, missing_there, amount_differs, broken_row or no_bill"
    )
    what: str = Field(description="charge, refund or bill")
    cause: str
    number: str = Field(description="Our number at the rail, or the place in the bill.")
    line_no: int
    merchant_id: UUID | None
    agreement_id: UUID | None
    attempt_id: UUID | None
    refund_id: UUID | None
    rail_fen: int | None
    our_fen: int | None
    opened_at: datetime
    resolution: str | None
    reason: str | None
    resolved_by: str | None
    resolved_at: datetime | None


class TicketMoveView(View):
    """One move of a difference."""

    from_state: str
    to_state: str
    actor: str
    reason: str
    moved_at: datetime


class TicketStory(View):
    """A difference and its history, oldest first."""

    ticket: TicketView
    history: list[TicketMoveView]


class NewResolution(Body):
    """How a difference ended, and why a stranger may believe it."""

    resolution: Literal["accepted", "corrected_at_rail", "refunded_otherwise"]
    reason: str = Field(min_length=4, max_length=500, pattern=r"\S")
