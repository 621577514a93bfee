"""What each event means for the customer: which template, which facts.  No I/O."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from services.billing.contract import (
    ChargeCollected,
    ChargeExhausted,
    ChargeFailed,
    InstalmentOverdue,
    InstalmentPostponed,
    InstalmentSettled,
    NoticeRequested,
    RefundSucceeded,
)
from services.notify.contract.states import Channel
from services.notify.domain.causes import Wanted
from services.signing.contract import (
    AgreementActivated,
    AgreementCancelled,
    AgreementCompleted,
    AgreementSigned,
    AgreementTerminated,
    MandateClosed,
    MandateRevoked,
)
from shared.calendar import CHINA
from shared.ids import derived_id

RAIL_NAMES: Final = {"alipay": "支付宝", "wechatpay": "微信支付"}

SILENT_RUNGS: Final = frozenset({"staff_task"})
"""Rungs on which a person calls; the customer gets no message."""
SPOKEN_RUNGS: Final = frozenset({"reminder", "topup", "extension", "demand", "lawful_procedure"})
"""What there are words for; ``topup`` is a reminder where nothing is owed (rule X18)."""


class _Instalment(Protocol):
    @property
    def instalment_id(self) -> UUID: ...
    @property
    def agreement_id(self) -> UUID: ...
    @property
    def merchant_id(self) -> UUID: ...
    @property
    def customer_id(self) -> UUID: ...
    @property
    def seq(self) -> int: ...
    @property
    def periods(self) -> int: ...
    @property
    def amount_fen(self) -> int: ...
    @property
    def occurred_at(self) -> datetime: ...


class _Agreement(Protocol):
    @property
    def agreement_id(self) -> UUID: ...
    @property
    def merchant_id(self) -> UUID: ...
    @property
    def customer_id(self) -> UUID: ...
    @property
    def occurred_at(self) -> datetime: ...


def agreement_signed(event: AgreementSigned) -> Iterator[Wanted]:
    """Tell what was signed, until when it may be cancelled, and the first charge."""
    # A down payment is no charge, and a free month is none.
    charges = [line for line in event.instalments if line.seq > 0 and line.amount_fen > 0]
    first = min(charges, key=lambda line: line.seq, default=None)
    if first is None:
        return
    yield _about_agreement(
        event,
        "agreement.signed",
        rail=event.rail.value,
        periods=event.periods,
        total_fen=event.total_fen,
        first_charge_on=first.due_on.isoformat(),
        first_amount_fen=first.amount_fen,
        cooling_end_at=event.cooling_off_ends_at.isoformat(),
    )


def agreement_activated(event: AgreementActivated) -> Iterator[Wanted]:
    """Tell that the cooling-off time is over."""
    yield _about_agreement(event, "agreement.activated")


def agreement_cancelled(event: AgreementCancelled) -> Iterator[Wanted]:
    """Tell that everything paid goes back."""
    yield _about_agreement(event, "agreement.cancelled")


def agreement_terminated(event: AgreementTerminated) -> Iterator[Wanted]:
    """Tell that charges have stopped."""
    yield _about_agreement(event, "agreement.terminated")


def agreement_completed(event: AgreementCompleted) -> Iterator[Wanted]:
    """Tell that all is done."""
    yield _about_agreement(event, "agreement.completed")


def mandate_revoked(event: MandateRevoked) -> Iterator[Wanted]:
    """Tell that nothing can be charged any more."""
    yield _about_agreement(event, "mandate.revoked", cause_id=event.mandate_id)


def mandate_closed(event: MandateClosed) -> Iterator[Wanted]:
    """Tell that the rail has closed the mandate."""
    yield _about_agreement(event, "mandate.closed", cause_id=event.mandate_id)


def notice_requested(event: NoticeRequested) -> Iterator[Wanted]:
    """Give the notice that billing owes, on the channels and by the time that it says."""
    key = "notice.advance" if event.kind == "advance" else "notice.reminder"
    yield _about_instalment(
        event,
        key,
        cause=f"notice.{event.kind}",
        cause_id=event.notice_id,
        rail=event.rail.value,
        channels=tuple(Channel(name) for name in event.channels if name in set(Channel)),
        send_by=event.send_by,
        charge_at=event.charge_at.isoformat(),
    )


def charge_collected(event: ChargeCollected) -> Iterator[Wanted]:
    """Give the receipt (rule WH-19: within the hour)."""
    yield _about_instalment(
        event,
        "charge.collected",
        cause_id=event.charge_id,
        rail=event.rail.value,
        collected_at=event.collected_at.isoformat(),
    )


def charge_failed(event: ChargeFailed) -> Iterator[Wanted]:
    """Tell what failed, what comes next, and how to pay (rule WH-11: within the hour)."""
    yield _about_instalment(
        event,
        "charge.failed",
        cause_id=event.attempt_id,
        rail=event.rail.value,
        pay_url=event.pay_url,
        next=_next_step(event.retry_at),
    )


def charge_exhausted(event: ChargeExhausted) -> Iterator[Wanted]:
    """Tell that only the customer can pay now."""
    yield _about_instalment(
        event,
        "charge.exhausted",
        cause_id=event.instalment_id,
        rail=event.rail.value,
        pay_url=event.pay_url,
    )


def instalment_overdue(event: InstalmentOverdue) -> Iterator[Wanted]:
    """Remind, once for each rung; a rung nobody has words for is a plain reminder."""
    if event.rung in SILENT_RUNGS:
        return
    words = event.text or event.rung
    words = words if words in SPOKEN_RUNGS else "reminder"
    yield _about_instalment(
        event,
        f"instalment.overdue.{words}",
        cause=f"instalment.overdue.{event.rung}.{event.days_late}",
        cause_id=event.instalment_id,
        pay_url=event.pay_url,
        days=event.days_late,
    )


def instalment_settled(event: InstalmentSettled) -> Iterator[Wanted]:
    """Tell that what was late has been paid."""
    yield _about_instalment(event, "instalment.settled", cause_id=event.instalment_id)


def instalment_postponed(event: InstalmentPostponed) -> Iterator[Wanted]:
    """Tell the new day of a charge."""
    yield _about_instalment(
        event,
        "instalment.postponed",
        cause_id=derived_id("postponed", event.instalment_id, event.from_day, event.to_day),
        from_day_on=event.from_day.isoformat(),
        to_day_on=event.to_day.isoformat(),
    )


def refund_succeeded(event: RefundSucceeded) -> Iterator[Wanted]:
    """Tell what has gone back, and where."""
    yield _about_agreement(
        event,
        "refund.succeeded",
        cause_id=event.refund_id,
        rail=event.rail.value,
        amount_fen=event.amount_fen,
    )


def _next_step(retry_at: datetime | None) -> str:
    if retry_at is None:
        return "系统不再自动尝试"
    local = retry_at.astimezone(CHINA)
    return f"将于{local.month}月{local.day}日{local:%H:%M}后再试一次"


def _about_agreement(
    event: _Agreement,
    template: str,
    *,
    cause_id: UUID | None = None,
    rail: str | None = None,
    **facts: Any,
) -> Wanted:
    return Wanted(
        cause=template,
        cause_id=cause_id or event.agreement_id,
        template=template,
        merchant_id=event.merchant_id,
        customer_id=event.customer_id,
        agreement_id=event.agreement_id,
        rail=rail,
        facts=facts,
    )


def _about_instalment(
    event: _Instalment,
    template: str,
    *,
    cause_id: UUID,
    cause: str | None = None,
    rail: str | None = None,
    channels: tuple[Channel, ...] | None = None,
    send_by: datetime | None = None,
    **facts: Any,
) -> Wanted:
    return Wanted(
        cause=cause or template,
        cause_id=cause_id,
        template=template,
        merchant_id=event.merchant_id,
        customer_id=event.customer_id,
        agreement_id=event.agreement_id,
        instalment_id=event.instalment_id,
        rail=rail,
        facts={"seq": event.seq, "periods": event.periods, "amount_fen": event.amount_fen} | facts,
        channels=channels,
        send_by=send_by,
    )
