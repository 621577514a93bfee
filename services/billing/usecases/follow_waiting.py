"""Terms that waited for a charge to be clear: no money came, so they count from now on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.billing.domain.agreement import ENDED
from services.billing.domain.attempt import AttemptState
from services.billing.domain.history import Actor
from services.billing.domain.instalment import Instalment
from services.billing.domain.schedule_change import (
    MOVABLE,
    Terms,
    charge_day_from,
    horizon,
    with_terms,
)
from services.billing.domain.settlement import Case, Happening
from services.billing.store import changes, history
from services.billing.store.changes import WaitingTerms
from services.billing.usecases.change_schedule import schedule_changed, terms_move, write_terms
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.rails.permissions import Permission


@dataclass(frozen=True, slots=True)
class Followed:
    """An instalment whose waiting terms count now."""

    before: Instalment
    after: Case
    reason: str


def follow(
    case: Case, after: Case, waiting: WaitingTerms | None, *, now: datetime, permission: Permission
) -> Case:
    """
    Return *after*, under the *waiting* terms if the attempt has just ended without money.

    The period then moves instead of being tried again or missed: it was agreed before
    anybody knew that the charge had failed.
    """
    ended = (
        after.attempt.state is AttemptState.FAILED and case.attempt.state is not AttemptState.FAILED
    )
    movable = case.instalment.state in MOVABLE and case.agreement.state not in ENDED
    if waiting is None or not ended or not movable:
        return after
    ahead = horizon(case.agreement, today=day_in_china(now), permission=permission)
    charge_on = charge_day_from(waiting.due_on, keep=None, earliest=ahead.earliest, taken=())
    before = case.instalment
    terms = Terms(before.instalment_id, before.seq, waiting.due_on, charge_on, waiting.amount_fen)
    terms_no = case.agreement.terms_no + 1
    return Case(
        replace(
            case.agreement,
            plan_on=after.agreement.plan_on,
            terms_no=terms_no,
            total_fen=case.agreement.total_fen + waiting.amount_fen - before.amount_fen,
        ),
        with_terms(before, terms, terms_no=terms_no, now=now, permission=permission),
        after.attempt,
        tuple(one for one in after.happenings if one is Happening.OURS_TO_LOOK_AT),
    )


async def write_followed(
    conn: Connection, clear: Sequence[UUID], followed: Sequence[Followed], *, now: datetime
) -> None:
    """Write the terms that count now, tell them, and forget those of instalments that are clear."""
    if clear:
        await changes.drop_waiting(conn, clear)
    if not followed:
        return
    moved = [one.after.instalment for one in followed]
    await write_terms(conn, {one.before.instalment_id: one.before for one in followed}, moved)
    await history.add(
        conn,
        [
            terms_move(one.before, one.after.instalment, one.reason, Actor.JOB, now=now)
            for one in followed
        ],
    )
    for one in followed:
        told = await schedule_changed(conn, one.after.agreement, one.reason, now=now)
        await outbox.add(conn, told)
