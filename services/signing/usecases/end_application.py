"""An application ends without an agreement: withdrawn, rejected or expired."""

from datetime import datetime
from uuid import UUID

from services.signing.deps import Deps
from services.signing.domain import application as applying
from services.signing.domain import mandate as mandating
from services.signing.domain.application import OVER, Application, ApplicationState
from services.signing.store import applications, evidence, mandates
from shared.db import Connection

BATCH = 100


async def end_application(
    conn: Connection,
    before: Application,
    to: ApplicationState,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> Application:
    """End a locked application, and let go of the mandate it may have asked for."""
    after = applying.move(before, to, now=now, reason=reason)
    await applications.save(conn, before, after, actor=actor, now=now)
    mandate = await mandates.newest_of(conn, before.agreement_id)
    if mandate is not None:
        closing = mandating.close(mandate, now=now)
        await mandates.save(conn, mandate, closing, actor=actor, now=now)
    await evidence.append(
        conn,
        before.application_id,
        f"application_{to}",
        {"reason": reason},
        actor=actor,
        now=now,
    )
    return after


async def withdraw_application(
    conn: Connection, application_id: UUID, *, merchant_id: UUID, actor: str, now: datetime
) -> Application:
    """End an application because the customer wants to; repeats safely."""
    before = await applications.lock(conn, application_id, merchant_id=merchant_id)
    if before.state is ApplicationState.WITHDRAWN:
        return before
    return await end_application(
        conn, before, ApplicationState.WITHDRAWN, reason="withdrawn", actor=actor, now=now
    )


async def expire_applications(deps: Deps) -> int:
    """Expire one batch of applications whose time has run out; return how many."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await applications.expiring(conn, now=now, limit=BATCH)
    for application_id in due:
        async with deps.db.transaction() as conn:
            before = await applications.lock(conn, application_id)
            if before.expires_at <= now and before.state not in OVER:
                await end_application(
                    conn,
                    before,
                    ApplicationState.EXPIRED,
                    reason="time-ran-out",
                    actor="clock",
                    now=now,
                )
    return len(due)
