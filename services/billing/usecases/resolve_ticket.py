"""Write down how a difference ended: found out, or said by a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.billing.domain.bill_day import Resolution, Ticket, may_resolve
from services.billing.domain.errors import TicketUnknown
from services.billing.domain.history import Actor, Move
from services.billing.store import bill_days, bill_tickets, history
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says of a difference, why, and under which key."""

    resolution: Resolution
    reason: str
    by: str


async def resolve_ticket(
    conn: Connection, merchant_id: UUID | None, ticket_id: UUID, said: Said, *, now: datetime
) -> Ticket:
    """
    Resolve a difference by a person's word; saying the same again changes nothing.

    *merchant_id* None is the operator, who alone sees what belongs to no merchant. The day
    closes by itself when this was its last difference.

    Raises:
        TicketUnknown: There is none, or it is another merchant's.
        TicketResolved: It ended before, in another way.
        ResolutionForbidden: Nobody can say this of it.
    """
    ticket = await bill_tickets.find(conn, ticket_id, merchant_id=merchant_id, lock=True)
    if ticket is None:
        raise TicketUnknown("No such difference.", ticket_id=ticket_id)
    if (ticket.resolution, ticket.reason) == (said.resolution, said.reason):
        return ticket
    may_resolve(ticket, said.resolution)
    await bill_tickets.resolve(
        conn, ticket_id, said.resolution, reason=said.reason, by=said.by, now=now
    )
    await history.add(
        conn,
        [_move(ticket_id, said.resolution, Actor.STAFF, f"{said.by}: {said.reason}", now=now)],
    )
    await bill_days.wake(conn, ticket.day_id, now=now)
    found = await bill_tickets.find(conn, ticket_id, merchant_id=merchant_id)
    assert found is not None
    return found


async def tell_resolved(
    conn: Connection, done: Sequence[tuple[UUID, Resolution]], *, now: datetime
) -> None:
    """Add to the history what was found out of differences."""
    await history.add(
        conn,
        [
            _move(ticket_id, resolution, Actor.JOB, resolution.value, now=now)
            for ticket_id, resolution in done
        ],
    )


def _move(
    ticket_id: UUID, resolution: Resolution, actor: Actor, reason: str, *, now: datetime
) -> Move:
    return Move("bill_ticket", ticket_id, None, "open", resolution.value, actor, reason, now)
