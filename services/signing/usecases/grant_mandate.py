"""The customer lets the rail charge them, on the rail's own screen; then the agreement stands."""

from datetime import datetime
from uuid import UUID

import structlog

from services.signing.contract import MandateClosed, MandateRevoked
from services.signing.deps import Deps
from services.signing.domain import mandate as mandating
from services.signing.domain.application import (
    Application,
    ApplicationState,
    ConsentKind,
    Step,
    require_step,
)
from services.signing.domain.errors import PreviewStale
from services.signing.domain.mandate import (
    ASK_AGAIN_AFTER,
    Granted,
    Mandate,
    MandateState,
    Told,
)
from services.signing.domain.merchant import payee_of
from services.signing.domain.schedule import Offers, charged, periods_of
from services.signing.gateways.mandate_rail import Invitation
from services.signing.store import applications, documents, evidence, mandates, merchants
from services.signing.store.applications import Consent
from services.signing.usecases.complete_application import complete_application
from services.signing.usecases.end_application import end_application
from shared import outbox
from shared.db import Connection
from shared.ids import new_id

log = structlog.get_logger()


async def invite_to_mandate(
    deps: Deps,
    application_id: UUID,
    *,
    merchant_id: UUID,
    mandate_id: UUID,
    screen_version: str,
    shown_ms: int,
) -> Invitation:
    """
    Return what the mini-program hands to the rail; a pending mandate is offered again.

    The consent was given on a screen of its own, apart from the agreement's signature.

    Raises:
        StepNotNext, PreviewStale: It is not time for this.
    """
    now = deps.clock.now()
    consent = Consent(ConsentKind.WITHHOLDING, screen_version, agreed=True, shown_ms=shown_ms)
    async with deps.db.transaction() as conn:
        application = await applications.lock(conn, application_id, merchant_id=merchant_id)
        require_step(application, Step.MANDATE)
        document = await documents.newest(conn, application_id)
        if now >= document.sign_before:
            raise PreviewStale("Begin again.", sign_before=document.sign_before.isoformat())
        await applications.add_consents(conn, application_id, [consent], now=now)
        await applications.tried(conn, application, Step.MANDATE, now=now)
        mandate = await _pending(
            conn, application, document, deps.offers, mandate_id=mandate_id, now=now
        )
        facts = {
            "mandate_id": str(mandate.mandate_id),
            "screen_version": screen_version,
            "shown_ms": shown_ms,
            "payee_no": mandate.payee_no,
            "ceiling_fen": mandate.ceiling_fen,
        }
        await evidence.append(
            conn, application_id, "withholding_agreed", facts, actor="customer", now=now
        )
        sealed = await applications.read_applicant(conn, application_id)
    person = deps.vault.open_applicant(sealed, application_id)
    return await deps.rails[mandate.rail].invite(mandate, person)


async def look_at_mandate(deps: Deps, mandate: Mandate) -> None:
    """Ask the rail how a mandate stands, and act on it; repeats safely."""
    now = deps.clock.now()
    told = await _ask_rail(deps, mandate, now=now)
    if mandate.due_at is None and told and mandating.hear(mandate, told, now=now) == mandate:
        return  # nothing new, as on nearly every day of nearly every mandate
    async with deps.db.transaction() as conn:
        if told is not None:
            await hear_of_mandate(conn, mandate.mandate_id, told, now=deps.clock.now())
        elif mandate.due_at is not None:
            await _try_later(conn, mandate.mandate_id, now=deps.clock.now())


async def _ask_rail(deps: Deps, mandate: Mandate, *, now: datetime) -> Told | None:
    """Return what the rail tells; an answer nobody can read harms this one mandate only."""
    rail = deps.rails[mandate.rail]
    try:
        if mandate.state is MandateState.CLOSING:
            return await rail.end(mandate, now=now)
        return await rail.look(mandate, now=now)
    except Exception:
        log.exception("mandate.answer_unreadable", mandate_id=str(mandate.mandate_id))
        return None


async def hear_of_mandate(conn: Connection, mandate_id: UUID, told: Told, *, now: datetime) -> None:
    """Take what the rail told of a mandate, in any order and any number of times."""
    application_id = (await mandates.read(conn, mandate_id)).application_id
    application = await applications.lock(conn, application_id)
    before = await mandates.lock(conn, mandate_id)
    after = mandating.hear(before, told, now=now)
    foreign = isinstance(told, Granted) and told.payer_no not in {"", before.payer_no}
    waited_for = application.state is ApplicationState.SIGNED
    late = isinstance(told, Granted) and told.at >= application.expires_at
    granted = before.state is MandateState.PENDING and after.state is MandateState.ACTIVE
    if granted and (foreign or late or not waited_for):
        after = mandating.close(after, now=now)
    await mandates.save(conn, before, after, actor="rail", now=now)
    match (before.state, after.state):
        case (MandateState.PENDING, MandateState.ACTIVE):
            await complete_application(conn, application, after, now=now)
        case (MandateState.PENDING, MandateState.CLOSING) if foreign and waited_for:
            await end_application(
                conn,
                application,
                ApplicationState.REJECTED,
                reason="payer-differs",
                actor="rail",
                now=now,
            )
        case (MandateState.ACTIVE, MandateState.REVOKED | MandateState.EXPIRED):
            await _tell_revoked(conn, after, now=now)
        case (MandateState.CLOSING, MandateState.CLOSED):
            await _tell_closed(conn, after, now=now)
        case _:
            pass


async def _pending(
    conn: Connection,
    application: Application,
    document: documents.Document,
    offers: Offers,
    *,
    mandate_id: UUID,
    now: datetime,
) -> Mandate:
    newest = await mandates.newest_of(conn, application.agreement_id)
    if newest is not None and newest.state is MandateState.PENDING:
        return newest
    merchant = await merchants.read(conn, application.merchant_id)
    number = await mandates.count_of(conn, application.agreement_id) + 1
    amounts = [line.amount_fen for line in charged(document.instalments)]
    mandate = Mandate(
        mandate_id=mandate_id,
        merchant_id=application.merchant_id,
        application_id=application.application_id,
        agreement_id=application.agreement_id,
        rail=application.rail,
        product=offers[application.rail].product,
        external_no=f"{application.agreement_no}M{number}",
        payer_no=application.payer_no,
        payee_no=payee_of(merchant, application.rail, offers=offers).payee_no,
        ceiling_fen=max(amounts),
        first_due_on=periods_of(document.instalments)[0].due_on,
        total_fen=sum(amounts),
        periods=len(amounts),
        state=MandateState.PENDING,
        due_at=now + ASK_AGAIN_AFTER[0],
    )
    await mandates.add(conn, mandate, now=now)
    added = await mandates.newest_of(conn, application.agreement_id)
    assert added is not None
    return added


async def _try_later(conn: Connection, mandate_id: UUID, *, now: datetime) -> None:
    before = await mandates.lock(conn, mandate_id)
    if before.state in {MandateState.PENDING, MandateState.CLOSING}:
        after = mandating.tried(before, now=now)
        await mandates.save(conn, before, after, actor="clock", now=now)


async def _tell_revoked(conn: Connection, mandate: Mandate, *, now: datetime) -> None:
    expired = mandate.state is MandateState.EXPIRED
    await evidence.append(
        conn,
        mandate.application_id,
        f"mandate_{mandate.state}",
        {"mandate_id": str(mandate.mandate_id)},
        actor="rail",
        now=now,
    )
    await outbox.add(
        conn,
        MandateRevoked(
            event_id=new_id(),
            occurred_at=now,
            mandate_id=mandate.mandate_id,
            agreement_id=mandate.agreement_id,
            merchant_id=mandate.merchant_id,
            customer_id=await mandates.customer_of(conn, mandate.mandate_id),
            revoked_by="expiry" if expired else "customer",
        ),
    )


async def _tell_closed(conn: Connection, mandate: Mandate, *, now: datetime) -> None:
    await evidence.append(
        conn,
        mandate.application_id,
        "mandate_closed",
        {"mandate_id": str(mandate.mandate_id)},
        actor="rail",
        now=now,
    )
    await outbox.add(
        conn,
        MandateClosed(
            event_id=new_id(),
            occurred_at=now,
            mandate_id=mandate.mandate_id,
            agreement_id=mandate.agreement_id,
            merchant_id=mandate.merchant_id,
            customer_id=await mandates.customer_of(conn, mandate.mandate_id),
        ),
    )
