"""One period's amount: its states, and the one function that moves it."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.billing.domain.errors import MoveForbidden


class InstalmentState(StrEnum):
    """Where an instalment stands."""

    SCHEDULED = "scheduled"
    NOTICED = "noticed"
    DUE = "due"
    COLLECTING = "collecting"
    OVERDUE = "overdue"
    PAID = "paid"
    PARTLY_REFUNDED = "partly_refunded"
    REFUNDED = "refunded"
    WAIVED = "waived"
    CANCELLED = "cancelled"


class InstalmentMove(StrEnum):
    """What may happen to an instalment."""

    NOTICE = "notice"  # the customer has been told
    WAIT = "wait"  # its day has come and something forbids the charge for now
    COLLECT = "collect"  # an automatic attempt has started
    TRY_AGAIN = "try_again"  # an attempt failed; another follows
    GIVE_UP = "give_up"  # no automatic try is left
    GRANT = "grant"  # a free month has come
    POSTPONE = "postpone"  # a new charge date, with notices of its own
    PAY = "pay"  # the money is there
    CANCEL = "cancel"  # the agreement ended
    REFUND_PART = "refund_part"
    REFUND_ALL = "refund_all"


@dataclass(frozen=True, slots=True)
class Instalment:
    """
    One period; ``due_on`` is what was signed or agreed since, ``charge_on`` when it is charged.

    ``tries`` numbers every attempt; ``auto_tries`` counts the automatic ones since the
    present ``charge_on``.  ``next_*_at`` are when a job wants it, None for never.
    ``rung`` is the step of the dunning ladder that was reached.  ``terms_no`` is the change of
    the schedule that last gave it a date or an amount, 0 for none; notices are about one.
    """

    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    seq: int
    periods: int
    amount_fen: int
    due_on: date
    charge_on: date
    charge_at: datetime
    state: InstalmentState
    pay_token: str
    tries: int = 0
    auto_tries: int = 0
    first_tried_at: datetime | None = None
    next_try_at: datetime | None = None
    next_notice_at: datetime | None = None
    next_dunning_at: datetime | None = None
    rung: int = 0
    overdue_since: date | None = None
    extended_until: date | None = None
    charge_id: UUID | None = None
    paid_at: datetime | None = None
    bonus_fen: int = 0
    """What the merchant gives beside the amount; it reaches the pet wallet as bonus."""
    terms_no: int = 0

    @property
    def is_down_payment(self) -> bool:
        """Return whether only the customer pays this, by a link, never by itself."""
        return self.seq == 0

    @property
    def is_free(self) -> bool:
        """Return whether this is granted on its day and never charged."""
        return self.amount_fen == 0


_State = InstalmentState

UNPAID: Final = frozenset(
    {_State.SCHEDULED, _State.NOTICED, _State.DUE, _State.COLLECTING, _State.OVERDUE}
)
HAS_MONEY: Final = frozenset({_State.PAID, _State.PARTLY_REFUNDED, _State.REFUNDED})
CHARGEABLE: Final = frozenset({_State.SCHEDULED, _State.NOTICED, _State.DUE})
"""States from which an automatic attempt may start."""


def moved(state: InstalmentState, step: InstalmentMove) -> InstalmentState:
    """
    Return the state after *step*; used by job, API, webhook and query alike.

    Raises:
        MoveForbidden: There is no such move from *state*.
    """
    allowed, target = _MOVES[step]
    if state not in allowed:
        raise MoveForbidden("An instalment cannot move so.", state=state.value, step=step.value)
    return target


_WITH_MONEY_LEFT: Final = frozenset({_State.PAID, _State.PARTLY_REFUNDED})

_MOVES: Final = {
    InstalmentMove.NOTICE: (frozenset({_State.SCHEDULED, _State.NOTICED}), _State.NOTICED),
    InstalmentMove.WAIT: (CHARGEABLE, _State.DUE),
    InstalmentMove.COLLECT: (CHARGEABLE, _State.COLLECTING),
    InstalmentMove.TRY_AGAIN: (frozenset({_State.COLLECTING}), _State.DUE),
    InstalmentMove.GIVE_UP: (CHARGEABLE | {_State.COLLECTING}, _State.OVERDUE),
    InstalmentMove.POSTPONE: (CHARGEABLE, _State.SCHEDULED),
    # Money that arrives after the end of an agreement is still this period's money.
    InstalmentMove.PAY: (UNPAID | {_State.CANCELLED, _State.WAIVED}, _State.PAID),
    InstalmentMove.GRANT: (CHARGEABLE, _State.PAID),
    InstalmentMove.CANCEL: (UNPAID, _State.CANCELLED),
    InstalmentMove.REFUND_PART: (_WITH_MONEY_LEFT, _State.PARTLY_REFUNDED),
    InstalmentMove.REFUND_ALL: (_WITH_MONEY_LEFT, _State.REFUNDED),
}
"""Every move: the states it may start from and the state it leads to."""
