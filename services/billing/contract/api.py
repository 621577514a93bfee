"""What billing answers over HTTP."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from services.signing.contract import SignedLine
from shared.web import Body, PageQuery, PositiveFen, View


class InstalmentView(View):
    """One period of an agreement, as it stands."""

    instalment_id: UUID
    agreement_id: UUID
    customer_id: UUID
    seq: int
    periods: int
    amount_fen: int
    bonus_fen: int = Field(description="What the merchant gives beside the amount.")
    due_on: date = Field(description="The day that was signed.")
    charge_on: date = Field(description="The day on which it is charged.")
    charge_at: datetime
    state: str
    overdue_since: date | None
    extended_until: date | None
    paid_at: datetime | None


class NoticeView(View):
    """What the customer was told, on one channel."""

    notice_id: UUID
    kind: str
    charge_on: date
    amount_fen: int
    requested_at: datetime
    send_by: datetime
    channel: str | None
    message_id: UUID | None
    accepted_at: datetime | None
    delivered_at: datetime | None
    answer: str | None


class RefusalView(View):
    """Why an automatic charge did not start at one moment."""

    refused_at: datetime
    reasons: list[str]
    action: str


class AttemptView(View):
    """One try to collect the money."""

    attempt_id: UUID
    attempt_no: int
    trade_no: str
    kind: str
    rail: str
    amount_fen: int
    penalty_fen: int
    state: str
    surplus: bool
    failure_class: str | None
    failure_code: str | None
    rail_trade_no: str | None
    created_at: datetime
    settled_at: datetime | None
    paid_at: datetime | None
    query_at: datetime | None
    queries: int


class RefundView(View):
    """Money on its way back, or back."""

    refund_id: UUID
    refund_no: str
    attempt_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    settlement_id: UUID | None
    rail: str
    amount_fen: int
    reason: str
    state: str
    created_at: datetime
    settled_at: datetime | None
    failure_code: str | None


class MoveView(View):
    """One move of the instalment or of something that hangs on it."""

    thing: str
    thing_id: UUID
    from_state: str
    to_state: str
    actor: str
    reason: str
    moved_at: datetime


class StoryView(View):
    """Everything on record about one instalment, each part oldest first."""

    instalment: InstalmentView
    lines: list[SignedLine] = Field(description="What the amount is made of.")
    notices: list[NoticeView]
    refusals: list[RefusalView]
    attempts: list[AttemptView]
    refunds: list[RefundView]
    history: list[MoveView]


class PayLinkView(View):
    """
    Where the customer can pay an instalment himself; the link never changes.

    ``amount_fen`` is due now: ``base_fen`` and, where being late costs, ``penalty_fen``.
    """

    instalment_id: UUID
    amount_fen: int
    base_fen: int
    penalty_fen: int
    state: str
    token: str
    pay_url: str


class NewPayment(Body):
    """What a customer is about to pay; an instalment is paid as a whole."""

    amount_fen: PositiveFen | None = Field(
        default=None, description="Refused with the exact amount due if it differs."
    )


class PaymentView(View):
    """An opened payment; ``client`` goes to the mini-program's payment call as it is."""

    attempt_id: UUID
    instalment_id: UUID
    trade_no: str
    rail: str
    amount_fen: int
    penalty_fen: int
    expires_at: datetime
    client: dict[str, object]


class RefundFilter(PageQuery):
    """Which refunds to list."""

    agreement_id: UUID | None = None
    state: Literal["waiting", "sent", "succeeded", "failed"] | None = None


class NotificationView(View):
    """A rail's notification that fits nothing of ours; it waits for a person."""

    webhook_id: UUID
    provider: str
    delivery_key: str
    received_at: datetime
    reason: str | None
    body: str


class Hold(Body):
    """Why nobody shall be charged for now, e.g. ``pet_claim`` or ``hardship``."""

    reason: str = Field(pattern=r"^[a-z][a-z_]{1,39}$")


class HoldView(View):
    """The reasons why no automatic charge of an agreement starts now."""

    agreement_id: UUID
    holds: list[str]
