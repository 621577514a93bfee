"""Customers' wallets: balances, history, ledgers, holds."""

from datetime import datetime
from uuid import UUID

from services.wallet.contract.api import (
    AgreementMoneyView,
    HoldFilter,
    HoldView,
    LedgerView,
    SettlementView,
    TransferView,
    WalletView,
)
from services.wallet.deps import Deps
from services.wallet.domain.accounts import Purse, wallet
from services.wallet.domain.errors import LedgerUnknown, WalletUnknown
from services.wallet.domain.ledger import Ledger
from services.wallet.routes.table import api
from services.wallet.store import accounts, holds, ledgers, settlements, transfers
from shared.db import Connection
from shared.web import Call, Page, PageQuery

HOLDS_SHOWN = 200
"""How many holds a ledger shows; longer ones are read page by page at ``/v1/holds``."""


@api.get(
    "/v1/customers/{customer_id}/wallet",
    scope="wallet:read",
    tags=("wallets",),
    problems=(WalletUnknown,),
)
async def get_wallet(call: Call[Deps], customer_id: UUID) -> WalletView:
    """Show a customer's balances, and the money of each agreement."""
    codes = {purse: wallet(customer_id, purse) for purse in Purse}
    async with call.deps.db.connection() as conn:
        books = await _ledgers_of(conn, call.tenant_id, customer_id)
        balance = await accounts.balances(conn, call.tenant_id, list(codes.values()))
    return WalletView(
        customer_id=customer_id,
        principal_fen=balance.get(codes[Purse.PRINCIPAL], 0),
        bonus_fen=balance.get(codes[Purse.BONUS], 0),
        held_fen=balance.get(codes[Purse.HELD], 0),
        agreements=[AgreementMoneyView.model_validate(ledger) for ledger in books],
    )


@api.get(
    "/v1/customers/{customer_id}/transfers",
    scope="wallet:read",
    tags=("wallets",),
    problems=(WalletUnknown,),
)
async def list_transfers(
    call: Call[Deps], customer_id: UUID, query: PageQuery
) -> Page[TransferView]:
    """List a customer's transfers, newest first."""
    async with call.deps.db.connection() as conn:
        await _ledgers_of(conn, call.tenant_id, customer_id)
        rows = await transfers.of_customer(
            conn,
            call.tenant_id,
            customer_id,
            limit=query.limit + 1,
            before=query.after(datetime, str),
        )
    return Page[TransferView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.occurred_at, row.tie),
        view=TransferView.model_validate,
    )


@api.get(
    "/v1/agreements/{agreement_id}/ledger",
    scope="wallet:read",
    tags=("wallets",),
    problems=(LedgerUnknown,),
)
async def get_ledger(call: Call[Deps], agreement_id: UUID) -> LedgerView:
    """Show what became of one agreement's money, with its holds and refunds."""
    async with call.deps.db.connection() as conn:
        ledger = await ledgers.get(conn, call.tenant_id, agreement_id)
        if ledger is None:
            raise LedgerUnknown("No such agreement here.", agreement_id=str(agreement_id))
        placed = await holds.page(
            conn,
            call.tenant_id,
            agreement_id=agreement_id,
            customer_id=None,
            state=None,
            limit=HOLDS_SHOWN,
            after=None,
        )
        asked = await settlements.of_agreement(conn, call.tenant_id, agreement_id)
    return LedgerView(
        money=AgreementMoneyView.model_validate(ledger),
        customer_id=ledger.customer_id,
        rail=ledger.rail,
        holds=[HoldView.model_validate(hold) for hold in placed],
        settlements=[SettlementView.model_validate(settlement) for settlement in asked],
    )


@api.get("/v1/holds", scope="wallet:read", tags=("holds",))
async def list_holds(call: Call[Deps], query: HoldFilter) -> Page[HoldView]:
    """List holds of the merchant, in the order of their ids."""
    last = query.after(UUID, UUID)
    async with call.deps.db.connection() as conn:
        rows = await holds.page(
            conn,
            call.tenant_id,
            agreement_id=query.agreement_id,
            customer_id=query.customer_id,
            state=query.state,
            limit=query.limit + 1,
            after=last[1] if last else None,
        )
    return Page[HoldView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.hold_id, row.hold_id),
        view=HoldView.model_validate,
    )


async def _ledgers_of(conn: Connection, tenant_id: UUID, customer_id: UUID) -> list[Ledger]:
    books = await ledgers.of_customer(conn, tenant_id, customer_id)
    if not books:
        raise WalletUnknown("This customer has no wallet here.", customer_id=str(customer_id))
    return books
