"""Find out what a bill knows and we do not: ask the rail, and settle what it proves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from services.billing.deps import Deps
from services.billing.domain.attempt import Attempt
from services.billing.domain.bill_day import BillDay, Ticket
from services.billing.domain.findings import Paid, Refunded, RefundFinding, RefundRefused
from services.billing.domain.history import Actor
from services.billing.domain.refund import Refund, RefundState
from services.billing.store import attempts, bill_days, bill_lines, bill_tickets, refunds
from services.billing.usecases.fetch_bill import held
from services.billing.usecases.resolve_ticket import tell_resolved
from services.billing.usecases.send_refunds import settle_refund
from services.billing.usecases.settle_charge import Learned, settle_charges

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Answer:
    ticket: Ticket
    paid: Learned | None = None
    refund: Refund | None = None
    finding: RefundFinding | None = None

    @property
    def not_moved(self) -> bool:
        """The refund has failed here, and the rail says so too."""
        refused = isinstance(self.finding, RefundRefused) and self.finding.final
        return refused and self.refund is not None and self.refund.state is RefundState.FAILED


async def settle_differences(deps: Deps, day: BillDay) -> None:
    """
    Ask the rail about every line that says more than we know, and resolve what is proven.

    Repeats safely: each difference is asked about once at a moment, and only the rail's
    own answer, through the same function as any query, moves a charge or a refund.
    """
    now = deps.clock.now()
    while True:
        async with deps.db.transaction(quiet=True) as conn:
            asked = await bill_tickets.claim_to_ask(
                conn, day.day_id, now=now, limit=deps.terms.batch
            )
        if not asked:
            break
        await _record(deps, await _ask(deps, asked), now=now)
    await _resolve_known(deps, day, now=now)


async def compare_ours(deps: Deps, day: BillDay) -> bool:
    """
    Look for our own charges and refunds of the day in the bills; True when that is done.

    What is not listed may stand in the next day's bill (the rail's midnight is not ours), so
    it is called missing only when that one has been matched, too.
    """
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        stands = await held(conn, day)
        if stands.compared:
            return True
        if await bill_lines.anything_unlisted(conn, stands):
            if not await bill_days.next_is_matched(conn, stands):
                return False
            missing = await bill_lines.open_missing_there(conn, stands, now=now)
            log.warning("bill.missing_there", rail=day.rail, day=str(day.day), count=missing)
        await bill_days.compared(conn, day.day_id)
    return True


async def _ask(deps: Deps, tickets: Sequence[Ticket]) -> list[_Answer]:
    async with deps.db.connection() as conn:
        charges = {
            one.attempt_id: one
            for one in await attempts.by_ids(
                conn, [t.attempt_id for t in tickets if t.attempt_id is not None]
            )
        }
        known = await refunds.by_ids(
            conn, [t.refund_id for t in tickets if t.refund_id is not None]
        )
    by_id = {one.refund_id: one for one in known}
    bound = asyncio.Semaphore(deps.terms.in_flight)

    async def ask(ticket: Ticket) -> _Answer:
        assert ticket.attempt_id is not None  # what is not settled is known
        charge = charges[ticket.attempt_id]
        async with bound:
            try:
                return await _ask_one(deps, ticket, charge, by_id)
            except Exception:
                log.exception("bill.query_failed", ticket_id=str(ticket.ticket_id))
                return _Answer(ticket)

    return list(await asyncio.gather(*(ask(ticket) for ticket in tickets)))


async def _ask_one(
    deps: Deps, ticket: Ticket, charge: Attempt, known: dict[UUID, Refund]
) -> _Answer:
    rail = deps.rails[ticket.rail]
    if ticket.refund_id is not None:
        refund = known[ticket.refund_id]
        return _Answer(ticket, refund=refund, finding=await rail.query_refund(refund, charge))
    finding = await rail.query(charge)
    return _Answer(ticket, paid=Learned(charge, finding) if isinstance(finding, Paid) else None)


async def _record(deps: Deps, answers: Sequence[_Answer], *, now: datetime) -> None:
    paid = [one.paid for one in answers if one.paid is not None]
    if paid:
        async with deps.db.transaction() as conn:
            await settle_charges(conn, paid, deps, now=now, actor=Actor.QUERY)
    for one in answers:
        if one.refund is not None and isinstance(one.finding, Refunded):
            async with deps.db.transaction() as conn:
                await settle_refund(conn, one.refund, one.finding, now=now, actor=Actor.QUERY)
    not_moved = [one.ticket.ticket_id for one in answers if one.not_moved]
    if not_moved:
        async with deps.db.transaction() as conn:
            done = await bill_tickets.close_not_moved(conn, not_moved, now=now)
            await tell_resolved(conn, done, now=now)


async def _resolve_known(deps: Deps, day: BillDay, *, now: datetime) -> None:
    async with deps.db.transaction(quiet=True) as conn:
        await held(conn, day)
        done = await bill_tickets.close_settled(conn, day.day_id, now=now)
        done += await bill_tickets.close_listed(conn, day.day_id, now=now)
        await tell_resolved(conn, done, now=now)
