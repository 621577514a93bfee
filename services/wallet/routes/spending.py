"""What a wallet was filled with and spent on, and the proof that its balances are true."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.wallet.contract.redemptions import (
    DifferenceView,
    LotView,
    PreferenceView,
    PreferredView,
    ProofView,
    SealView,
    Span,
    SpentView,
)
from services.wallet.deps import Deps
from services.wallet.domain.errors import WalletUnknown
from services.wallet.domain.spending import Lot, lots_of
from services.wallet.routes.table import api
from services.wallet.store import ledgers, proofs, seals, spending
from services.wallet.store.seals import Seal
from shared.calendar import at_in_china, day_in_china
from shared.web import Call, CursorInvalid, Page, PageQuery
from shared.web.models import BIGINT_MAX

YEAR: Final = timedelta(days=365)


@api.get(
    "/v1/customers/{customer_id}/lots",
    scope="wallet:read",
    tags=("wallets",),
    problems=(WalletUnknown,),
)
async def list_lots(call: Call[Deps], customer_id: UUID, query: PageQuery) -> Page[LotView]:
    """List what each instalment brought and what of it is free, in the order of use."""
    first = _number(query) or 0
    async with call.deps.db.connection() as conn:
        books = await ledgers.of_customer(conn, call.tenant_id, customer_id)
        if not books:
            raise WalletUnknown("This customer has no wallet here.", customer_id=str(customer_id))
        credits_ = await spending.credits_of(conn, call.tenant_id, customer_id)
    lots = list(enumerate(lots_of(books, credits_), start=1))
    return Page[LotView].of(
        lots[first : first + query.limit + 1],
        limit=query.limit,
        key=lambda row: (row[0], row[0]),
        view=lambda row: lot_view(row[1]),
    )


@api.get(
    "/v1/customers/{customer_id}/spending",
    scope="wallet:read",
    tags=("wallets",),
    problems=(WalletUnknown,),
)
async def list_spending(call: Call[Deps], customer_id: UUID, query: PageQuery) -> Page[SpentView]:
    """List what a customer spent on parcels and in the shop, and returned, newest first."""
    async with call.deps.db.connection() as conn:
        if not await ledgers.of_customer(conn, call.tenant_id, customer_id):
            raise WalletUnknown("This customer has no wallet here.", customer_id=str(customer_id))
        rows = await spending.history(
            conn,
            call.tenant_id,
            customer_id,
            limit=query.limit + 1,
            before=query.after(datetime, str),
        )
    return Page[SpentView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.at, row.tie),
        view=SpentView.model_validate,
    )


@api.get(
    "/v1/customers/{customer_id}/preference",
    scope="wallet:read",
    tags=("wallets",),
    problems=(WalletUnknown,),
)
async def get_preference(call: Call[Deps], customer_id: UUID, query: Span) -> PreferenceView:
    """Show on what a customer spent between two days, by category; nothing about the person."""
    async with call.deps.db.connection() as conn:
        if not await ledgers.of_customer(conn, call.tenant_id, customer_id):
            raise WalletUnknown("This customer has no wallet here.", customer_id=str(customer_id))
    return await _preference(call, customer_id, query)


@api.get("/v1/merchant/preference", scope="wallet:read", tags=("accounts",))
async def get_shop_preference(call: Call[Deps], query: Span) -> PreferenceView:
    """Show on what the merchant's customers spent between two days, by category."""
    return await _preference(call, None, query)


@api.get("/v1/merchant/proof", scope="wallet:prove", tags=("accounts",), timeout_s=55.0)
async def prove(call: Call[Deps]) -> ProofView:
    """
    Rebuild every balance from its transfers, compare, and verify the chain over them.

    All at one moment; it reads every transfer, so ask rarely.
    """
    async with (
        call.deps.db.connection() as conn,
        conn.transaction(isolation="repeatable_read", readonly=True),
    ):
        found = await proofs.differences(conn, call.tenant_id)
        found += await seals.differences(conn, call.tenant_id)
        size = await proofs.size(conn, call.tenant_id)
        head = await seals.page(conn, call.tenant_id, limit=1, before=None)
    return ProofView(
        proven=not found,
        accounts=size.accounts,
        transfers=size.transfers,
        head=_seal(head[0]) if head else None,
        differences=[
            DifferenceView(
                check=one.check,
                about=one.about,
                stands_fen=one.stands_fen,
                should_fen=one.should_fen,
            )
            for one in found
        ],
    )


@api.get("/v1/merchant/seals", scope="wallet:read", tags=("accounts",))
async def list_seals(call: Call[Deps], query: PageQuery) -> Page[SealView]:
    """List the links of the chain over the merchant's transfers, newest first."""
    before = _number(query)
    async with call.deps.db.connection() as conn:
        rows = await seals.page(conn, call.tenant_id, limit=query.limit + 1, before=before)
    return Page[SealView].of(
        rows, limit=query.limit, key=lambda row: (row.seq, row.seq), view=_seal
    )


def lot_view(lot: Lot) -> LotView:
    """Return what is shown of a lot."""
    return LotView(
        agreement_id=lot.agreement_id,
        instalment_id=lot.cause_id,
        purse=lot.purse,
        amount_fen=lot.amount_fen,
        left_fen=lot.left_fen,
        credited_at=lot.credited_at,
    )


def _number(query: PageQuery) -> int | None:
    """Return the number that the last page ended with."""
    last = query.after(int, int)
    if last is not None and not 0 <= last[1] <= BIGINT_MAX:
        raise CursorInvalid("This cursor was not made here.")
    return last[1] if last else None


def _seal(seal: Seal) -> SealView:
    return SealView(
        seq=seal.seq,
        transfers=seal.transfers,
        total_fen=seal.total_fen,
        digest=seal.digest.hex(),
        sealed_at=seal.sealed_at,
    )


async def _preference(call: Call[Deps], customer_id: UUID | None, span: Span) -> PreferenceView:
    last_day = span.last_day or day_in_china(call.deps.clock.now())
    first_day = span.first_day or last_day - YEAR
    async with call.deps.db.connection() as conn:
        rows = await spending.preference(
            conn,
            call.tenant_id,
            customer_id=customer_id,
            since=at_in_china(first_day, 0, 0),
            until=at_in_china(last_day, 0, 0) + timedelta(days=1),
        )
    return PreferenceView(categories=[PreferredView.model_validate(row) for row in rows])
