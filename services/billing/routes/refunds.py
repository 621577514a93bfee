"""Money that goes back."""

from datetime import datetime
from uuid import UUID

from services.billing.contract.api import (
    RefundFilter,
    RefundView,
)
from services.billing.contract.dunning import Retry
from services.billing.deps import Deps
from services.billing.domain.errors import (
    RefundAboveRest,
    RefundDone,
    RefundPartsExhausted,
    RefundUnknown,
    RefundWindowOver,
)
from services.billing.routes.table import api
from services.billing.store import refunds
from services.billing.usecases.retry_refund import retry_refund
from shared.web import Call, Page


@api.get("/v1/refunds", scope="billing:read", tags=("refunds",))
async def list_refunds(call: Call[Deps], query: RefundFilter) -> Page[RefundView]:
    """List refunds, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await refunds.page(
            conn,
            call.tenant_id,
            agreement_id=query.agreement_id,
            state=query.state,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[RefundView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.created_at, row.refund_id),
        view=RefundView.model_validate,
    )


@api.get(
    "/v1/refunds/{refund_id}",
    scope="billing:read",
    tags=("refunds",),
    problems=(RefundUnknown,),
)
async def get_refund(call: Call[Deps], refund_id: UUID) -> RefundView:
    """Show one refund."""
    async with call.deps.db.connection() as conn:
        found = await refunds.find(conn, call.tenant_id, refund_id)
    return RefundView.model_validate(found)


@api.post(
    "/v1/refunds/{refund_id}/retry",
    scope="billing:write",
    tags=("refunds",),
    problems=(
        RefundUnknown,
        RefundDone,
        RefundAboveRest,
        RefundWindowOver,
        RefundPartsExhausted,
    ),
)
async def retry(call: Call[Deps], refund_id: UUID, body: Retry) -> RefundView:
    """Try a refund again under its own number, e.g. after the account was funded."""
    after = await retry_refund(call.deps, call.tenant_id, refund_id, by=body.recorded_by)
    return RefundView.model_validate(after)
