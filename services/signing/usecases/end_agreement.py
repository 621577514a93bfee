"""An agreement cools off, is cancelled, terminated or completed; its mandate goes with it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.billing.contract import AgreementFullyPaid
from services.fulfillment.contract import ShipmentDispatched
from services.signing.contract import (
    AgreementActivated,
    AgreementCancelled,
    AgreementCompleted,
    AgreementTerminated,
)
from services.signing.contract.termination import EndReason, not_yet_due_fen
from services.signing.deps import Deps
from services.signing.domain import agreement as agreeing
from services.signing.domain import mandate as mandating
from services.signing.domain.agreement import Agreement, AgreementState
from services.signing.store import agreements, applications, changes, evidence, mandates
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.events import Event
from shared.ids import new_id

BATCH = 200


async def activate_agreements(deps: Deps) -> int:
    """Activate one batch of agreements whose cooling-off time is over; return how many."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await agreements.cooled_off(conn, now=now, limit=BATCH)
        for agreement_id in due:
            before = await lock_agreement(conn, agreement_id, merchant_id=None)
            if before.state is not AgreementState.COOLING_OFF:
                continue
            after = agreeing.move(before, AgreementState.ACTIVE, now=now)
            await agreements.save(conn, before, after, actor="clock", reason="", now=now)
            await outbox.add(conn, _activated(after, now=now))
        # What was paid and shipped before may have waited for this; a crash must not part them.
        await complete_fulfilled(conn, due, now=now)
    return len(due)


async def cancel_agreement(
    conn: Connection, agreement_id: UUID, *, merchant_id: UUID, actor: str, now: datetime
) -> Agreement:
    """
    Cancel within the cooling-off time, for no reason; repeats safely.

    Raises:
        CoolingOffOver, AgreementStateForbids: It is too late.
    """
    before = await lock_agreement(conn, agreement_id, merchant_id=merchant_id)
    if before.state is AgreementState.CANCELLED:
        return before
    after = agreeing.cancel(before, now=now)
    event = AgreementCancelled(
        event_id=new_id(),
        occurred_at=now,
        agreement_id=agreement_id,
        merchant_id=before.merchant_id,
        customer_id=before.customer_id,
    )
    await _end(conn, before, after, event, actor=actor, reason="cooling-off", now=now)
    return after


async def terminate_agreement(
    conn: Connection,
    agreement_id: UUID,
    *,
    merchant_id: UUID,
    reason: EndReason,
    loss_fen: int,
    actor: str,
    now: datetime,
) -> Agreement:
    """
    End an agreement before its last period; repeats safely.

    Raises:
        AgreementStateForbids: It has ended otherwise.
    """
    before = await lock_agreement(conn, agreement_id, merchant_id=merchant_id)
    if before.state is AgreementState.TERMINATED:
        return before
    current = await changes.current(conn, before)
    unpaid_fen = not_yet_due_fen(current.lines, paid=current.paid, today=day_in_china(now))
    after = agreeing.terminate(
        before, reason=reason, loss_fen=loss_fen, unpaid_fen=unpaid_fen, now=now
    )
    event = AgreementTerminated(
        event_id=new_id(),
        occurred_at=now,
        agreement_id=agreement_id,
        merchant_id=before.merchant_id,
        customer_id=before.customer_id,
        reason=reason.value,
        penalty_fen=after.penalty_fen,
    )
    await _end(conn, before, after, event, actor=actor, reason=reason.value, now=now)
    return after


async def note_fully_paid(conn: Connection, paid: AgreementFullyPaid, deps: Deps) -> None:
    """Remember that everything is paid, and complete what is shipped, too."""
    await agreements.note_fully_paid(conn, paid.agreement_id, paid_at=paid.occurred_at)
    await complete_fulfilled(conn, [paid.agreement_id], now=deps.clock.now())


async def note_shipped(conn: Connection, sent: Sequence[ShipmentDispatched], deps: Deps) -> None:
    """Remember which periods are shipped, and complete what is paid, too."""
    await agreements.note_shipped(
        conn, [(one.agreement_id, one.seq, one.occurred_at) for one in sent]
    )
    await complete_fulfilled(conn, sorted({one.agreement_id for one in sent}), now=deps.clock.now())


async def complete_fulfilled(
    conn: Connection, agreement_ids: Sequence[UUID], *, now: datetime
) -> None:
    """Complete those of the agreements that are active, paid and shipped."""
    for agreement_id in await agreements.fulfilled(conn, agreement_ids):
        before = await lock_agreement(conn, agreement_id, merchant_id=None)
        if before.state is not AgreementState.ACTIVE:
            continue
        after = agreeing.move(before, AgreementState.COMPLETED, now=now)
        event = AgreementCompleted(
            event_id=new_id(),
            occurred_at=now,
            agreement_id=agreement_id,
            merchant_id=before.merchant_id,
            customer_id=before.customer_id,
        )
        await _end(conn, before, after, event, actor="platform", reason="fulfilled", now=now)


async def lock_agreement(
    conn: Connection, agreement_id: UUID, *, merchant_id: UUID | None
) -> Agreement:
    """Lock in the order everybody keeps: application, then agreement, then mandate."""
    application_id = await agreements.application_of(conn, agreement_id, merchant_id=merchant_id)
    await applications.lock(conn, application_id)
    return await agreements.lock(conn, agreement_id, merchant_id=merchant_id)


async def _end(
    conn: Connection,
    before: Agreement,
    after: Agreement,
    event: Event,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> None:
    await agreements.save(conn, before, after, actor=actor, reason=reason, now=now)
    mandate = await mandates.newest_of(conn, before.agreement_id)
    if mandate is not None:
        closing = mandating.close(mandate, now=now)
        await mandates.save(conn, mandate, closing, actor=actor, now=now)
    facts = {"reason": reason, "penalty_fen": after.penalty_fen}
    await evidence.append(
        conn, before.application_id, f"agreement_{after.state}", facts, actor=actor, now=now
    )
    await outbox.add(conn, event)


def _activated(agreement: Agreement, *, now: datetime) -> AgreementActivated:
    return AgreementActivated(
        event_id=new_id(),
        occurred_at=now,
        agreement_id=agreement.agreement_id,
        merchant_id=agreement.merchant_id,
        customer_id=agreement.customer_id,
    )
