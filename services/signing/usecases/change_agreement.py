"""An agreement is paused, goes on, or is amended; billing moves the dates when it hears."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.billing.contract import ChargeCollected, ScheduleChanged
from services.signing.contract import AgreementAmended, AgreementPaused, AgreementResumed
from services.signing.contract.changes import NewAmendment, NewPause
from services.signing.deps import Deps
from services.signing.domain import changes as changing
from services.signing.domain.agreement import Agreement, AgreementState
from services.signing.domain.changes import Amendment
from services.signing.domain.errors import MandateNotAlive
from services.signing.domain.mandate import MandateState
from services.signing.store import agreements, changes, evidence, history, mandates
from services.signing.store.changes import Change
from services.signing.usecases.end_agreement import complete_fulfilled, lock_agreement
from shared import outbox
from shared.db import Connection
from shared.events import Event
from shared.ids import derived_id

BATCH = 200


async def pause_agreement(
    conn: Connection,
    agreement_id: UUID,
    asked: NewPause,
    *,
    merchant_id: UUID,
    actor: str,
    now: datetime,
) -> Agreement:
    """
    Skip the next one or two periods.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        PauseTooLong, PausedAlready, NothingToChange, AgreementStateForbids: see the domain.
    """
    before = await lock_agreement(conn, agreement_id, merchant_id=merchant_id)
    current = await changes.current(conn, before)
    after = changing.pause(before, current, periods=asked.periods, now=now)
    event = AgreementPaused(
        event_id=derived_id("paused", agreement_id, after.changes),
        occurred_at=now,
        agreement_id=agreement_id,
        merchant_id=before.merchant_id,
        customer_id=before.customer_id,
        change_no=after.changes,
        periods=asked.periods,
        reason=asked.reason,
    )
    change = Change(
        agreement_id,
        after.changes,
        "paused",
        {"periods": asked.periods},
        actor,
        asked.reason,
        asked.evidence_ref,
        now,
    )
    await _save(conn, before, after, change, event)
    return after


async def resume_agreement(
    conn: Connection, agreement_id: UUID, *, merchant_id: UUID, actor: str, now: datetime
) -> Agreement:
    """
    Go on before the pause is over; what can still be charged as it was comes back.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        AgreementStateForbids: It is not paused.
    """
    before = await lock_agreement(conn, agreement_id, merchant_id=merchant_id)
    after = await _resume(conn, before, actor=actor, early=True, now=now)
    await complete_fulfilled(conn, [agreement_id], now=now)
    return after


async def end_pauses(deps: Deps) -> int:
    """Let one batch of agreements go on whose pause is over; return how many."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await changes.resuming(conn, now=now, limit=BATCH)
        for agreement_id in due:
            before = await lock_agreement(conn, agreement_id, merchant_id=None)
            if before.state is AgreementState.PAUSED:
                await _resume(conn, before, actor="clock", early=False, now=now)
        await complete_fulfilled(conn, due, now=now)
    return len(due)


async def amend_agreement(
    conn: Connection,
    agreement_id: UUID,
    asked: NewAmendment,
    *,
    merchant_id: UUID,
    actor: str,
    now: datetime,
) -> Agreement:
    """
    Give an agreement another charge day or amount, with the customer's recorded consent.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        MandateNotAlive: The mandate was revoked, perhaps a moment ago.
        AgreementStateForbids, AmendmentEmpty, NothingToChange, ChargeDayNotOnRail,
        AmountAboveRail, AmountAboveMandate, AmountBelowParcel: see the domain.
    """
    before = await lock_agreement(conn, agreement_id, merchant_id=merchant_id)
    mandate = await mandates.newest_of(conn, agreement_id)
    if mandate is None or mandate.state is not MandateState.ACTIVE:
        raise MandateNotAlive("There is no live mandate to charge by.")
    amount = asked.amount
    wanted = Amendment(
        asked.charge_day,
        None if amount is None else amount.from_seq,
        None if amount is None else amount.amount_fen,
    )
    current = await changes.current(conn, before)
    after = changing.amend(before, current, wanted, mandate, now=now)
    event = AgreementAmended(
        event_id=derived_id("amended", agreement_id, after.changes),
        occurred_at=now,
        agreement_id=agreement_id,
        merchant_id=before.merchant_id,
        customer_id=before.customer_id,
        change_no=after.changes,
        charge_day=wanted.charge_day,
        from_seq=wanted.from_seq,
        amount_fen=wanted.amount_fen,
        consented_at=now,
    )
    detail: dict[str, object] = {
        "charge_day": wanted.charge_day,
        "from_seq": wanted.from_seq,
        "amount_fen": wanted.amount_fen,
        "consent": asked.consent.model_dump(mode="json"),
    }
    change = Change(agreement_id, after.changes, "amended", detail, actor, asked.reason, "", now)
    await _save(conn, before, after, change, event)
    return after


async def note_schedule(conn: Connection, told: ScheduleChanged, deps: Deps) -> None:  # noqa: ARG001
    """Keep the schedule as billing has it after a change; late and repeated ones do no harm."""
    lines = [
        {"seq": line.seq, "due_on": line.due_on.isoformat(), "amount_fen": line.amount_fen}
        for line in told.instalments
    ]
    await changes.note_schedule(conn, told.agreement_id, terms_no=told.terms_no, lines=lines)


async def note_paid(conn: Connection, paid: Sequence[ChargeCollected], deps: Deps) -> None:  # noqa: ARG001
    """Remember what is paid, so that no penalty is reckoned of it; repeats safely."""
    await changes.note_paid(conn, [(one.agreement_id, one.seq, one.collected_at) for one in paid])


async def _resume(
    conn: Connection, before: Agreement, *, actor: str, early: bool, now: datetime
) -> Agreement:
    after = changing.resume(before, now=now)
    event = AgreementResumed(
        event_id=derived_id("resumed", before.agreement_id, after.changes),
        occurred_at=now,
        agreement_id=before.agreement_id,
        merchant_id=before.merchant_id,
        customer_id=before.customer_id,
        change_no=after.changes,
        early=early,
    )
    reason = "asked" if early else "pause over"
    change = Change(
        before.agreement_id, after.changes, "resumed", {"early": early}, actor, reason, "", now
    )
    await _save(conn, before, after, change, event)
    return after


async def _save(
    conn: Connection, before: Agreement, after: Agreement, change: Change, event: Event
) -> None:
    await agreements.save(
        conn, before, after, actor=change.actor, reason=change.reason, now=change.changed_at
    )
    if after.state is before.state:
        await history.add(
            conn,
            "agreement",
            after.agreement_id,
            from_state=before.state,
            to_state=change.kind,
            actor=change.actor,
            reason=change.reason,
            now=change.changed_at,
        )
    await changes.add(conn, change)
    facts = {
        **change.detail,
        "change_no": change.change_no,
        "reason": change.reason,
        "evidence_ref": change.evidence_ref,
    }
    await evidence.append(
        conn,
        before.application_id,
        f"agreement_{change.kind}",
        facts,
        actor=change.actor,
        now=change.changed_at,
    )
    await outbox.add(conn, event)
