"""What billing is told about an agreement by people."""

from uuid import UUID

from services.billing.contract.api import (
    Hold,
    HoldView,
)
from services.billing.deps import Deps
from services.billing.domain.errors import (
    AgreementUnknown,
)
from services.billing.routes.table import api
from services.billing.usecases.hold_agreement import hold_agreement, release_agreement
from shared.web import Call


@api.put(
    "/v1/agreements/{agreement_id}/hold",
    scope="billing:write",
    tags=("agreements",),
    problems=(AgreementUnknown,),
)
async def put_hold(call: Call[Deps], agreement_id: UUID, body: Hold) -> HoldView:
    """Let no automatic charge of this agreement start for now."""
    async with call.deps.db.transaction() as conn:
        after = await hold_agreement(
            conn, call.tenant_id, agreement_id, body.reason, clock=call.deps.clock
        )
    return HoldView(agreement_id=agreement_id, holds=list(after.holds))


@api.post(
    "/v1/agreements/{agreement_id}/hold/release",
    scope="billing:write",
    tags=("agreements",),
    problems=(AgreementUnknown,),
)
async def release_hold(call: Call[Deps], agreement_id: UUID, body: Hold) -> HoldView:
    """Take one reason away; without any, charges go on, with notices of their own."""
    async with call.deps.db.transaction() as conn:
        after = await release_agreement(
            conn, call.tenant_id, agreement_id, body.reason, clock=call.deps.clock
        )
    return HoldView(agreement_id=agreement_id, holds=list(after.holds))
