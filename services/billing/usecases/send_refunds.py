"""Ask the rails to send money back, and keep asking under the same number until it is proven."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from services.billing.contract import RefundFailed, RefundSucceeded
from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.attempt import Attempt
from services.billing.domain.breaker import Beat, beat_of
from services.billing.domain.findings import Refunded, RefundFinding, RefundPending
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import InstalmentMove, moved
from services.billing.domain.refund import (
    AGAIN_AFTER,
    ASK_PERSON_AFTER,
    Refund,
    RefundState,
    failure_of,
    settle,
)
from services.billing.domain.task import Outcome, TaskKind
from services.billing.store import agreements, attempts, history, instalments, refunds, tasks
from services.billing.usecases import announce
from services.billing.usecases.close_tasks import BY_ITSELF, close_all
from services.billing.usecases.feel_rails import feel_rails
from services.signing.contract import Rail
from shared import outbox
from shared.db import Connection
from shared.ids import derived_id

log = structlog.get_logger()

REST: Final = timedelta(minutes=1)
"""How long a claimed refund rests if its process dies."""


async def send_refunds(deps: Deps) -> int:
    """Send or ask about one batch of refunds; return how many there were."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        claimed = await refunds.claim_to_send(
            conn, now=now, until=now + REST, limit=deps.terms.batch
        )
        charges = await attempts.by_ids(conn, [one.attempt_id for one in claimed])
    by_id = {one.attempt_id: one for one in charges}
    bound = asyncio.Semaphore(deps.terms.in_flight)

    beats: list[tuple[str, Beat]] = []

    async def send(one: Refund) -> None:
        async with bound:
            finding = await _ask(deps, one, by_id[one.attempt_id])
        beats.append((one.rail, beat_of(finding, charge=False)))
        try:
            async with deps.db.transaction() as conn:
                await settle_refund(conn, one, finding, now=deps.clock.now(), actor=Actor.JOB)
        except Exception:
            # It harms no other; it stays on its way and is asked about again.
            log.exception("refund.unsettled", refund_id=str(one.refund_id))
            async with deps.db.transaction() as conn:
                await refunds.ask_later(conn, one.refund_id, at=deps.clock.now() + AGAIN_AFTER)

    await asyncio.gather(*(send(one) for one in claimed))
    await feel_rails(deps, beats, now=deps.clock.now())
    return len(claimed)


async def _ask(deps: Deps, refund: Refund, charge: Attempt) -> RefundFinding:
    rail = deps.rails[refund.rail]
    try:
        if refund.tries > 1:
            found = await rail.query_refund(refund, charge)
            if isinstance(found, Refunded):
                return found
        return await rail.refund(refund, charge)
    except Exception:
        log.exception("refund.call_failed", refund_id=str(refund.refund_id))
        return RefundPending("call_failed")


async def settle_refund(
    conn: Connection, told: Refund, finding: RefundFinding, *, now: datetime, actor: Actor
) -> None:
    """Record what was learned of a refund and announce it; repeats safely."""
    agreement = await agreements.lock(conn, told.agreement_id)
    before = await refunds.lock(conn, told.refund_id)
    assert before is not None
    after = settle(before, finding, now=now)
    await refunds.save(conn, after)
    if after.state is not before.state:
        await history.add(conn, [_move(before, after, finding, now=now, actor=actor)])
    if after.state is RefundState.SUCCEEDED and before.state is not RefundState.SUCCEEDED:
        await _succeeded(conn, after, now=now, actor=actor)
    if after.state is RefundState.FAILED and before.state is not RefundState.FAILED:
        await announce_failed(conn, after, agreement, now=now)
    if after.state is RefundState.SENT and now - after.created_at > ASK_PERSON_AFTER:
        await _ask_person(conn, after, agreement, now=now)


async def _succeeded(conn: Connection, refund: Refund, *, now: datetime, actor: Actor) -> None:
    await outbox.add(
        conn,
        RefundSucceeded(
            event_id=derived_id("refund_succeeded", refund.refund_id),
            occurred_at=now,
            **_about(refund),
        ),
    )
    await close_refund_tasks(conn, refund, by=BY_ITSELF, now=now)
    if refund.settlement_id is not None:
        await _mark_instalment(conn, refund, now=now, actor=actor)


async def announce_failed(
    conn: Connection, refund: Refund, agreement: Agreement, *, now: datetime
) -> None:
    """Tell that a refund failed, once for each time it did, and ask a person to look."""
    times = await refunds.failures(conn, refund.refund_id)
    again = (times,) if times > 1 else ()
    await outbox.add(
        conn,
        RefundFailed(
            event_id=derived_id("refund_failed", refund.refund_id, *again),
            occurred_at=now,
            reason=refund.failure_code or "",
            **_about(refund),
        ),
    )
    await _ask_person(conn, refund, agreement, now=now)


async def close_refund_tasks(conn: Connection, refund: Refund, *, by: str, now: datetime) -> None:
    """Close what people had to follow up of a refund; repeats safely."""
    times = await refunds.failures(conn, refund.refund_id)
    ids = [
        derived_id("task", TaskKind.REFUND_LATE, failure_of(refund.refund_id, 0)),
        derived_id("task", TaskKind.REFUND_FAILED, failure_of(refund.refund_id, times)),
    ]
    await close_all(conn, await tasks.open_by_ids(conn, ids), Outcome.DONE, by=by, now=now)


async def _ask_person(
    conn: Connection, refund: Refund, agreement: Agreement, *, now: datetime
) -> None:
    times = await refunds.failures(conn, refund.refund_id)
    await announce.open_task(
        conn,
        TaskKind.REFUND_FAILED,
        failure_of(refund.refund_id, times),
        agreement,
        refund.instalment_id,
        detail=f"{refund.refund_no} {refund.failure_code or 'not confirmed'}",
        now=now,
    )


async def _mark_instalment(
    conn: Connection, refund: Refund, *, now: datetime, actor: Actor
) -> None:
    (instalment,) = await instalments.by_ids(conn, [refund.instalment_id])
    gone_fen = await refunds.refunded_fen(conn, refund.attempt_id)
    whole = gone_fen >= instalment.amount_fen
    step = InstalmentMove.REFUND_ALL if whole else InstalmentMove.REFUND_PART
    after = replace(instalment, state=moved(instalment.state, step))
    await instalments.save(conn, [after])
    if after.state is instalment.state:
        return
    about: UUID = instalment.instalment_id
    move = Move("instalment", about, about, instalment.state, after.state, actor, "refunded", now)
    await history.add(conn, [move])


def _about(refund: Refund) -> dict[str, Any]:
    return {
        "refund_id": refund.refund_id,
        "agreement_id": refund.agreement_id,
        "merchant_id": refund.merchant_id,
        "customer_id": refund.customer_id,
        "charge_id": refund.attempt_id,
        "settlement_id": refund.settlement_id,
        "rail": Rail(refund.rail),
        "amount_fen": refund.amount_fen,
    }


def _move(
    before: Refund, after: Refund, finding: RefundFinding, *, now: datetime, actor: Actor
) -> Move:
    return Move(
        "refund",
        after.refund_id,
        after.instalment_id,
        before.state,
        after.state,
        actor,
        after.failure_code or type(finding).__name__.lower(),
        now,
    )
