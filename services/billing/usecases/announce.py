"""Tell the others what happened: events, history rows and tasks from what was decided."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from services.billing.contract import (
    AgreementFullyPaid,
    ChargeCollected,
    ChargeExhausted,
    ChargeFailed,
    InstalmentPostponed,
    InstalmentSettled,
    RiskCleared,
    RiskFlagged,
    TaskOpened,
)
from services.billing.domain.agreement import Agreement
from services.billing.domain.instalment import Instalment
from services.billing.domain.settlement import Case, Happening
from services.billing.domain.task import TASK_WITHIN, Task, TaskKind
from services.billing.store import tasks
from services.signing.contract import Rail
from shared import outbox
from shared.db import Connection
from shared.events import Event
from shared.ids import derived_id, new_id


def of_instalment(instalment: Instalment) -> dict[str, Any]:
    """Return what every event about an instalment carries."""
    return {
        "instalment_id": instalment.instalment_id,
        "agreement_id": instalment.agreement_id,
        "merchant_id": instalment.merchant_id,
        "customer_id": instalment.customer_id,
        "seq": instalment.seq,
        "periods": instalment.periods,
        "amount_fen": instalment.amount_fen,
    }


def of_agreement(agreement: Agreement) -> dict[str, Any]:
    """Return what every event about an agreement carries."""
    return {
        "agreement_id": agreement.agreement_id,
        "merchant_id": agreement.merchant_id,
        "customer_id": agreement.customer_id,
    }


def events_of(case: Case, *, now: datetime, pay_url_base: str) -> Iterable[Event]:
    """Return the events of a settled case, in the order of what happened."""
    for happening in case.happenings:
        match happening:
            case Happening.COLLECTED:
                yield _collected(case, now)
            case Happening.FAILED:
                yield _failed(case, now, pay_url_base)
            case Happening.EXHAUSTED:
                yield exhausted(
                    case.instalment,
                    case.agreement,
                    f"{case.attempt.failure_class}",
                    now=now,
                    pay_url_base=pay_url_base,
                )
            case Happening.OVERDUE_SETTLED:
                yield InstalmentSettled(
                    event_id=new_id(), occurred_at=now, **of_instalment(case.instalment)
                )
            case Happening.RISK_FLAGGED:
                yield RiskFlagged(
                    event_id=new_id(),
                    occurred_at=now,
                    failed_periods=case.agreement.failed_periods,
                    **of_agreement(case.agreement),
                )
            case Happening.RISK_CLEARED:
                yield RiskCleared(
                    event_id=new_id(), occurred_at=now, **of_agreement(case.agreement)
                )
            case Happening.SURPLUS | Happening.OURS_TO_LOOK_AT:
                continue
            case _:
                assert_never(happening)


def exhausted(
    instalment: Instalment,
    agreement: Agreement,
    failure_class: str,
    *,
    now: datetime,
    pay_url_base: str,
) -> ChargeExhausted:
    """Return the event that only the customer can pay this instalment now."""
    return ChargeExhausted(
        event_id=new_id(),
        occurred_at=now,
        rail=Rail(agreement.rail),
        failure_class=failure_class,
        pay_url=pay_url_base + instalment.pay_token,
        **of_instalment(instalment),
    )


def postponed(before: Instalment, after: Instalment, reason: str, *, now: datetime) -> Event:
    """Return the event that an instalment has a new charge date."""
    return InstalmentPostponed(
        event_id=new_id(),
        occurred_at=now,
        from_day=before.charge_on,
        to_day=after.charge_on,
        reason=reason,
        **of_instalment(after),
    )


def fully_paid(agreement: Agreement, *, now: datetime) -> Event:
    """Return the event that nothing of an agreement is unpaid; told once."""
    return AgreementFullyPaid(
        event_id=derived_id("fully_paid", agreement.agreement_id),
        occurred_at=now,
        **of_agreement(agreement),
    )


async def open_task(
    conn: Connection,
    kind: TaskKind,
    about: object,
    agreement: Agreement,
    instalment_id: UUID | None,
    *,
    detail: str,
    now: datetime,
    due_at: datetime | None = None,
    claim_id: UUID | None = None,
) -> None:
    """Ask a person to look, once for each *kind* and what it is *about*; else due in two days."""
    task = Task(
        task_id=derived_id("task", kind, about),
        kind=kind,
        merchant_id=agreement.merchant_id,
        customer_id=agreement.customer_id,
        agreement_id=agreement.agreement_id,
        instalment_id=instalment_id,
        detail=detail,
        opened_at=now,
        due_at=due_at or now + TASK_WITHIN,
        claim_id=claim_id,
    )
    if not await tasks.add(conn, task):
        return
    await outbox.add(
        conn,
        TaskOpened(
            event_id=new_id(),
            occurred_at=now,
            task_id=task.task_id,
            kind=kind.value,
            instalment_id=instalment_id,
            due_at=task.due_at,
            **of_agreement(agreement),
        ),
    )


def _collected(case: Case, now: datetime) -> Event:
    attempt, agreement, down = case.attempt, case.agreement, case.instalment.is_down_payment
    return ChargeCollected(
        event_id=derived_id("collected", attempt.attempt_id),
        occurred_at=now,
        charge_id=attempt.attempt_id,
        pet_id=agreement.pet_id,
        rail=Rail(attempt.rail),
        trade_no=attempt.trade_no,
        rail_trade_no=attempt.rail_trade_no or "",
        source=attempt.kind.value,
        hold_fen=0 if down else agreement.hold_fen,
        auto_ship=agreement.auto_ship and not down,
        collected_at=attempt.paid_at or now,
        bonus_fen=case.instalment.bonus_fen,
        penalty_fen=attempt.penalty_fen,
        **(of_instalment(case.instalment) | {"amount_fen": attempt.amount_fen}),
    )


def _failed(case: Case, now: datetime, pay_url_base: str) -> Event:
    return ChargeFailed(
        event_id=derived_id("failed", case.attempt.attempt_id),
        occurred_at=now,
        attempt_id=case.attempt.attempt_id,
        attempt_no=case.attempt.attempt_no,
        rail=Rail(case.attempt.rail),
        failure_class=f"{case.attempt.failure_class}",
        retry_at=case.instalment.next_try_at,
        pay_url=pay_url_base + case.instalment.pay_token,
        **of_instalment(case.instalment),
    )
