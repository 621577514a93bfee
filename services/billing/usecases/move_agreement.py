"""What signing tells of an agreement, and what that means for its instalments."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.billing.deps import Deps
from services.billing.domain.agreement import ENDED, AgreementMove, move
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import (
    UNPAID,
    Instalment,
    InstalmentMove,
    moved,
)
from services.billing.domain.task import Outcome
from services.billing.store import agreements, history, instalments
from services.billing.usecases.close_tasks import end_dunning
from services.signing.contract import (
    AgreementActivated,
    AgreementCancelled,
    AgreementCompleted,
    AgreementTerminated,
)
from shared.db import Connection


async def activate_agreement(conn: Connection, told: AgreementActivated, deps: Deps) -> None:
    """Let charges start; raises AgreementUnknown when it is not here yet."""
    await _move(conn, told.agreement_id, AgreementMove.ACTIVATE, deps)


async def cancel_agreement(conn: Connection, told: AgreementCancelled, deps: Deps) -> None:
    """Cancel every unpaid instalment; raises AgreementUnknown when it is not here yet."""
    await _move(conn, told.agreement_id, AgreementMove.CANCEL, deps)


async def terminate_agreement(conn: Connection, told: AgreementTerminated, deps: Deps) -> None:
    """Cancel every unpaid instalment; raises AgreementUnknown when it is not here yet."""
    await _move(conn, told.agreement_id, AgreementMove.TERMINATE, deps)


async def complete_agreement(conn: Connection, told: AgreementCompleted, deps: Deps) -> None:
    """Note the good end; raises AgreementUnknown when it is not here yet."""
    await _move(conn, told.agreement_id, AgreementMove.COMPLETE, deps)


async def _move(conn: Connection, agreement_id: UUID, step: AgreementMove, deps: Deps) -> None:
    now = deps.clock.now()
    before = await agreements.lock(conn, agreement_id)
    after = move(before, step)
    if after.state is before.state:
        return
    await agreements.save(conn, [after])
    moves = [
        Move("agreement", agreement_id, None, before.state, after.state, Actor.SIGNING, step, now)
    ]
    if after.state in ENDED:
        moves += await _cancel_unpaid(conn, agreement_id, step, now=now)
    await history.add(conn, moves)


async def _cancel_unpaid(
    conn: Connection, agreement_id: UUID, step: AgreementMove, *, now: datetime
) -> list[Move]:
    # An attempt under way is still asked about: money that arrives late is booked, and
    # goes back with whatever else is unspent.
    unpaid = [
        one for one in await instalments.of_agreement(conn, agreement_id) if one.state in UNPAID
    ]
    await instalments.save(conn, [_cancelled(one) for one in unpaid])
    await end_dunning(conn, [one.instalment_id for one in unpaid], Outcome.ENDED, now=now)
    return [
        Move(
            "instalment",
            one.instalment_id,
            one.instalment_id,
            one.state,
            _cancelled(one).state,
            Actor.SIGNING,
            step,
            now,
        )
        for one in unpaid
    ]


def _cancelled(instalment: Instalment) -> Instalment:
    return replace(
        instalment,
        state=moved(instalment.state, InstalmentMove.CANCEL),
        next_try_at=None,
        next_notice_at=None,
        next_dunning_at=None,
    )
