"""What billing tells the others."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.signing.contract import Rail
from shared.events import Event


class _InstalmentEvent(Event):
    about: ClassVar[str] = "agreement_id"

    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    seq: int
    periods: int
    amount_fen: int


class NoticeRequested(_InstalmentEvent):
    """
    A customer must be told of a charge, on each of *channels*, before *send_by*.

    ``kind`` is ``advance`` (120 h before) or ``reminder`` (48 h before, two channels).
    The proof is the ``notify.message.accepted`` whose cause is this ``notice_id``.
    """

    subject: ClassVar[str] = "billing.notice.requested.v1"

    notice_id: UUID
    kind: str
    channels: tuple[str, ...]
    rail: Rail
    charge_at: AwareDatetime
    send_by: AwareDatetime


class ChargeCollected(_InstalmentEvent):
    """
    The money of one instalment has arrived; told once for each instalment.

    ``hold_fen`` is to be kept for the period's parcel if ``auto_ship``.
    ``source`` is ``automatic`` or ``pay_now``.  ``bonus_fen`` is what the merchant gives
    beside the money; ``penalty_fen`` is the part of ``amount_fen`` that being late cost.
    ``seq`` 0 is a down payment, which brings no parcel.
    """

    subject: ClassVar[str] = "billing.charge.collected.v1"

    charge_id: UUID
    pet_id: UUID
    rail: Rail
    trade_no: str
    rail_trade_no: str
    source: str
    hold_fen: int
    auto_ship: bool
    collected_at: AwareDatetime
    bonus_fen: int = 0
    penalty_fen: int = 0


class InstalmentGranted(_InstalmentEvent):
    """
    A free month has come: nothing is charged, the merchant gives *bonus_fen*; told once.

    ``amount_fen`` is 0; ``hold_fen`` is to be kept for the period's parcel if ``auto_ship``.
    """

    subject: ClassVar[str] = "billing.instalment.granted.v1"

    pet_id: UUID
    bonus_fen: int
    hold_fen: int
    auto_ship: bool
    granted_at: AwareDatetime


class ChargeFailed(_InstalmentEvent):
    """A try failed; *retry_at* is the next one, or None when this was the last."""

    subject: ClassVar[str] = "billing.charge.failed.v1"

    attempt_id: UUID
    attempt_no: int
    rail: Rail
    failure_class: str
    retry_at: AwareDatetime | None
    pay_url: str


class ChargeExhausted(_InstalmentEvent):
    """Every automatic try of a period failed; only the customer can pay it now."""

    subject: ClassVar[str] = "billing.charge.exhausted.v1"

    rail: Rail
    failure_class: str
    pay_url: str


class InstalmentOverdue(_InstalmentEvent):
    """
    One rung of the dunning ladder: so many days late, and what is done about it.

    ``text`` is the key of the words the customer gets on ``channels``; empty with channels
    empty too means that only staff act.  ``collectible_fen`` is what is really owed; 0 for
    a top-up that was not made.
    """

    subject: ClassVar[str] = "billing.instalment.overdue.v1"

    days_late: int
    rung: str
    pay_url: str
    text: str = ""
    channels: tuple[str, ...] = ()
    collectible_fen: int = 0


class InstalmentSettled(_InstalmentEvent):
    """An overdue instalment has been paid."""

    subject: ClassVar[str] = "billing.instalment.settled.v1"


class InstalmentPostponed(_InstalmentEvent):
    """An instalment has a new charge date, with notices of its own."""

    subject: ClassVar[str] = "billing.instalment.postponed.v1"

    from_day: date
    to_day: date
    reason: str


class RefundSucceeded(Event):
    """
    Money has gone back to its original route.

    ``settlement_id`` is the wallet's request it belongs to; None for money that
    arrived twice and never reached the wallet.
    """

    subject: ClassVar[str] = "billing.refund.succeeded.v1"
    about: ClassVar[str] = "agreement_id"

    refund_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    charge_id: UUID
    settlement_id: UUID | None
    rail: Rail
    amount_fen: int


class RefundFailed(Event):
    """The rail refused a refund for good; a person must find another way."""

    subject: ClassVar[str] = "billing.refund.failed.v1"
    about: ClassVar[str] = "agreement_id"

    refund_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    charge_id: UUID
    settlement_id: UUID | None
    rail: Rail
    amount_fen: int
    reason: str


class _AgreementEvent(Event):
    about: ClassVar[str] = "agreement_id"

    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID


class AgreementFullyPaid(_AgreementEvent):
    """Every instalment of an agreement has been paid."""

    subject: ClassVar[str] = "billing.agreement.fully_paid.v1"


class ScheduledInstalment(BaseModel):
    """One instalment as it stands; ``charge_on`` is later than ``due_on`` if postponed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seq: int
    due_on: date
    charge_on: date
    amount_fen: int
    state: str


class ScheduleChanged(_AgreementEvent):
    """
    What a pause, its end or an amendment made of an agreement's schedule, whole.

    ``terms_no`` grows with each; the highest counts.  ``change_no`` is the change of
    signing's that was applied; one may be told again when an instalment that was being
    collected has followed.
    """

    subject: ClassVar[str] = "billing.schedule.changed.v1"

    terms_no: int
    change_no: int
    reason: str
    total_fen: int
    instalments: tuple[ScheduledInstalment, ...]


class RiskFlagged(_AgreementEvent):
    """Consecutive periods failed; automatic charges rest until a person has looked."""

    subject: ClassVar[str] = "billing.risk.flagged.v1"

    failed_periods: int


class RiskCleared(_AgreementEvent):
    """What was flagged has been paid."""

    subject: ClassVar[str] = "billing.risk.cleared.v1"


class TaskOpened(_AgreementEvent):
    """A member of staff must follow up an instalment."""

    subject: ClassVar[str] = "billing.task.opened.v1"

    task_id: UUID
    kind: str
    instalment_id: UUID | None
    due_at: AwareDatetime


class TaskClosed(_AgreementEvent):
    """A task needs nobody any more; ``outcome`` is what came of it."""

    subject: ClassVar[str] = "billing.task.closed.v1"

    task_id: UUID
    kind: str
    instalment_id: UUID | None
    outcome: str
    promised_on: date | None = None


class TaskEscalated(_AgreementEvent):
    """A task is overdue, and somebody above its assignee must see to it; told once."""

    subject: ClassVar[str] = "billing.task.escalated.v1"

    task_id: UUID
    kind: str
    instalment_id: UUID | None
    assignee: str | None
    due_at: AwareDatetime


class DayReconciled(Event):
    """
    A day of a rail's bill is closed: every difference in it has an explanation.

    Said once for each merchant, rail and day, from the lines of the bill that are ours;
    what a person had to explain is not in it.  ``captured_fen - refunded_fen - fee_fen`` is
    what the rail pays out.  The ``surplus`` parts are contained: money that arrived twice,
    and went back, without ever reaching the wallet.
    """

    subject: ClassVar[str] = "billing.day.reconciled.v1"
    about: ClassVar[str] = "merchant_id"

    reconciliation_id: UUID
    merchant_id: UUID
    rail: Rail
    day: date
    charges: int
    refunds: int
    captured_fen: int
    refunded_fen: int
    fee_fen: int
    surplus_captured_fen: int = 0
    surplus_refunded_fen: int = 0
