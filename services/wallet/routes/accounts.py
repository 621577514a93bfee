"""The merchant's accounts, and what was booked for a cause."""

from uuid import UUID

from services.wallet.contract.api import (
    AccountView,
    ExplanationView,
    HoldView,
    SettlementView,
    StatementLineView,
    TransferView,
)
from services.wallet.contract.redemptions import RedemptionView
from services.wallet.deps import Deps
from services.wallet.domain.errors import CauseUnknown
from services.wallet.routes.spending import lot_view
from services.wallet.routes.table import api
from services.wallet.store import accounts
from services.wallet.usecases.explain_cause import explain_cause
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
        found = await explain_cause(conn, call.tenant_id, cause_id)
    return ExplanationView(
        cause_id=cause_id,
        hold=HoldView.model_validate(found.hold) if found.hold else None,
        redemption=RedemptionView.model_validate(found.redemption) if found.redemption else None,
        settlement=SettlementView.model_validate(found.settlement) if found.settlement else None,
        lots=[lot_view(lot) for lot in found.lots],
        transfers=[TransferView.model_validate(one) for one in found.transfers],
        statement_lines=[StatementLineView.model_validate(dict(row)) for row in found.lines],
    )
