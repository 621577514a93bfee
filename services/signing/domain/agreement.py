"""An agreement: its states, and how it ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.signing.contract import Rail, SignedInstalment
from services.signing.contract.termination import EndReason, penalty
from services.signing.domain.errors import AgreementStateForbids, CoolingOffOver

COOLING_OFF: Final = timedelta(hours=48)
"""Hours of the clock, not calendar days; may only be made longer."""


class AgreementState(StrEnum):
    """Where an agreement is in its life."""

    SIGNED = "signed"
    COOLING_OFF = "cooling_off"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    TERMINATED = "terminated"
    CANCELLED = "cancelled"


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
    changes: int = 0
    paused_periods: int = 0
    resumes_at: datetime | None = None


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
    ended = to in ENDED
    return replace(
        agreement,
        state=to,
        ended_at=now if ended else None,
        paused_periods=0 if ended else agreement.paused_periods,
        resumes_at=None if ended else agreement.resumes_at,
    )


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
    agreement: Agreement, *, reason: EndReason, loss_fen: int, unpaid_fen: int, now: datetime
) -> Agreement:
    """
    Return *agreement* terminated, with the penalty that its end costs.

    *unpaid_fen* is what is neither paid nor due yet.

    Raises:
        AgreementStateForbids: It is not running.
    """
    cost = penalty(
        reason,
        cooling_off=agreement.state is AgreementState.COOLING_OFF,
        unpaid_fen=unpaid_fen,
        loss_fen=loss_fen,
    )
    ended = move(agreement, AgreementState.TERMINATED, now=now)
    return replace(ended, end_reason=reason.value, penalty_fen=cost.due_fen)


ENDED: Final = frozenset(
    {AgreementState.COMPLETED, AgreementState.TERMINATED, AgreementState.CANCELLED}
)
_MOVES: Final[Mapping[AgreementState, frozenset[AgreementState]]] = {
    AgreementState.SIGNED: frozenset({AgreementState.COOLING_OFF}),
    AgreementState.COOLING_OFF: frozenset(
        {AgreementState.ACTIVE, AgreementState.CANCELLED, AgreementState.TERMINATED}
    ),
    AgreementState.ACTIVE: frozenset(
        {AgreementState.PAUSED, AgreementState.COMPLETED, AgreementState.TERMINATED}
    ),
    AgreementState.PAUSED: frozenset({AgreementState.ACTIVE, AgreementState.TERMINATED}),
} | dict.fromkeys(ENDED, frozenset())
