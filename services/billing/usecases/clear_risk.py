"""A person has looked at a flagged agreement and lets automatic charges go on."""

from uuid import UUID

from services.billing.contract import RiskCleared
from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement, risk_cleared
from services.billing.domain.errors import AgreementUnknown, RiskNotFlagged
from services.billing.domain.history import Actor, Move
from services.billing.domain.task import Outcome
from services.billing.store import agreements, history
from services.billing.usecases import announce
from services.billing.usecases.close_tasks import close_manual_checks
from shared import outbox
from shared.db import Connection
from shared.ids import derived_id


async def clear_risk(
    conn: Connection, deps: Deps, merchant_id: UUID, agreement_id: UUID, *, reason: str, by: str
) -> Agreement:
    """
    Take the flag away, for a reason that is kept; what is overdue stays overdue.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        RiskNotFlagged: Nothing is flagged, or it was cleared before.
    """
    now = deps.clock.now()
    before = await agreements.lock(conn, agreement_id)
    if before.merchant_id != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    if before.flagged_at is None:
        raise RiskNotFlagged("This agreement is not flagged.", agreement_id=agreement_id)
    after = risk_cleared(before)
    await agreements.save(conn, [after])
    state = after.state
    why = f"risk cleared by {by}: {reason}"
    await history.add(
        conn, [Move("agreement", agreement_id, None, state, state, Actor.STAFF, why, now)]
    )
    await close_manual_checks(conn, [agreement_id], Outcome.CLEARED, by=by, now=now)
    await outbox.add(
        conn,
        RiskCleared(
            event_id=derived_id("risk_cleared", agreement_id, before.flagged_at),
            occurred_at=now,
            **announce.of_agreement(after),
        ),
    )
    return after
