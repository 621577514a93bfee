"""What a person has to follow up."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class TaskKind(StrEnum):
    """Why somebody must look."""

    FOLLOW_UP = "follow_up"
    LAWFUL_PROCEDURE = "lawful_procedure"
    CHARGE_REFUSED_FOR_US = "charge_refused_for_us"
    CHARGE_UNCLEAR = "charge_unclear"
    REFUND_FAILED = "refund_failed"
    REFUND_WITHOUT_CHARGE = "refund_without_charge"
    AMOUNT_DIFFERS = "amount_differs"
    PLAN_NOT_MOVED = "plan_not_moved"
    INVARIANT_BROKEN = "invariant_broken"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do; ``detail`` holds codes and ids, nothing personal."""

    task_id: UUID
    kind: TaskKind
    merchant_id: UUID
    customer_id: UUID
    agreement_id: UUID
    instalment_id: UUID | None
    detail: str
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None = None
