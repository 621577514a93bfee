"""Previews of changes, and the postponement of one instalment."""

from uuid import UUID

from services.billing.contract.changes import (
    AmendmentPreview,
    MovedLine,
    NewDay,
    NewPostponement,
    PausePreview,
    PostponementView,
    SchedulePreview,
    SettlementLine,
    TerminationAsked,
    TerminationPreview,
    TermsLine,
)
from services.billing.deps import Deps
from services.billing.domain.errors import (
    AgreementUnknown,
    InstalmentUnknown,
    PauseNotPossible,
    PostponementDayInvalid,
    PostponementNotPossible,
)
from services.billing.routes.table import api
from services.billing.usecases.postpone_instalment import (
    FOLLOWS,
    SOURCE,
    Postponement,
    postpone_instalment,
    preview_postponement,
)
from services.billing.usecases.preview_changes import (
    EndPreview,
    Preview,
    preview_amendment,
    preview_pause,
    preview_termination,
)
from services.signing.contract import EndReason, cause_of
from shared.web import Call

_TAGS = ("changes",)


@api.post(
    "/v1/agreements/{agreement_id}/pause/preview",
    scope="billing:read",
    tags=_TAGS,
    problems=(AgreementUnknown, PauseNotPossible),
)
async def pause_preview(
    call: Call[Deps], agreement_id: UUID, body: PausePreview
) -> SchedulePreview:
    """Show what a pause would move; signing's pause then does exactly that."""
    async with call.deps.db.connection() as conn:
        found = await preview_pause(
            conn, call.deps, call.tenant_id, agreement_id, periods=body.periods
        )
    return _schedule(found)


@api.post(
    "/v1/agreements/{agreement_id}/amendment/preview",
    scope="billing:read",
    tags=_TAGS,
    problems=(AgreementUnknown,),
)
async def amendment_preview(
    call: Call[Deps], agreement_id: UUID, body: AmendmentPreview
) -> SchedulePreview:
    """Show what another day or amount would change; signing's amendment does exactly that."""
    async with call.deps.db.connection() as conn:
        found = await preview_amendment(
            conn,
            call.deps,
            call.tenant_id,
            agreement_id,
            charge_day=body.charge_day,
            from_seq=body.from_seq,
            amount_fen=body.amount_fen,
        )
    return _schedule(found)


@api.post(
    "/v1/agreements/{agreement_id}/termination/preview",
    scope="billing:read",
    tags=_TAGS,
    problems=(AgreementUnknown,),
)
async def termination_preview(
    call: Call[Deps], agreement_id: UUID, body: TerminationAsked
) -> TerminationPreview:
    """Show what an end today would come to, figure by figure, before anybody confirms it."""
    async with call.deps.db.connection() as conn:
        found = await preview_termination(
            conn,
            call.tenant_id,
            agreement_id,
            reason=EndReason(body.reason),
            loss_fen=sum(line.amount_fen for line in body.loss),
            now=call.deps.clock.now(),
        )
    return _end(found)


@api.post(
    "/v1/instalments/{instalment_id}/postponement/preview",
    scope="billing:read",
    tags=_TAGS,
    problems=(InstalmentUnknown, PostponementDayInvalid, PostponementNotPossible),
)
async def postponement_preview(
    call: Call[Deps], instalment_id: UUID, body: NewDay
) -> PostponementView:
    """Show what moving one instalment would move."""
    async with call.deps.db.connection() as conn:
        found = await preview_postponement(
            conn, call.deps, call.tenant_id, instalment_id, body.to_day
        )
    return _moved(found, instalment_id)


@api.post(
    "/v1/instalments/{instalment_id}/postponement",
    scope="billing:write",
    tags=_TAGS,
    problems=(InstalmentUnknown, PostponementDayInvalid, PostponementNotPossible),
)
async def postpone(
    call: Call[Deps], instalment_id: UUID, body: NewPostponement
) -> PostponementView:
    """Move one instalment to the day that was agreed; it gets notices of its own."""
    async with call.deps.db.transaction() as conn:
        done = await postpone_instalment(
            conn,
            call.deps,
            call.tenant_id,
            instalment_id,
            body.to_day,
            consent=body.consent.model_dump(mode="json"),
        )
    return _moved(done, instalment_id)


def _schedule(found: Preview) -> SchedulePreview:
    return SchedulePreview(
        agreement_id=found.agreement.agreement_id,
        total_before_fen=found.agreement.total_fen,
        total_fen=found.total_fen,
        lines=[
            TermsLine(
                instalment_id=line.instalment_id,
                seq=line.seq,
                due_on_before=line.before.due_on,
                due_on=line.after.due_on,
                charge_on=line.after.charge_on,
                amount_before_fen=line.before.amount_fen,
                amount_fen=line.after.amount_fen,
                waits=line.waits,
                source=line.source,
            )
            for line in found.lines
        ],
    )


def _moved(found: Postponement, instalment_id: UUID) -> PostponementView:
    return PostponementView(
        earliest=found.earliest,
        latest=found.latest,
        lines=[
            MovedLine(
                instalment_id=one.instalment_id,
                seq=one.seq,
                from_day=found.before[one.instalment_id].charge_on,
                to_day=one.charge_on,
                amount_fen=one.amount_fen,
                source=SOURCE if one.instalment_id == instalment_id else FOLLOWS,
            )
            for one in found.changed
        ],
    )


def _end(found: EndPreview) -> TerminationPreview:
    back = found.refund
    return TerminationPreview(
        agreement_id=found.agreement.agreement_id,
        reason=found.reason,
        cause=cause_of(found.reason),
        formula=back.formula,
        collected_fen=found.collected_fen,
        used_fen=back.used_principal_fen,
        penalty_due_fen=found.penalty.due_fen,
        penalty_fen=back.penalty_fen,
        refund_fen=back.refund_fen,
        refund_target_on=found.due.target_on,
        refund_latest_on=found.due.latest_on,
        interest_ppm_per_year=found.interest_ppm,
        interest_to_latest_fen=found.interest_to_latest_fen,
        lines=[
            SettlementLine(name=name, amount_fen=amount_fen, source=source)
            for name, amount_fen, source in _figures(found)
        ],
    )


def _figures(found: EndPreview) -> list[tuple[str, int, str]]:
    free = "CR-12: this reason costs nothing" if found.penalty.free else ""
    return [
        ("collected", found.collected_fen, "what came in, less what went back"),
        ("used", -found.refund.used_principal_fen, found.formula_source),
        ("unpaid_not_due", found.unpaid_fen, "CR-11: base of the tenth"),
        ("loss_documented", found.loss_fen, "CR-11: item by item, with evidence"),
        ("penalty_of_unpaid", found.penalty.of_unpaid_fen, "CR-11: at most 10 % of the unpaid"),
        ("penalty_of_loss", found.penalty.of_loss_fen, "CR-11: at most 130 % of the loss"),
        (
            "penalty",
            -found.refund.penalty_fen,
            free or "CR-11: the lower of both",
        ),
        ("refund", found.refund.refund_fen, "CT-16, CT-17: to the original route, by the last day"),
    ]
