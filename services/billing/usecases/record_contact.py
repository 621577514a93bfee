"""Somebody speaks with a customer about a missed period: allowed, recorded, or refused."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.contact_rules import (
    WEEK,
    Contact,
    ContactKind,
    ContactRefusal,
    Direction,
    Person,
    next_allowed,
    refusals,
)
from services.billing.domain.errors import (
    AgreementUnknown,
    ContactRefused,
    ContactThirdParty,
    InstalmentUnknown,
)
from services.billing.domain.history import Actor, Move
from services.billing.domain.task import ABOUT_ARREARS, TaskKind
from services.billing.store import agreements, contacts, history, instalments
from shared.db import Connection

_DUNNING: Final = frozenset(kind.value for kind in ABOUT_ARREARS)


@dataclass(frozen=True, slots=True)
class Speaking:
    """A call as staff report it; ``staff`` is a reference, never a name."""

    contact_id: UUID
    agreement_id: UUID
    instalment_id: UUID | None
    task_id: UUID | None
    staff: str
    about: str
    person: Person = Person.CUSTOMER
    direction: Direction = Direction.OUTGOING
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a customer may be called now; if not, why, and from when on."""

    refusals: tuple[ContactRefusal, ...]
    from_at: datetime


async def own_agreement(conn: Connection, merchant_id: UUID, agreement_id: UUID) -> Agreement:
    """Return an agreement of this merchant.  Raises AgreementUnknown."""
    found = await agreements.by_ids(conn, [agreement_id])
    if not found or found[0].merchant_id != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    return found[0]


async def allowance(
    conn: Connection, merchant_id: UUID, agreement_id: UUID, deps: Deps
) -> Allowance:
    """Return whether this customer may be called now.  Raises AgreementUnknown."""
    agreement = await own_agreement(conn, merchant_id, agreement_id)
    return await _allowance(conn, agreement, Person.CUSTOMER, now=deps.clock.now())


async def record_contact(
    conn: Connection, merchant_id: UUID, speaking: Speaking, *, now: datetime
) -> Contact:
    """
    Record a contact; repeats safely under the same id.

    What the customer begins is recorded and neither counted nor refused.

    Raises:
        AgreementUnknown: There is no such agreement, or it is another merchant's.
        InstalmentUnknown: The instalment is not one of this agreement.
        ContactThirdParty: Somebody else than the customer was to be spoken to (DN-03).
        ContactRefused: Hours, caps or an open claim forbid it; the facts say which.
    """
    agreement = await agreements.lock(conn, speaking.agreement_id)
    if agreement.merchant_id != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=speaking.agreement_id)
    if speaking.instalment_id is not None:
        about = await instalments.find(conn, merchant_id, speaking.instalment_id)
        if about.agreement_id != agreement.agreement_id:
            raise InstalmentUnknown("No such instalment.", instalment_id=speaking.instalment_id)
    await contacts.lock_customers(conn, [agreement.customer_id])
    if speaking.person is not Person.CUSTOMER:
        raise ContactThirdParty("Speak with the customer only.", person=speaking.person.value)
    if speaking.direction is Direction.OUTGOING:
        found = await _allowance(
            conn,
            agreement,
            speaking.person,
            now=now,
            about=speaking.about,
            but=speaking.contact_id,
        )
        if found.refusals:
            raise ContactRefused(
                "This customer must not be contacted now.",
                reasons=[one.value for one in found.refusals],
                from_at=found.from_at.isoformat(),
            )
    contact = _contact(agreement, speaking, now)
    await contacts.add(conn, [contact])
    return contact


async def make_contact(deps: Deps, merchant_id: UUID, speaking: Speaking) -> Contact:
    """Record a contact, or keep that it was refused; raises what ``record_contact`` raises."""
    try:
        async with deps.db.transaction() as conn:
            return await record_contact(conn, merchant_id, speaking, now=deps.clock.now())
    except (ContactThirdParty, ContactRefused) as error:
        await note_refusal(deps, speaking.agreement_id, speaking.instalment_id, error)
        raise


async def note_refusal(
    deps: Deps,
    agreement_id: UUID,
    instalment_id: UUID | None,
    error: ContactThirdParty | ContactRefused,
) -> None:
    """Keep that somebody was kept from a contact; in a transaction of its own."""
    async with deps.db.transaction() as conn:
        await history.add(
            conn,
            [
                Move(
                    "contact",
                    agreement_id,
                    instalment_id,
                    "asked",
                    "refused",
                    Actor.STAFF,
                    str(error),
                    deps.clock.now(),
                )
            ],
        )


async def _allowance(
    conn: Connection,
    agreement: Agreement,
    person: Person,
    *,
    now: datetime,
    about: str = TaskKind.FOLLOW_UP,
    but: UUID | None = None,
) -> Allowance:
    customer = (agreement.merchant_id, agreement.customer_id)
    past = await contacts.since(conn, [customer], since=now - WEEK - timedelta(days=1))
    past = [one for one in past if one.contact_id != but]
    # A claim must be answered somehow: a hold forbids dunning, not speaking.
    holds = agreement.holds if about in _DUNNING else ()
    found = refusals(ContactKind.CALL, person, past, holds=holds, now=now)
    return Allowance(found, next_allowed(ContactKind.CALL, past, now=now))


def _contact(agreement: Agreement, speaking: Speaking, now: datetime) -> Contact:
    return Contact(
        contact_id=speaking.contact_id,
        merchant_id=agreement.merchant_id,
        customer_id=agreement.customer_id,
        agreement_id=agreement.agreement_id,
        instalment_id=speaking.instalment_id,
        task_id=speaking.task_id,
        kind=ContactKind.CALL,
        direction=speaking.direction,
        channels=("phone",),
        about=speaking.about,
        outcome=speaking.outcome,
        made_by=speaking.staff,
        made_at=now,
    )
