"""Instalments and everything on record about them."""

from uuid import UUID

from services.billing.contract.api import (
    AttemptView,
    InstalmentView,
    MoveView,
    NoticeView,
    RefundView,
    RefusalView,
    StoryView,
)
from services.billing.deps import Deps
from services.billing.domain.errors import (
    AgreementUnknown,
    InstalmentUnknown,
)
from services.billing.routes.table import api
from services.billing.store import instalments
from services.billing.usecases.explain_instalment import explain_instalment
from shared.web import Call, Page, PageQuery


@api.get(
    "/v1/agreements/{agreement_id}/instalments",
    scope="billing:read",
    tags=("instalments",),
    problems=(AgreementUnknown,),
)
async def list_instalments(
    call: Call[Deps], agreement_id: UUID, query: PageQuery
) -> Page[InstalmentView]:
    """List an agreement's instalments in their order."""
    seen = query.after(int, str)
    async with call.deps.db.connection() as conn:
        rows = await instalments.page(
            conn,
            call.tenant_id,
            agreement_id,
            after_seq=seen[0] if seen else -1,
            limit=query.limit + 1,
        )
    if not rows and seen is None:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    return Page[InstalmentView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.seq, str(row.instalment_id)),
        view=InstalmentView.model_validate,
    )


@api.get(
    "/v1/instalments/{instalment_id}",
    scope="billing:read",
    tags=("instalments",),
    problems=(InstalmentUnknown,),
)
async def get_instalment(call: Call[Deps], instalment_id: UUID) -> InstalmentView:
    """Show one instalment."""
    async with call.deps.db.connection() as conn:
        found = await instalments.find(conn, call.tenant_id, instalment_id)
    return InstalmentView.model_validate(found)


@api.get(
    "/v1/instalments/{instalment_id}/explain",
    scope="billing:read",
    tags=("instalments",),
    problems=(InstalmentUnknown,),
)
async def explain(call: Call[Deps], instalment_id: UUID) -> StoryView:
    """Tell everything on record about one instalment: notices, refusals, attempts, refunds."""
    async with call.deps.db.connection() as conn:
        story = await explain_instalment(conn, call.tenant_id, instalment_id)
    return StoryView(
        instalment=InstalmentView.model_validate(story.instalment),
        lines=story.lines,
        notices=[NoticeView.model_validate(dict(row)) for row in story.notices],
        refusals=[RefusalView.model_validate(dict(row)) for row in story.refusals],
        attempts=[AttemptView.model_validate(one) for one in story.attempts],
        refunds=[RefundView.model_validate(one) for one in story.refunds],
        history=[MoveView.model_validate(dict(row)) for row in story.history],
    )
