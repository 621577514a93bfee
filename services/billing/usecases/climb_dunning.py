"""The daily steps after a missed period, never at night and never before their day."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from services.billing.contract import InstalmentOverdue
from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.dunning import (
    EXTENSION_DAYS,
    Rung,
    Step,
    step_at,
    step_moment,
)
from services.billing.domain.instalment import Instalment, InstalmentState
from services.billing.domain.task import TaskKind
from services.billing.store import agreements, instalments
from services.billing.usecases import announce
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.ids import derived_id

_TASKS = {Rung.STAFF_TASK: TaskKind.FOLLOW_UP, Rung.LAWFUL_PROCEDURE: TaskKind.LAWFUL_PROCEDURE}


async def climb_dunning(deps: Deps) -> int:
    """Take one step for each overdue instalment of a batch; return how many there were."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await instalments.claim_to_dun(conn, now=now, limit=deps.terms.batch)
        known = {
            one.agreement_id: one
            for one in await agreements.by_ids(conn, [one.agreement_id for one in due])
        }
        changed = [await _climb(conn, deps, one, known, now=now) for one in due]
        await instalments.save(conn, changed)
    return len(due)


async def _climb(
    conn: Connection,
    deps: Deps,
    instalment: Instalment,
    known: dict[UUID, Agreement],
    *,
    now: datetime,
) -> Instalment:
    agreement, ladder = known[instalment.agreement_id], deps.terms.ladder
    step = step_at(ladder, instalment.rung)
    since = instalment.overdue_since
    if instalment.state is not InstalmentState.OVERDUE or step is None or since is None:
        return replace(instalment, next_dunning_at=None)
    if agreement.holds:
        # Nobody is dunned while a claim or a hardship case is open (rule DN-05).
        return replace(instalment, next_dunning_at=now + timedelta(days=1))
    await _tell(conn, deps, instalment, agreement, step, now=now)
    following = step_at(ladder, instalment.rung + 1)
    extended = day_in_china(now) + timedelta(days=EXTENSION_DAYS)
    return replace(
        instalment,
        rung=instalment.rung + 1,
        next_dunning_at=(
            None if following is None else step_moment(following, overdue_since=since)
        ),
        extended_until=extended if step.rung is Rung.EXTENSION else instalment.extended_until,
    )


async def _tell(
    conn: Connection,
    deps: Deps,
    instalment: Instalment,
    agreement: Agreement,
    step: Step,
    *,
    now: datetime,
) -> None:
    await outbox.add(
        conn,
        InstalmentOverdue(
            event_id=derived_id(
                "overdue", instalment.instalment_id, instalment.overdue_since, instalment.rung
            ),
            occurred_at=now,
            days_late=step.days_late,
            rung=step.rung.value,
            pay_url=deps.terms.pay_url_base + instalment.pay_token,
            **announce.of_instalment(instalment),
        ),
    )
    kind = _TASKS.get(step.rung)
    if kind is not None:
        await announce.open_task(
            conn,
            kind,
            instalment.instalment_id,
            agreement,
            instalment.instalment_id,
            detail=f"{step.days_late} days late",
            now=now,
        )
