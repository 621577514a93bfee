"""An agreement: its states, and what an early end costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.signing.contract import Rail, SignedInstalment
from services.signing.domain.errors import AgreementStateForbids, CoolingOffOver

COOLING_OFF: Final = timedelta(hours=48)
"""Hours of the clock, not calendar days; may only be made longer."""

PENALTY_OF_UNPAID_PER_MILLE: Final = 100
PENALTY_OF_LOSS_PER_MILLE: Final = 1300
"""A penalty above 130 % of the loss is excessive (contract interpretation, article 65)."""


class AgreementState(StrEnum):
    """Where an agreement is in its life."""

    SIGNED = "signed"
    COOLING_OFF = "cooling_off"
    ACTIVE = "active"
    COMPLETED = "completed"
    TERMINATED = "terminated"
    CANCELLED = "cancelled"


class EndReason(StrEnum):
    """Why an agreement ends early."""

    CUSTOMER_WISH = "customer_wish"
    PET_SICK = "pet_sick"
    PET_DEAD = "pet_dead"
    PET_LOST = "pet_lost"
    MERCHANT_FAULT = "merchant_fault"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a customer signed, and how it stands."""

    agreement_id: UUID
    agreement_no: str
    merchant_id: UUID
    store_id: UUID
    application_id: UUID
    customer_id: UUID
    pet_id: UUID
    plan_id: UUID
    plan_version: int
    plan_name: str
    rail: Rail
    charge_day: int
    periods: int
    total_fen: int
    hold_fen: int
    auto_ship: bool
    instalments: Sequence[SignedInstalment]
    document_sha256: str
    state: AgreementState
    signed_at: datetime
    cooling_off_ends_at: datetime
    ended_at: datetime | None = None
    end_reason: str = ""
    penalty_fen: int = 0


def move(agreement: Agreement, to: AgreementState, *, now: datetime) -> Agreement:
    """
    Return *agreement* in the state *to*.

    Raises:
        AgreementStateForbids: Its state does not lead there.
    """
    if to not in _MOVES[agreement.state]:
        raise AgreementStateForbids(
            "The agreement's state forbids this.", state=agreement.state, wanted=to
        )
    return replace(agreement, state=to, ended_at=now if to in ENDED else None)


def cancel(agreement: Agreement, *, now: datetime) -> Agreement:
    """
    Return *agreement* cancelled, for no reason and without cost.

    Raises:
        CoolingOffOver: The 48 hours have passed.
        AgreementStateForbids: It has ended already.
    """
    over = agreement.state is AgreementState.ACTIVE or now >= agreement.cooling_off_ends_at
    if over and agreement.state not in ENDED:
        raise CoolingOffOver(
            "The cooling-off time is over.", ended_at=agreement.cooling_off_ends_at.isoformat()
        )
    return move(agreement, AgreementState.CANCELLED, now=now)


def terminate(
    agreement: Agreement, *, reason: EndReason, loss_fen: int, today: date, now: datetime
) -> Agreement:
    """
    Return *agreement* terminated, with the penalty that its end costs.

    Raises:
        AgreementStateForbids: It is not running.
    """
    penalty_fen = penalty(agreement, reason=reason, loss_fen=loss_fen, today=today)
    ended = move(agreement, AgreementState.TERMINATED, now=now)
    return replace(ended, end_reason=reason.value, penalty_fen=penalty_fen)


def penalty(agreement: Agreement, *, reason: EndReason, loss_fen: int, today: date) -> int:
    """
    Return the penalty in fen: the lower of 10 % of what is not yet due and 130 % of the loss.

    *loss_fen* is documented item by item, 0 if it is not.  Only the customer's own wish
    after the cooling-off costs anything; whatever is in doubt counts as paid.

    Source: Civil Code, articles 584 and 585; prepayment interpretation, articles 12 to 14.
    """
    if reason is not EndReason.CUSTOMER_WISH or agreement.state is AgreementState.COOLING_OFF:
        return 0
    unpaid_fen = sum(line.amount_fen for line in agreement.instalments if line.due_on > today)
    return min(
        unpaid_fen * PENALTY_OF_UNPAID_PER_MILLE // 1000,
        loss_fen * PENALTY_OF_LOSS_PER_MILLE // 1000,
    )


ENDED: Final = frozenset(
    {AgreementState.COMPLETED, AgreementState.TERMINATED, AgreementState.CANCELLED}
)
_MOVES: Final[Mapping[AgreementState, frozenset[AgreementState]]] = {
    AgreementState.SIGNED: frozenset({AgreementState.COOLING_OFF}),
    AgreementState.COOLING_OFF: frozenset(
        {AgreementState.ACTIVE, AgreementState.CANCELLED, AgreementState.TERMINATED}
    ),
    AgreementState.ACTIVE: frozenset({AgreementState.COMPLETED, AgreementState.TERMINATED}),
} | dict.fromkeys(ENDED, frozenset())
