"""Money that goes back."""

from datetime import datetime
from uuid import UUID

from services.billing.contract.api import (
    RefundFilter,
    RefundView,
)
from services.billing.deps import Deps
from services.billing.routes.table import api
from services.billing.store import refunds
from shared.web import Call, Page


@api.get("/v1/refunds", scope="billing:read", tags=("refunds",))
async def list_refunds(call: Call[Deps], query: RefundFilter) -> Page[RefundView]:
    """List refunds, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await refunds.page(
            conn,
            call.tenant_id,
            agreement_id=query.agreement_id,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[RefundView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.created_at, row.refund_id),
        view=RefundView.model_validate,
    )
