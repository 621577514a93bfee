"""An agreement is paused, goes on, or gets another day or amount."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from services.signing.contract import SignedInstalment
from services.signing.domain.agreement import Agreement, AgreementState, move
from services.signing.domain.errors import (
    AgreementStateForbids,
    AmendmentEmpty,
    AmountAboveMandate,
    AmountBelowParcel,
    NothingToChange,
    PausedAlready,
    PauseTooLong,
)
from services.signing.domain.mandate import Mandate
from services.signing.domain.schedule import require_chargeable
from shared.calendar import at_in_china, day_in_china, month_day

MAX_PAUSE_PERIODS: Final = 2
"""A pet's illness or a customer's hardship pauses one or two periods (rule CT-14)."""

BACK_BEFORE: Final = timedelta(days=8)
"""A pause is over a day before the first notice of the next charge is owed."""

_BACK_HOUR: Final = 10


@dataclass(frozen=True, slots=True)
class Current:
    """The schedule as it stands: what was signed, what billing told since, what is paid."""

    lines: Sequence[SignedInstalment]
    paid: Collection[int]

    def ahead(self, today: date) -> list[SignedInstalment]:
        """Return what is neither paid nor due by *today*, in order of time."""
        open_lines = (line for line in self.lines if line.seq not in self.paid and line.seq > 0)
        return sorted((one for one in open_lines if one.due_on > today), key=lambda one: one.due_on)


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is to be changed; None stays."""

    charge_day: int | None
    from_seq: int | None
    amount_fen: int | None


def pause(agreement: Agreement, current: Current, *, periods: int, now: datetime) -> Agreement:
    """
    Return *agreement* paused for *periods* from its next charge on.

    Raises:
        PauseTooLong: One or two periods may be skipped.
        PausedAlready: It rests already.
        AgreementStateForbids: It is not active.
        NothingToChange: No charge lies ahead.
    """
    if not 1 <= periods <= MAX_PAUSE_PERIODS:
        raise PauseTooLong("So many periods cannot be skipped.", most=MAX_PAUSE_PERIODS)
    if agreement.state is AgreementState.PAUSED:
        raise PausedAlready("The agreement rests already.", periods=agreement.paused_periods)
    paused = move(agreement, AgreementState.PAUSED, now=now)
    ahead = current.ahead(day_in_china(now))
    if not ahead:
        raise NothingToChange("No charge lies ahead.")
    back_on = month_day(ahead[0].due_on, periods, day=agreement.charge_day) - BACK_BEFORE
    return replace(
        paused,
        paused_periods=periods,
        resumes_at=at_in_china(back_on, _BACK_HOUR),
        changes=agreement.changes + 1,
    )


def resume(agreement: Agreement, *, now: datetime) -> Agreement:
    """
    Return *agreement* active again.

    Raises:
        AgreementStateForbids: It is not paused.
    """
    active = move(agreement, AgreementState.ACTIVE, now=now)
    return replace(active, paused_periods=0, resumes_at=None, changes=agreement.changes + 1)


def amend(
    agreement: Agreement, current: Current, wanted: Amendment, mandate: Mandate, *, now: datetime
) -> Agreement:
    """
    Return *agreement* with what is *wanted*; the caller has the customer's consent.

    Raises:
        AgreementStateForbids: It is not active.
        AmendmentEmpty: It stands so already.
        NothingToChange: No period from there on is still ahead.
        ChargeDayNotOnRail, AmountAboveRail, AmountAboveMandate: It could not be charged.
        AmountBelowParcel: The amount would not pay the parcel.
    """
    if agreement.state is not AgreementState.ACTIVE:
        raise AgreementStateForbids(
            "Only an active agreement can be amended.", state=agreement.state
        )
    ahead = current.ahead(day_in_china(now))
    if wanted.amount_fen is not None:
        ahead = [line for line in ahead if line.seq >= (wanted.from_seq or 0)]
    if not ahead:
        raise NothingToChange("No such period lies ahead.", from_seq=wanted.from_seq)
    same_day = wanted.charge_day in {None, agreement.charge_day}
    same_amount = wanted.amount_fen is None or all(
        line.amount_fen == wanted.amount_fen for line in ahead
    )
    if same_day and same_amount:
        raise AmendmentEmpty("It stands so already.")
    day = wanted.charge_day or agreement.charge_day
    _require_payable(agreement, wanted.amount_fen, day, mandate)
    return replace(agreement, charge_day=day, changes=agreement.changes + 1)


def _require_payable(
    agreement: Agreement, amount_fen: int | None, day: int, mandate: Mandate
) -> None:
    amounts = [amount_fen or 1]
    require_chargeable(agreement.rail, charge_day=day, amounts_fen=amounts)
    if amount_fen is None:
        return
    if amount_fen > mandate.ceiling_fen:
        raise AmountAboveMandate(
            "The customer's mandate does not reach so far.", ceiling_fen=mandate.ceiling_fen
        )
    if agreement.auto_ship and amount_fen < agreement.hold_fen:
        raise AmountBelowParcel(
            "The amount does not pay the period's parcel.", parcel_fen=agreement.hold_fen
        )
