"""Bodies and answers about changes of a schedule, payments of several, and early ends."""

from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from shared.web import Body, PositiveFen, Text, View


class TermsLine(View):
    """One instalment before and after a change, with the rule that makes it so."""

    instalment_id: UUID
    seq: int
    due_on_before: date
    due_on: date
    charge_on: date = Field(description="Later than `due_on` where notices need more time.")
    amount_before_fen: int
    amount_fen: int
    waits: bool = Field(description="Its money is being collected; it follows when that is clear.")
    source: str


class SchedulePreview(View):
    """What a change would come to if it were made now."""

    agreement_id: UUID
    total_before_fen: int
    total_fen: int
    lines: list[TermsLine]


class PausePreview(Body):
    """So many periods to skip."""

    periods: Annotated[int, Field(ge=1, le=2)]


class AmendmentPreview(Body):
    """Another charge day, another amount from a period on, or both."""

    charge_day: Annotated[int, Field(ge=1, le=31)] | None = None
    from_seq: Annotated[int, Field(ge=1, le=99)] | None = None
    amount_fen: PositiveFen | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.from_seq is None) != (self.amount_fen is None):
            raise ValueError("from_seq and amount_fen go together")
        if self.charge_day is None and self.amount_fen is None:
            raise ValueError("name a charge day or an amount")
        return self


class NewDay(Body):
    """The day to which an instalment is to move."""

    to_day: date


class Agreed(Body):
    """The customer's own word."""

    agreed: Literal[True]
    text_version: Text


class NewPostponement(NewDay):
    """The day that was agreed with the customer; without consent nothing moves."""

    consent: Agreed


class MovedLine(View):
    """One instalment that moves; later ones follow only where the rail's plan wants it."""

    instalment_id: UUID
    seq: int
    from_day: date
    to_day: date
    amount_fen: int
    source: str


class PostponementView(View):
    """What moves, and between which days one may choose."""

    earliest: date
    latest: date
    lines: list[MovedLine]


class DueView(View):
    """What one instalment costs when it is paid now."""

    instalment_id: UUID
    seq: int
    base_fen: int
    penalty_fen: int
    interest_waived_fen: int
    amount_fen: int
    source: str = "CR-16: no fee, no interest of days to come"


class PayAllPreview(View):
    """What all that is unpaid comes to now."""

    agreement_id: UUID
    total_fen: int
    lines: list[DueView]


class QuoteView(View):
    """The same, kept for a day: pay it by this number."""

    quote_id: UUID
    agreement_id: UUID
    total_fen: int
    lines: list[DueView]
    quoted_at: datetime
    valid_until: datetime


class NewPaymentOrder(Body):
    """Which instalments are to be paid at once, or by which quote all; the exact sum of them."""

    instalment_ids: Annotated[list[UUID], Field(max_length=40)] = Field(default_factory=list)
    quote_id: UUID | None = None
    total_fen: PositiveFen

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.instalment_ids) == (self.quote_id is not None):
            raise ValueError("name instalments or a quote")
        return self


class OrderLine(View):
    """One payment of an order; ``client`` goes to the mini-program's payment call as it is."""

    instalment_id: UUID
    seq: int
    attempt_id: UUID
    trade_no: str
    rail: str
    amount_fen: int
    state: str
    expires_at: datetime
    client: dict[str, object]


class PaymentOrderView(View):
    """Several payments as one: ``open``, ``paid``, ``partly_paid`` or ``ended``."""

    order_id: UUID
    agreement_id: UUID
    quote_id: UUID | None
    total_fen: int
    paid_fen: int
    state: str
    ordered_at: datetime
    payments: list[OrderLine]


class LossItem(Body):
    """One documented loss."""

    item: Text
    amount_fen: PositiveFen
    evidence_ref: Text


class TerminationAsked(Body):
    """Why an agreement would end; without documented loss there is no penalty."""

    reason: Literal[
        "customer_wish",
        "cooling_off",
        "seven_days",
        "pet_sick",
        "pet_distemper",
        "pet_dead",
        "pet_lost",
        "incapable",
        "merchant_fault",
        "shop_closed",
        "shop_moved",
        "terms_changed",
        "out_of_stock",
        "obligations_transferred",
        "licence_lost",
    ]
    loss: Annotated[list[LossItem], Field(max_length=50)] = Field(default_factory=list)


class SettlementLine(View):
    """One figure of a settlement, with the rule that makes it so."""

    name: str
    amount_fen: int
    source: str


class TerminationPreview(View):
    """
    What an end today would come to.

    ``refund_fen`` is what of the collected money did not go into parcels, less the penalty;
    what was spent in the shop is in wallet's own preview, which takes ``penalty_due_fen``.
    """

    agreement_id: UUID
    reason: str
    cause: str
    formula: str
    collected_fen: int
    used_fen: int
    penalty_due_fen: int
    penalty_fen: int
    refund_fen: int
    refund_target_on: date
    refund_latest_on: date
    interest_ppm_per_year: int
    interest_to_latest_fen: int
    lines: list[SettlementLine]
