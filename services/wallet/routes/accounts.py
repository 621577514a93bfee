"""The merchant's accounts, and what was booked for a cause."""

from uuid import UUID

from services.wallet.contract.api import (
    AccountView,
    ExplanationView,
    HoldView,
    TransferView,
)
from services.wallet.deps import Deps
from services.wallet.domain.errors import CauseUnknown
from services.wallet.routes.table import api
from services.wallet.store import accounts, holds, redemptions, transfers
from shared.web import Call, Page, PageQuery


@api.get("/v1/merchant/accounts", scope="wallet:read", tags=("accounts",))
async def list_accounts(call: Call[Deps], query: PageQuery) -> Page[AccountView]:
    """List the merchant's own accounts with their balances; customers' wallets are not."""
    last = query.after(str, str)
    async with call.deps.db.connection() as conn:
        rows = await accounts.page(
            conn, call.tenant_id, limit=query.limit + 1, after=last[1] if last else None
        )
    return Page[AccountView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.code, row.code),
        view=AccountView.model_validate,
    )


@api.get(
    "/v1/explain/{cause_id}",
    scope="wallet:read",
    tags=("accounts",),
    problems=(CauseUnknown,),
)
async def explain(call: Call[Deps], cause_id: UUID) -> ExplanationView:
    """Show all that was booked for an instalment, a hold, a redemption, a settlement, a refund."""
    async with call.deps.db.connection() as conn:
        hold = await holds.find(conn, call.tenant_id, cause_id)
        parts = await redemptions.parts_of(conn, call.tenant_id, cause_id)
        causes = {cause_id} | ({hold.instalment_id} if hold else set())
        causes |= {part.part_id for part in parts} | {part.return_id for part in parts}
        booked = await transfers.of_causes(conn, call.tenant_id, sorted(causes))
    if hold is None and not booked:
        raise CauseUnknown("Nothing was booked for this.", cause_id=str(cause_id))
    return ExplanationView(
        cause_id=cause_id,
        hold=HoldView.model_validate(hold) if hold else None,
        transfers=[TransferView.model_validate(transfer) for transfer in booked],
    )
