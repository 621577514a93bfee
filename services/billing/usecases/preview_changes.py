"""What a change would come to: the same functions as the change itself, and nothing written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement, AgreementState
from services.billing.domain.errors import AgreementUnknown, PauseNotPossible
from services.billing.domain.instalment import HAS_MONEY
from services.billing.domain.schedule_change import (
    NOTICE_SOURCE,
    SOURCES,
    Reason,
    Terms,
    amended,
    paused,
)
from services.billing.domain.termination import (
    FORMULA_SOURCES,
    Deadline,
    Prepaid,
    Refund,
    deadline,
    formula_for,
    interest_fen,
    interest_ppm,
    refund,
)
from services.billing.store import agreements, changes, instalments
from services.billing.usecases.change_schedule import Standing, stand
from services.signing.contract import (
    EndReason,
    Penalty,
    not_yet_due_fen,
    penalty,
)
from shared.calendar import day_in_china
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One instalment before and after."""

    instalment_id: UUID
    seq: int
    before: Terms
    after: Terms
    waits: bool
    source: str


@dataclass(frozen=True, slots=True)
class Preview:
    """A change of a schedule that was not made."""

    agreement: Agreement
    lines: list[PreviewLine]

    @property
    def total_fen(self) -> int:
        """Return what the agreement would come to, in fen."""
        grown = sum(line.after.amount_fen - line.before.amount_fen for line in self.lines)
        return self.agreement.total_fen + grown


@dataclass(frozen=True, slots=True)
class EndPreview:
    """An early end that did not happen."""

    agreement: Agreement
    reason: EndReason
    collected_fen: int
    unpaid_fen: int
    loss_fen: int
    penalty: Penalty
    refund: Refund
    due: Deadline
    interest_ppm: int
    interest_to_latest_fen: int
    formula_source: str


async def preview_pause(
    conn: Connection, deps: Deps, merchant_id: UUID, agreement_id: UUID, *, periods: int
) -> Preview:
    """
    Return what a pause would move.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        PauseNotPossible: It is not active, or nothing of it is still to be charged.
    """
    standing = await _standing(conn, deps, merchant_id, agreement_id)
    agreement = standing.agreement
    terms = paused(agreement, standing.instalments, standing.ahead, months=periods)
    if agreement.state is not AgreementState.ACTIVE or not terms:
        raise PauseNotPossible("Nothing to pause.", state=agreement.state.value)
    return _preview(standing, terms, Reason.PAUSED)


async def preview_amendment(
    conn: Connection,
    deps: Deps,
    merchant_id: UUID,
    agreement_id: UUID,
    *,
    charge_day: int | None,
    from_seq: int | None,
    amount_fen: int | None,
) -> Preview:
    """
    Return what another day or amount would change.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
    """
    standing = await _standing(conn, deps, merchant_id, agreement_id)
    terms = amended(
        standing.instalments,
        standing.ahead,
        charge_day=charge_day,
        from_seq=from_seq,
        amount_fen=amount_fen,
    )
    return _preview(standing, terms, Reason.AMENDED)


async def preview_termination(
    conn: Connection,
    merchant_id: UUID,
    agreement_id: UUID,
    *,
    reason: EndReason,
    loss_fen: int,
    now: datetime,
) -> EndPreview:
    """
    Return what an end today would come to; signing carries it out by the same rule.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
    """
    agreement = await _find(conn, merchant_id, agreement_id)
    today = day_in_china(now)
    rows = await instalments.of_agreement(conn, agreement_id)
    paid = {one.seq for one in rows if one.state in HAS_MONEY}
    unpaid_fen = not_yet_due_fen(rows, paid=paid, today=today)
    cost = penalty(
        reason,
        cooling_off=agreement.state is AgreementState.COOLING_OFF,
        unpaid_fen=unpaid_fen,
        loss_fen=loss_fen,
    )
    money = await changes.money_of(conn, agreement_id)
    left_fen = money["collected_fen"] - money["refunded_fen"]
    # Parcels take bonus first, so the principal in them is what they took of it.
    formula = formula_for(reason, consumer_cause_mode=False, unlimited=False)
    back = refund(Prepaid(left_fen, used_fen=money["consumed_fen"]), formula, cost)
    due = deadline(reason, ended_on=today)
    ppm = interest_ppm(reason, signed_on=day_in_china(agreement.signed_at))
    return EndPreview(
        agreement=agreement,
        reason=reason,
        collected_fen=left_fen,
        unpaid_fen=unpaid_fen,
        loss_fen=loss_fen,
        penalty=cost,
        refund=back,
        due=due,
        interest_ppm=ppm,
        interest_to_latest_fen=interest_fen(
            back.refund_fen, ppm, ended_on=today, paid_on=due.latest_on
        ),
        formula_source=FORMULA_SOURCES[formula],
    )


async def _find(conn: Connection, merchant_id: UUID, agreement_id: UUID) -> Agreement:
    found = await agreements.by_ids(conn, [agreement_id])
    if not found or found[0].merchant_id != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    return found[0]


async def _standing(
    conn: Connection, deps: Deps, merchant_id: UUID, agreement_id: UUID
) -> Standing:
    return await stand(conn, await _find(conn, merchant_id, agreement_id), deps)


def _preview(standing: Standing, terms: Sequence[Terms], reason: Reason) -> Preview:
    before = {one.instalment_id: one for one in standing.instalments}
    lines = []
    for one in terms:
        was = before[one.instalment_id]
        source = SOURCES[reason]
        if one.charge_on != one.due_on:
            source = f"{source}; {NOTICE_SOURCE}"
        lines.append(
            PreviewLine(
                one.instalment_id,
                one.seq,
                Terms(was.instalment_id, was.seq, was.due_on, was.charge_on, was.amount_fen),
                one,
                one.instalment_id in standing.busy,
                source,
            )
        )
    return Preview(standing.agreement, lines)
