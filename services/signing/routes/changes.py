"""Changes of an agreement: pause, go on, amend."""

from uuid import UUID

from services.signing.contract.changes import (
    ChangesView,
    ChangeView,
    CurrentLine,
    NewAmendment,
    NewPause,
)
from services.signing.deps import Deps
from services.signing.domain.agreement import Agreement
from services.signing.domain.errors import (
    AgreementStateForbids,
    AgreementUnknown,
    AmendmentEmpty,
    AmountAboveMandate,
    AmountAboveRail,
    AmountBelowParcel,
    ChargeDayNotOnRail,
    MandateNotAlive,
    NothingToChange,
    PausedAlready,
    PauseTooLong,
)
from services.signing.routes.table import actor, api
from services.signing.store import agreements, changes
from services.signing.usecases.change_agreement import (
    amend_agreement,
    pause_agreement,
    resume_agreement,
)
from shared.db import Connection
from shared.web import Call

_TAGS = ("agreements",)


@api.get(
    "/v1/agreements/{agreement_id}/changes",
    scope="agreements:read",
    tags=_TAGS,
    problems=(AgreementUnknown,),
)
async def get_changes(call: Call[Deps], agreement_id: UUID) -> ChangesView:
    """Show every change of an agreement and its schedule as it stands."""
    async with call.deps.db.connection() as conn:
        agreement = await agreements.read(conn, agreement_id, merchant_id=call.tenant_id)
        return await _view(conn, agreement)


@api.post(
    "/v1/agreements/{agreement_id}/pause",
    scope="agreements:write",
    tags=_TAGS,
    problems=(
        AgreementUnknown,
        AgreementStateForbids,
        PausedAlready,
        PauseTooLong,
        NothingToChange,
    ),
)
async def pause(call: Call[Deps], agreement_id: UUID, body: NewPause) -> ChangesView:
    """Skip the next one or two periods: nothing is charged, every unpaid one moves on."""
    async with call.deps.db.transaction() as conn:
        agreement = await pause_agreement(
            conn,
            agreement_id,
            body,
            merchant_id=call.tenant_id,
            actor=actor(call),
            now=call.deps.clock.now(),
        )
        return await _view(conn, agreement)


@api.post(
    "/v1/agreements/{agreement_id}/resume",
    scope="agreements:write",
    tags=_TAGS,
    problems=(AgreementUnknown, AgreementStateForbids),
)
async def resume(call: Call[Deps], agreement_id: UUID) -> ChangesView:
    """Go on before the pause is over; by itself it ends eight days before the next charge."""
    async with call.deps.db.transaction() as conn:
        agreement = await resume_agreement(
            conn,
            agreement_id,
            merchant_id=call.tenant_id,
            actor=actor(call),
            now=call.deps.clock.now(),
        )
        return await _view(conn, agreement)


@api.post(
    "/v1/agreements/{agreement_id}/amendment",
    scope="agreements:write",
    tags=_TAGS,
    problems=(
        AgreementUnknown,
        AgreementStateForbids,
        AmendmentEmpty,
        NothingToChange,
        ChargeDayNotOnRail,
        AmountAboveRail,
        AmountAboveMandate,
        AmountBelowParcel,
        MandateNotAlive,
    ),
)
async def amend(call: Call[Deps], agreement_id: UUID, body: NewAmendment) -> ChangesView:
    """Give another charge day or amount; the customer has consented on a screen of its own."""
    async with call.deps.db.transaction() as conn:
        agreement = await amend_agreement(
            conn,
            agreement_id,
            body,
            merchant_id=call.tenant_id,
            actor=actor(call),
            now=call.deps.clock.now(),
        )
        return await _view(conn, agreement)


async def _view(conn: Connection, agreement: Agreement) -> ChangesView:
    current = await changes.current(conn, agreement)
    return ChangesView(
        agreement_id=agreement.agreement_id,
        state=agreement.state,
        charge_day=agreement.charge_day,
        paused_periods=agreement.paused_periods,
        resumes_at=agreement.resumes_at,
        schedule=[
            CurrentLine(
                seq=line.seq,
                due_on=line.due_on,
                amount_fen=line.amount_fen,
                paid=line.seq in current.paid,
            )
            for line in current.lines
        ],
        changes=[
            ChangeView.model_validate(change)
            for change in await changes.of(conn, agreement.agreement_id)
        ],
    )
