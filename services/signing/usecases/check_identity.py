"""Who is it: name against number, then the face check, whose result only the provider tells."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.signing.contract import ContactChanged, CustomerRegistered, PetRegistered
from services.signing.deps import Deps
from services.signing.domain import application as applying
from services.signing.domain.application import (
    FACE_TRIES_A_DAY,
    Applicant,
    Application,
    ApplicationState,
    Step,
    require_step,
)
from services.signing.domain.errors import NameNotMatching, TriesUsedUp
from services.signing.domain.mandate import ASK_AGAIN_AFTER, wait
from services.signing.domain.resident_id import require_adult
from services.signing.store import applications, checks, customers, evidence
from services.signing.store.checks import IdentityCheck
from services.signing.store.customers import Customer
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.ids import new_id

_DAY: Final = timedelta(days=1)


async def start_identity_check(
    deps: Deps, application_id: UUID, *, merchant_id: UUID, check_id: UUID
) -> str:
    """
    Return the page where the customer shows their face; an open one is given again.

    Raises:
        StepNotNext, TriesUsedUp, TooYoung: It is not time for this.
        NameNotMatching: Name and number do not belong together.
        ProviderSilent, ProviderRefused: The provider did not help.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        application = await applications.lock(conn, application_id, merchant_id=merchant_id)
        require_step(application, Step.IDENTITY)
        check = await checks.lock_open(conn, application_id)
        if check is None:
            await _require_tries(conn, application_id, now=now)
            await checks.add_check(conn, check_id, application_id=application_id, now=now)
            await applications.tried(conn, application, Step.IDENTITY, now=now)
        sealed = await applications.read_applicant(conn, application_id)
    if check is not None and check.state == "open":
        return check.url
    person = deps.vault.open_applicant(sealed, application_id)
    require_adult(person.id_number, today=day_in_china(now))
    return await _open_page(deps, person, check.check_id if check else check_id)


async def settle_identity(deps: Deps, application_id: UUID) -> None:
    """
    Ask the provider how the open check stands, and act on it; repeats safely.

    Raises:
        ProviderSilent: It did not answer.
    """
    async with deps.db.transaction() as conn:
        check = await checks.lock_open(conn, application_id)
    if check is None or check.state != "open":
        return
    result = await deps.faceid.result(check.biz_token)
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        application = await applications.lock(conn, application_id)
        open_check = await checks.lock_open(conn, application_id)
        if open_check is None or open_check.check_id != check.check_id:
            return
        if result.state == "open" and application.state is ApplicationState.STARTED:
            at = now + wait(ASK_AGAIN_AFTER, check.tries)
            await checks.ask_check_again(conn, check.check_id, at=at)
            return
        await checks.end_check(conn, check.check_id, state=_end(result.state), outcome="")
        if result.state == "passed" and application.state is ApplicationState.STARTED:
            await _identify(conn, deps, application, check, now=now)


async def register_customer(
    conn: Connection, deps: Deps, person: Applicant, *, merchant_id: UUID, now: datetime
) -> UUID:
    """Return the id of the merchant's customer who is *person*, new or with new contact data."""
    index = deps.vault.index(person.id_number)
    known = await customers.lock_by_id_index(conn, index, merchant_id=merchant_id)
    if known is not None:
        if deps.vault.open_person(known.person, known.customer_id) != person:
            await change_person(conn, deps, known, person, now=now)
        return known.customer_id
    customer_id = new_id()
    customer = Customer(
        customer_id=customer_id,
        merchant_id=merchant_id,
        person=deps.vault.lock_person(person, customer_id),
        id_index=index,
        phone_index=deps.vault.index(person.phone),
        created_at=now,
        changed_at=now,
    )
    if not await customers.add(conn, customer):  # another application was a moment faster
        return await register_customer(conn, deps, person, merchant_id=merchant_id, now=now)
    await outbox.add(
        conn,
        CustomerRegistered(
            event_id=new_id(),
            occurred_at=now,
            merchant_id=merchant_id,
            customer_id=customer_id,
            sealed_for_notify=deps.vault.seal_for_notify(person),
            sealed_for_fulfillment=deps.vault.seal_for_fulfillment(person),
        ),
    )
    return customer_id


async def change_person(
    conn: Connection, deps: Deps, customer: Customer, person: Applicant, *, now: datetime
) -> None:
    """Replace what a locked customer said of themselves, and tell the others."""
    await customers.save_person(
        conn,
        customer.customer_id,
        person=deps.vault.lock_person(person, customer.customer_id),
        phone_index=deps.vault.index(person.phone),
        now=now,
    )
    await outbox.add(
        conn,
        ContactChanged(
            event_id=new_id(),
            occurred_at=now,
            merchant_id=customer.merchant_id,
            customer_id=customer.customer_id,
            sealed_for_notify=deps.vault.seal_for_notify(person),
            sealed_for_fulfillment=deps.vault.seal_for_fulfillment(person),
        ),
    )


async def _require_tries(conn: Connection, application_id: UUID, *, now: datetime) -> None:
    if await checks.count_since(conn, application_id, now - _DAY) >= FACE_TRIES_A_DAY:
        raise TriesUsedUp("No more face checks today.", tries_a_day=FACE_TRIES_A_DAY)


async def _open_page(deps: Deps, person: Applicant, check_id: UUID) -> str:
    try:
        await deps.faceid.match_name(name=person.name, id_number=person.id_number)
    except NameNotMatching:
        async with deps.db.transaction() as conn:
            await checks.end_check(conn, check_id, state="failed", outcome="name-not-matching")
        raise
    page = await deps.faceid.start(name=person.name, id_number=person.id_number, extra=check_id.hex)
    async with deps.db.transaction() as conn:
        due_at = deps.clock.now() + ASK_AGAIN_AFTER[0]
        await checks.open_check(
            conn, check_id, biz_token=page.biz_token, url=page.url, due_at=due_at
        )
    return page.url


def _end(state: str) -> str:
    return "expired" if state == "open" else state


async def _identify(
    conn: Connection,
    deps: Deps,
    before: Application,
    check: IdentityCheck,
    *,
    now: datetime,
) -> None:
    sealed = await applications.read_applicant(conn, before.application_id)
    person = deps.vault.open_applicant(sealed, before.application_id)
    customer_id = await register_customer(
        conn, deps, person, merchant_id=before.merchant_id, now=now
    )
    pet_id = new_id()
    await customers.add_pet(
        conn,
        pet_id,
        before.pet,
        merchant_id=before.merchant_id,
        customer_id=customer_id,
        now=now,
    )
    after = replace(
        applying.move(before, ApplicationState.IDENTIFIED, now=now),
        customer_id=customer_id,
        pet_id=pet_id,
    )
    await applications.save(conn, before, after, actor="provider", now=now)
    facts = {
        "provider": "faceid",
        "check_id": str(check.check_id),
        "id_index": deps.vault.index(person.id_number),
    }
    await evidence.append(
        conn, before.application_id, "identity_proven", facts, actor="provider", now=now
    )
    await outbox.add(
        conn,
        PetRegistered(
            event_id=new_id(),
            occurred_at=now,
            merchant_id=before.merchant_id,
            customer_id=customer_id,
            pet_id=pet_id,
            species=before.pet.species,
            size=before.pet.size,
            born_on=before.pet.born_on,
            allergies=tuple(before.pet.allergies),
        ),
    )
