"""A pause, its end and an amendment move what is unpaid; what is being collected follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from services.billing.contract import ScheduleChanged, ScheduledInstalment
from services.billing.deps import Deps
from services.billing.domain.agreement import ENDED, Agreement, AgreementState
from services.billing.domain.errors import ChangeTooEarly
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import Instalment
from services.billing.domain.schedule_change import (
    Horizon,
    Reason,
    Terms,
    amended,
    horizon,
    paused,
    resumed,
    with_amount,
    with_terms,
)
from services.billing.store import agreements, attempts, changes, history, instalments, mandates
from services.billing.store import lines as line_rows
from services.billing.store import notices as notice_rows
from services.billing.store.changes import WaitingTerms
from services.billing.usecases import announce
from services.billing.usecases.gather_facts import permission_of
from services.signing.contract import AgreementAmended, AgreementPaused, AgreementResumed
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.ids import derived_id
from shared.rails.permissions import Permission

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Standing:
    """An agreement with its instalments as they will stand when all is clear."""

    agreement: Agreement
    rows: dict[UUID, Instalment]
    """As they stand now."""
    instalments: list[Instalment]
    """With the terms that wait for some of them."""
    busy: frozenset[UUID]
    permission: Permission | None
    ahead: Horizon


async def pause_billing(conn: Connection, told: AgreementPaused, deps: Deps) -> None:
    """
    Move every unpaid instalment by the paused months and charge nothing meanwhile.

    Raises:
        AgreementUnknown, ChangeTooEarly: Something that precedes it was not heard yet.
    """
    agreement = await _to_change(conn, told.agreement_id, told.change_no)
    if agreement is None:
        return
    standing = await stand(conn, agreement, deps)
    terms = paused(agreement, standing.instalments, standing.ahead, months=told.periods)
    after = replace(
        agreement,
        state=AgreementState.PAUSED,
        changes_heard=told.change_no,
        paused_months=told.periods,
    )
    await _carry_out(conn, standing, after, terms, Reason.PAUSED, deps)


async def resume_billing(conn: Connection, told: AgreementResumed, deps: Deps) -> None:
    """
    Charge again; after an early end what can still be charged as it was comes back.

    Raises:
        AgreementUnknown, ChangeTooEarly: Something that precedes it was not heard yet.
    """
    agreement = await _to_change(conn, told.agreement_id, told.change_no)
    if agreement is None:
        return
    standing = await stand(conn, agreement, deps)
    terms: list[Terms] = []
    if told.early:
        _, terms = resumed(agreement, standing.instalments, standing.ahead)
    after = replace(
        agreement,
        state=AgreementState.ACTIVE,
        changes_heard=told.change_no,
        paused_months=0,
    )
    await _carry_out(conn, standing, after, terms, Reason.RESUMED, deps)


async def amend_billing(conn: Connection, told: AgreementAmended, deps: Deps) -> None:
    """
    Give what is unpaid another day or amount.

    Raises:
        AgreementUnknown, ChangeTooEarly: Something that precedes it was not heard yet.
    """
    agreement = await _to_change(conn, told.agreement_id, told.change_no)
    if agreement is None:
        return
    standing = await stand(conn, agreement, deps)
    terms = amended(
        standing.instalments,
        standing.ahead,
        charge_day=told.charge_day,
        from_seq=told.from_seq,
        amount_fen=told.amount_fen,
    )
    after = replace(
        agreement,
        changes_heard=told.change_no,
        charge_day=told.charge_day or agreement.charge_day,
    )
    await _carry_out(conn, standing, after, terms, Reason.AMENDED, deps)


async def stand(conn: Connection, agreement: Agreement, deps: Deps) -> Standing:
    """Return how an agreement stands for a change; used by previews and by the change alike."""
    rows = await instalments.of_agreement(conn, agreement.agreement_id)
    ids = [one.instalment_id for one in rows]
    waiting = await changes.waiting(conn, ids)
    granted = await mandates.newest(conn, [agreement.agreement_id])
    permission = permission_of(agreement, granted.get(agreement.agreement_id), deps)
    return Standing(
        agreement,
        {one.instalment_id: one for one in rows},
        [_as_agreed(one, waiting.get(one.instalment_id)) for one in rows],
        frozenset(await attempts.open_of(conn, ids)),
        permission,
        horizon(agreement, today=day_in_china(deps.clock.now()), permission=permission),
    )


async def write_terms(
    conn: Connection, before: Mapping[UUID, Instalment], moved: Sequence[Instalment]
) -> None:
    """Write agreed dates and amounts, what the amounts are made of, and what notices are void."""
    await changes.save_terms(conn, moved)
    await notice_rows.supersede(conn, [one.instalment_id for one in moved])
    other = [one for one in moved if one.amount_fen != before[one.instalment_id].amount_fen]
    if other:
        made_of = {
            one.instalment_id: with_amount(
                await line_rows.of_instalment(conn, one.instalment_id), one.amount_fen
            )
            for one in other
        }
        await line_rows.write(conn, made_of, other)


async def schedule_changed(
    conn: Connection, agreement: Agreement, reason: str, *, now: datetime
) -> ScheduleChanged:
    """Return the event that tells an agreement's whole schedule as it stands."""
    rows = await instalments.of_agreement(conn, agreement.agreement_id)
    return ScheduleChanged(
        event_id=derived_id("schedule_changed", agreement.agreement_id, agreement.terms_no),
        occurred_at=now,
        terms_no=agreement.terms_no,
        change_no=agreement.changes_heard,
        reason=reason,
        total_fen=agreement.total_fen,
        instalments=tuple(
            ScheduledInstalment(
                seq=one.seq,
                due_on=one.due_on,
                charge_on=one.charge_on,
                amount_fen=one.amount_fen,
                state=one.state,
            )
            for one in rows
        ),
        **announce.of_agreement(agreement),
    )


def terms_move(
    before: Instalment, after: Instalment, reason: str, actor: Actor, *, now: datetime
) -> Move:
    """Return the history row of new terms: from what to what, and why."""
    was = f"{before.due_on} {before.amount_fen}"
    return Move(
        "instalment",
        after.instalment_id,
        after.instalment_id,
        before.state,
        after.state,
        actor,
        f"{reason}: {was} -> {after.due_on} {after.amount_fen}",
        now,
    )


async def _to_change(conn: Connection, agreement_id: UUID, change_no: int) -> Agreement | None:
    """Return the locked agreement if it is this change's turn, None if there is nothing to do."""
    agreement = await agreements.lock(conn, agreement_id)
    if change_no <= agreement.changes_heard or agreement.state in ENDED:
        return None
    if change_no > agreement.changes_heard + 1 or agreement.state is AgreementState.COOLING_OFF:
        raise ChangeTooEarly("An earlier change is missing.", agreement_id=agreement_id)
    return agreement


def _as_agreed(instalment: Instalment, waiting: WaitingTerms | None) -> Instalment:
    if waiting is None:
        return instalment
    return replace(instalment, due_on=waiting.due_on, amount_fen=waiting.amount_fen)


async def _carry_out(
    conn: Connection,
    standing: Standing,
    after: Agreement,
    terms: Sequence[Terms],
    reason: Reason,
    deps: Deps,
) -> None:
    now = deps.clock.now()
    terms_no = after.terms_no + 1 if terms else after.terms_no
    moved, waiting = _apply(standing, terms, terms_no, after.changes_heard, reason, now)
    growth = sum(one.amount_fen - standing.rows[one.instalment_id].amount_fen for one in moved)
    after = replace(after, terms_no=terms_no, total_fen=after.total_fen + growth)
    await agreements.save(conn, [after])
    await instalments.save(conn, moved)
    await write_terms(conn, standing.rows, moved)
    await changes.let_wait(conn, waiting)
    await history.add(conn, _moves(standing, after, moved, waiting, reason, now))
    if not terms:
        return
    await outbox.add(conn, await schedule_changed(conn, after, reason, now=now))
    first = min(moved, key=lambda one: one.charge_on, default=None)
    if first is not None:
        before = standing.rows[first.instalment_id]
        if before.charge_on != first.charge_on:
            await outbox.add(conn, announce.postponed(before, first, reason, now=now))
    log.info(
        "schedule.changed",
        agreement_id=str(after.agreement_id),
        reason=reason.value,
        moved=len(moved),
        waiting=len(waiting),
    )


def _apply(
    standing: Standing,
    terms: Sequence[Terms],
    terms_no: int,
    change_no: int,
    reason: Reason,
    now: datetime,
) -> tuple[list[Instalment], list[WaitingTerms]]:
    moved, waiting = [], []
    for one in terms:
        if one.instalment_id in standing.busy:
            waiting.append(
                WaitingTerms(
                    one.instalment_id,
                    standing.agreement.agreement_id,
                    one.due_on,
                    one.amount_fen,
                    change_no,
                    reason,
                    now,
                )
            )
            continue
        row = standing.rows[one.instalment_id]
        moved.append(
            with_terms(row, one, terms_no=terms_no, now=now, permission=standing.permission)
        )
    return moved, waiting


def _moves(
    standing: Standing,
    after: Agreement,
    moved: Sequence[Instalment],
    waiting: Sequence[WaitingTerms],
    reason: Reason,
    now: datetime,
) -> list[Move]:
    before = standing.agreement
    found = [
        Move(
            "agreement",
            after.agreement_id,
            None,
            before.state,
            after.state,
            Actor.SIGNING,
            f"{reason} (change {after.changes_heard})",
            now,
        )
    ]
    for one in moved:
        row = standing.rows[one.instalment_id]
        found.append(terms_move(row, one, reason, Actor.SIGNING, now=now))
    for late in waiting:
        row = standing.rows[late.instalment_id]
        what = f"{reason} waits until the charge is clear: {late.due_on} {late.amount_fen}"
        about = late.instalment_id
        found.append(
            Move("instalment", about, about, row.state, row.state, Actor.SIGNING, what, now)
        )
    return found
