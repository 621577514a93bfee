"""What billing keeps of an agreement, and how it moves."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.billing.domain.collectible import LegalType
from services.billing.domain.overdue_penalty import PenaltyTerms


class AgreementState(StrEnum):
    """Where an agreement stands."""

    COOLING_OFF = "cooling_off"
    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    COMPLETED = "completed"


ENDED: Final = frozenset(
    {AgreementState.CANCELLED, AgreementState.TERMINATED, AgreementState.COMPLETED}
)

FAILED_PERIODS_TO_FLAG: Final = 2
"""Consecutive periods without money after which automatic charges rest (rule WH-14)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    One agreement; ``hold_fen`` is each period's parcel.

    ``plan_on`` is the date up to which the rail lets the next period be charged, for
    rails that keep such a plan; None means that the rail has to be asked.
    ``holds`` are the reasons why a person wants no charge now.  ``changes_heard`` counts
    signing's changes that were applied, ``terms_no`` the schedules that came of them;
    ``paused_months`` is by how much a pause that is not over has moved the unpaid.
    """

    agreement_id: UUID
    agreement_no: str
    merchant_id: UUID
    customer_id: UUID
    pet_id: UUID
    plan_name: str
    rail: str
    charge_day: int
    periods: int
    total_fen: int
    hold_fen: int
    auto_ship: bool
    state: AgreementState
    signed_at: datetime
    failed_periods: int = 0
    last_failed_seq: int = 0
    flagged_at: datetime | None = None
    holds: tuple[str, ...] = ()
    plan_on: date | None = None
    fully_paid_at: datetime | None = None
    penalty_ppm_per_day: int = 0
    penalty_grace_days: int = 0
    penalty_cap_per_mille: int = 0
    changes_heard: int = 0
    terms_no: int = 0
    paused_months: int = 0
    legal_type: LegalType = LegalType.PREPAID

    @property
    def penalty_terms(self) -> PenaltyTerms:
        """Return what being late costs by the contract."""
        return PenaltyTerms(
            self.penalty_ppm_per_day, self.penalty_grace_days, self.penalty_cap_per_mille
        )


class AgreementMove(StrEnum):
    """What signing may tell of an agreement."""

    ACTIVATE = "activate"
    CANCEL = "cancel"
    TERMINATE = "terminate"
    COMPLETE = "complete"


def move(agreement: Agreement, step: AgreementMove) -> Agreement:
    """Return *agreement* after *step*; one that has ended stays as it ended."""
    if agreement.state in ENDED:
        return agreement
    match step:
        case AgreementMove.ACTIVATE:
            # Heard again, or late: a pause is not over for that.
            cooling = agreement.state is AgreementState.COOLING_OFF
            state = AgreementState.ACTIVE if cooling else agreement.state
        case AgreementMove.CANCEL:
            state = AgreementState.CANCELLED
        case AgreementMove.TERMINATE:
            state = AgreementState.TERMINATED
        case AgreementMove.COMPLETE:
            state = AgreementState.COMPLETED
        case _:
            assert_never(step)
    return replace(agreement, state=state)


def period_failed(agreement: Agreement, seq: int, *, now: datetime) -> Agreement:
    """Return *agreement* after every try of period *seq* failed; the second in a row flags it."""
    if seq == agreement.last_failed_seq:
        return agreement
    in_a_row = agreement.failed_periods + 1 if seq == agreement.last_failed_seq + 1 else 1
    flag = in_a_row >= FAILED_PERIODS_TO_FLAG and agreement.flagged_at is None
    return replace(
        agreement,
        failed_periods=in_a_row,
        last_failed_seq=seq,
        flagged_at=now if flag else agreement.flagged_at,
    )


def period_paid(agreement: Agreement) -> Agreement:
    """Return *agreement* after a payment: what was flagged is clear again."""
    if agreement.failed_periods == 0 and agreement.flagged_at is None:
        return agreement
    return replace(agreement, failed_periods=0, last_failed_seq=0, flagged_at=None)


def risk_cleared(agreement: Agreement) -> Agreement:
    """Return *agreement* after a person looked: charges go on, failures count from none."""
    return replace(agreement, failed_periods=0, flagged_at=None)
