"""What a pause, its end or an amendment makes of the unpaid instalments: dates and amounts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.billing.domain.agreement import Agreement
from services.billing.domain.charge_calendar import POSTPONED_BY_DAYS, charge_moment
from services.billing.domain.instalment import (
    CHARGEABLE,
    Instalment,
    InstalmentMove,
    InstalmentState,
    moved,
)
from services.billing.domain.lines import EARLY_NOTE
from services.billing.domain.postponement import first_notice_at
from services.signing.contract import LineKind, SignedLine
from shared.calendar import month_day
from shared.rails.permissions import Permission

MOVABLE: Final = CHARGEABLE | {InstalmentState.COLLECTING}
"""
What may get other terms: what is unpaid and not missed yet.

What is being collected follows when that is clear; what is overdue stays owed as it was.
"""


class Reason(StrEnum):
    """What brought new terms."""

    PAUSED = "paused"
    RESUMED = "resumed"
    AMENDED = "amended"


SOURCES: Final = {
    Reason.PAUSED: "CT-14: illness or hardship pauses one or two periods; every unpaid one "
    "moves by as many months",
    Reason.RESUMED: "CT-14: a pause ends when the customer asks",
    Reason.AMENDED: "CT-04, WH-12: day or amount change with the customer's consent only",
}
"""The rule that each line of a preview follows."""

NOTICE_SOURCE: Final = "WH-02, WH-03: 120 h and 48 h notice of the new date and amount"


@dataclass(frozen=True, slots=True)
class Terms:
    """New terms of one instalment; ``charge_on`` is later than ``due_on`` if that is too soon."""

    instalment_id: UUID
    seq: int
    due_on: date
    charge_on: date
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """From when on a charge may be planned today, for one agreement."""

    today: date
    earliest: date


def horizon(agreement: Agreement, *, today: date, permission: Permission | None) -> Horizon:
    """
    Return the first day for which every notice can still be given (168 h and a margin).

    Where the rail announces charges itself, its last announcement must have run out; where
    it keeps a plan, that plan moves only later (source: Alipay, change of execution date).
    """
    days = POSTPONED_BY_DAYS
    notice = None if permission is None else permission.notice_window
    if notice is not None:
        days = notice.last_day + notice.first_day + 1
    earliest = today + timedelta(days=days)
    window = None if permission is None else permission.due_window
    if window is not None and agreement.plan_on is not None:
        earliest = max(earliest, agreement.plan_on + timedelta(days=window.first_day))
    return Horizon(today, earliest)


def paused(
    agreement: Agreement, instalments: Sequence[Instalment], ahead: Horizon, *, months: int
) -> list[Terms]:
    """Return every movable instalment *months* later; no two meet, the charge day stays."""
    return _on_days(
        [
            (one, month_day(one.due_on, months, day=agreement.charge_day), one.amount_fen)
            for one in _movable(instalments)
        ],
        instalments,
        ahead,
    )


def resumed(
    agreement: Agreement, instalments: Sequence[Instalment], ahead: Horizon
) -> tuple[int, list[Terms]]:
    """Return by how many months what was paused comes back, and its terms; 0 for not at all."""
    waiting = [one for one in _movable(instalments) if one.due_on > ahead.today]
    day = agreement.charge_day
    for months in range(agreement.paused_months, 0, -1):
        dates = [(one, month_day(one.due_on, -months, day=day)) for one in waiting]
        if dates and dates[0][1] >= ahead.earliest:
            terms = [(one, due_on, one.amount_fen) for one, due_on in dates]
            return months, _on_days(terms, instalments, ahead)
    return 0, []


def amended(
    instalments: Sequence[Instalment],
    ahead: Horizon,
    *,
    charge_day: int | None,
    from_seq: int | None,
    amount_fen: int | None,
) -> list[Terms]:
    """
    Return the instalments that get another day or amount.

    All that is not due yet moves to *charge_day* of its month; if that is too soon for the
    first of them, all move a month further, so that none meets another.  The amount is that
    of the periods from *from_seq* on; a free month stays free.
    """
    waiting = [one for one in _movable(instalments) if one.due_on > ahead.today]
    further = _further(waiting, ahead, charge_day)
    wanted = []
    for one in waiting:
        due_on = one.due_on
        if charge_day is not None:
            due_on = month_day(one.due_on, further, day=charge_day)
        counts = amount_fen is not None and one.seq >= (from_seq or 0) and one.amount_fen > 0
        fen = amount_fen if counts and amount_fen is not None else one.amount_fen
        if (due_on, fen) != (one.due_on, one.amount_fen):
            wanted.append((one, due_on, fen))
    return _on_days(wanted, instalments, ahead)


def with_terms(
    instalment: Instalment,
    terms: Terms,
    *,
    terms_no: int,
    now: datetime,
    permission: Permission | None,
) -> Instalment:
    """Return *instalment* under new *terms*, with notices of their own."""
    state = instalment.state
    if state is InstalmentState.COLLECTING:
        state = moved(state, InstalmentMove.TRY_AGAIN)
    charge_at = charge_moment(instalment.instalment_id, terms.charge_on)
    return replace(
        instalment,
        state=moved(state, InstalmentMove.POSTPONE),
        due_on=terms.due_on,
        amount_fen=terms.amount_fen,
        charge_on=terms.charge_on,
        charge_at=charge_at,
        auto_tries=0,
        first_tried_at=None,
        next_try_at=charge_at,
        next_notice_at=(
            None
            if instalment.is_free
            else first_notice_at(charge_at, now=now, permission=permission)
        ),
        terms_no=terms_no,
    )


def with_amount(lines: Sequence[SignedLine], amount_fen: int) -> tuple[SignedLine, ...]:
    """
    Return *lines* that make *amount_fen*: the base takes the change, what is given stays.

    Interest that was waived for an early settlement comes back: the settlement was not paid.
    """
    rest = tuple(
        line for line in lines if line.kind is not LineKind.BASE and line.note != EARLY_NOTE
    )
    base_fen = amount_fen - sum(line.amount_fen for line in rest)
    return (SignedLine(kind=LineKind.BASE, amount_fen=base_fen), *rest)


def charge_day_from(
    due_on: date, *, keep: date | None, earliest: date, taken: Collection[date]
) -> date:
    """Return the day to charge what is due on *due_on*: none of *taken*, never too soon."""
    day = max(keep or due_on, earliest)
    while day in taken:
        day += timedelta(days=1)
    return day


def _movable(instalments: Sequence[Instalment]) -> list[Instalment]:
    unpaid = [one for one in instalments if one.state in MOVABLE and one.seq > 0]
    return sorted(unpaid, key=lambda one: (one.due_on, one.seq))


def _further(waiting: Sequence[Instalment], ahead: Horizon, charge_day: int | None) -> int:
    if charge_day is None or not waiting:
        return 0
    further = 0
    while month_day(waiting[0].due_on, further, day=charge_day) < ahead.earliest:
        further += 1
    return further


def _on_days(
    wanted: Sequence[tuple[Instalment, date, int]],
    instalments: Sequence[Instalment],
    ahead: Horizon,
) -> list[Terms]:
    changing = {one.instalment_id for one, _, _ in wanted}
    taken = {one.charge_on for one in _movable(instalments) if one.instalment_id not in changing}
    found = []
    for one, due_on, amount_fen in wanted:
        keep = one.charge_on if due_on == one.due_on else None
        charge_on = charge_day_from(due_on, keep=keep, earliest=ahead.earliest, taken=taken)
        taken.add(charge_on)
        found.append(Terms(one.instalment_id, one.seq, due_on, charge_on, amount_fen))
    return found
