"""After a restore: find at the rails the charges that this database has forgotten."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, assert_never
from uuid import UUID

import structlog

from services.billing.deps import Deps
from services.billing.domain.attempt import Attempt, AttemptKind
from services.billing.domain.findings import (
    Failed,
    Finding,
    NotFound,
    Paid,
    Pending,
    Unclear,
)
from services.billing.domain.history import Actor
from services.billing.domain.instalment import CHARGEABLE, Instalment, InstalmentMove, moved
from services.billing.domain.mandate import Mandate
from services.billing.domain.retry_policy import RETRIES
from services.billing.store import agreements, attempts, instalments, mandates
from services.billing.usecases.attempt_due_charges import new_attempt
from services.billing.usecases.settle_charge import Learned, settle_charges
from shared.rails.classes import FailureClass

log = structlog.get_logger()

TRIES: Final = 3
"""Questions about one number before the rail counts as silent."""

UNKNOWN_IN_A_ROW: Final = RETRIES + 1
"""
So many numbers in a row that a rail does not know end the search.

A refused order may leave no trace at the rail, and there are no more automatic tries than
these; an order that a customer pays always leaves one.
"""


REFUSED: Final = Failed(FailureClass.RETRY_LATER, "refused_and_forgotten")
"""What must have become of an order whose successor exists."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the search came to: *unclear* instalments must be searched again."""

    instalments: int = 0
    charges: int = 0
    unclear: int = 0


@dataclass(frozen=True, slots=True)
class _Trace:
    attempt: Attempt
    finding: Finding


async def find_lost_charges(deps: Deps, *, since: date, until: date) -> Found:
    """
    Ask the rails about numbers that may have been used for what was to be charged meanwhile.

    Numbers follow from agreement, period and try, so the lost ones are known without a
    record of them.  Runs while billing is down, before anything is charged again: else an
    order under an earlier number could be booked beside a lost later one.  Repeats safely.
    """
    found, after = Found(), UUID(int=0)
    while True:
        async with deps.db.connection() as conn:
            batch = await instalments.unpaid_between(
                conn, since, until, after=after, limit=deps.terms.batch
            )
            ids = list({one.agreement_id for one in batch})
            granted = await mandates.newest(conn, ids)
            busy = await attempts.open_of(conn, [one.instalment_id for one in batch])
        if not batch:
            return found
        bound = asyncio.Semaphore(deps.terms.in_flight)

        async def search(
            one: Instalment, mandate: Mandate, bound: asyncio.Semaphore = bound
        ) -> list[_Trace] | None:
            async with bound:
                return await _search(deps, one, mandate)

        searched = [
            one for one in batch if one.agreement_id in granted and one.instalment_id not in busy
        ]
        traces = await asyncio.gather(*(search(one, granted[one.agreement_id]) for one in searched))
        charges, unclear = 0, len(busy)
        for one, seen in zip(searched, traces, strict=True):
            unclear += seen is None
            charges += await _adopt(deps, one, seen or ())
        found = Found(
            found.instalments + len(batch), found.charges + charges, found.unclear + unclear
        )
        log.info("lost_charges.searched", instalments=found.instalments, charges=found.charges)
        after = batch[-1].instalment_id


async def _search(deps: Deps, instalment: Instalment, mandate: Mandate) -> list[_Trace] | None:
    """
    Return what the rail knows of later numbers; None if it does not say.

    An undecided one is the last: no number follows while the one before it is unclear.  So a
    number that the rail does not know, with one after it that it does, was refused.
    """
    traces: list[_Trace] = []
    gap: list[_Trace] = []
    unknown, number = 0, instalment.tries
    while unknown < UNKNOWN_IN_A_ROW:
        trace = await _ask(deps, replace(instalment, tries=number), mandate)
        number += 1
        match trace.finding:
            case NotFound():
                unknown += 1
                gap.append(_Trace(trace.attempt, REFUSED))
            case Unclear():
                return None
            case Pending():
                return [*traces, *gap, trace]
            case Paid() | Failed():
                traces += [*gap, trace]
                unknown, gap = 0, []
            case _:
                assert_never(trace.finding)
    return traces


async def _ask(deps: Deps, before: Instalment, mandate: Mandate) -> _Trace:
    """Ask about the next number, as an order of ours and as one that the customer pays."""
    for kind in AttemptKind:
        attempt = new_attempt(before, mandate, kind, "", now=deps.clock.now())
        finding = await _query(deps, attempt)
        if isinstance(finding, Pending) and finding.unpaid:
            await deps.rails[mandate.rail].close(attempt)
            finding = await _query(deps, attempt)
        if not isinstance(finding, NotFound):
            return _Trace(attempt, finding)
    return _Trace(attempt, NotFound())


async def _query(deps: Deps, attempt: Attempt) -> Finding:
    finding: Finding = NotFound()
    for _ in range(TRIES):
        finding = await deps.rails[attempt.rail].query(attempt)
        if not isinstance(finding, Unclear):
            break
    return finding


async def _adopt(deps: Deps, instalment: Instalment, traces: Sequence[_Trace]) -> int:
    """Write down each lost order and settle it, as if it had just been answered."""
    now = deps.clock.now()
    for trace in traces:
        async with deps.db.transaction() as conn:
            await agreements.lock(conn, instalment.agreement_id)
            (current,) = await instalments.by_ids(conn, [instalment.instalment_id])
            automatic = current.state in CHARGEABLE
            attempt = replace(
                trace.attempt,
                kind=AttemptKind.AUTOMATIC if automatic else AttemptKind.PAY_NOW,
                on_day=min(current.charge_on, trace.attempt.on_day),
            )
            await attempts.add(conn, [attempt])
            await instalments.save(conn, [_tried(current, attempt, now=now)])
            await settle_charges(
                conn, [Learned(attempt, trace.finding)], deps, now=now, actor=Actor.QUERY
            )
            log.warning("charge.was_forgotten", attempt_id=str(attempt.attempt_id))
    return len(traces)


def _tried(instalment: Instalment, attempt: Attempt, *, now: datetime) -> Instalment:
    if attempt.kind is AttemptKind.PAY_NOW:
        return replace(instalment, tries=attempt.attempt_no)
    return replace(
        instalment,
        state=moved(instalment.state, InstalmentMove.COLLECT),
        tries=attempt.attempt_no,
        auto_tries=instalment.auto_tries + 1,
        first_tried_at=instalment.first_tried_at or now,
        next_try_at=None,
        next_notice_at=None,
    )
