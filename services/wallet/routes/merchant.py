"""A merchant's money: how it stands, its payouts and advances; and what the operator agrees."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from services.wallet.contract.merchant import (
    AccountBody,
    AdvanceBody,
    AdvanceView,
    DepositBody,
    GuaranteeBody,
    MoneyEntryView,
    MoneyView,
    NewTermsBody,
    PayoutView,
    TermsBody,
    TermsListView,
    TermsView,
)
from services.wallet.deps import Deps
from services.wallet.domain import errors as no
from services.wallet.domain.merchant_terms import DatedTerms, MerchantTerms
from services.wallet.routes.table import api
from services.wallet.store import advances, merchant_money, merchant_terms, payouts
from services.wallet.usecases import keep_merchant
from services.wallet.usecases.settle_merchants import position_of
from services.wallet.usecases.take_advances import draw_advance, quote_advance
from shared.web import Call, Page, PageQuery


@api.put(
    "/v1/merchants/{merchant_id}/terms",
    scope="wallet:operate",
    tags=("merchants",),
    problems=(no.TermsInPast, no.OperatorNeeded),
)
async def put_terms(call: Call[Deps], merchant_id: UUID, body: NewTermsBody) -> TermsListView:
    """Agree terms with a merchant from a day on; repeating it replaces those of that day."""
    terms = MerchantTerms(**body.model_dump(exclude={"from_day"}))
    agreed = DatedTerms(body.from_day, terms)
    await keep_merchant.agree_terms(call.deps, merchant_id, agreed, actor=_operator(call))
    return await _terms(call, merchant_id)


@api.get("/v1/merchant/terms", scope="wallet:read", tags=("merchants",))
async def list_terms(call: Call[Deps]) -> TermsListView:
    """List all terms of the merchant, newest first."""
    return await _terms(call, call.tenant_id)


@api.put(
    "/v1/merchants/{merchant_id}/payout-account",
    scope="wallet:operate",
    tags=("merchants",),
    problems=(no.OperatorNeeded,),
)
async def put_payout_account(call: Call[Deps], merchant_id: UUID, body: AccountBody) -> MoneyView:
    """Say where payouts of a merchant go, by the channel's token of its own account."""
    await keep_merchant.set_account(
        call.deps,
        merchant_id,
        account_ref=body.account_ref,
        bank=body.bank,
        tail=body.tail,
        actor=_operator(call),
    )
    return await _money(call, merchant_id)


@api.post(
    "/v1/merchants/{merchant_id}/guarantee/deposits",
    scope="wallet:operate",
    status=201,
    tags=("merchants",),
    problems=(no.OperatorNeeded,),
)
async def post_deposit(call: Call[Deps], merchant_id: UUID, body: DepositBody) -> MoneyView:
    """Book what a merchant paid into the supervised account as its deposit."""
    await keep_merchant.deposit(
        call.deps,
        merchant_id,
        call.new_id("deposit"),
        body.amount_fen,
        reference=body.reference,
        actor=_operator(call),
    )
    return await _money(call, merchant_id)


@api.post(
    "/v1/merchants/{merchant_id}/guarantee/freed",
    scope="wallet:operate",
    status=201,
    tags=("merchants",),
    problems=(no.OperatorNeeded, no.GuaranteeWithdrawal),
)
async def post_freed(call: Call[Deps], merchant_id: UUID, body: GuaranteeBody) -> MoneyView:
    """Make payable what the deposit has beyond what is required."""
    await keep_merchant.free(
        call.deps, merchant_id, call.new_id("freed"), body.amount_fen, actor=_operator(call)
    )
    return await _money(call, merchant_id)


@api.post(
    "/v1/merchants/{merchant_id}/guarantee/used",
    scope="wallet:operate",
    status=201,
    tags=("merchants",),
    problems=(no.OperatorNeeded, no.GuaranteeUnneeded),
)
async def post_used(call: Call[Deps], merchant_id: UUID, body: GuaranteeBody) -> MoneyView:
    """Cover what a merchant owes from its deposit."""
    await keep_merchant.use(
        call.deps,
        merchant_id,
        call.new_id("used"),
        body.amount_fen,
        reason=body.reason,
        actor=_operator(call),
    )
    return await _money(call, merchant_id)


@api.get("/v1/merchant/money", scope="wallet:read", tags=("merchants",))
async def get_money(call: Call[Deps]) -> MoneyView:
    """Show how the merchant's money stands."""
    return await _money(call, call.tenant_id)


@api.get("/v1/merchant/money-history", scope="wallet:read", tags=("merchants",))
async def list_money_history(call: Call[Deps], query: PageQuery) -> Page[MoneyEntryView]:
    """List what was decided and refused about the merchant's money, newest first."""
    async with call.deps.db.connection() as conn:
        rows = await merchant_money.history(
            conn, call.tenant_id, limit=query.limit + 1, before=query.after(datetime, UUID)
        )
    return Page[MoneyEntryView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.noted_at, row.entry_id),
        view=MoneyEntryView.model_validate,
    )


@api.get("/v1/payouts", scope="wallet:read", tags=("payouts",))
async def list_payouts(call: Call[Deps], query: PageQuery) -> Page[PayoutView]:
    """List the merchant's payouts, newest first."""
    async with call.deps.db.connection() as conn:
        rows = await payouts.page(
            conn, call.tenant_id, limit=query.limit + 1, before=query.after(datetime, UUID)
        )
    return Page[PayoutView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.created_at, row.payout_id),
        view=PayoutView.model_validate,
    )


@api.get(
    "/v1/payouts/{payout_id}",
    scope="wallet:read",
    tags=("payouts",),
    problems=(no.PayoutUnknown,),
)
async def get_payout(call: Call[Deps], payout_id: UUID) -> PayoutView:
    """Show one payout."""
    async with call.deps.db.connection() as conn:
        found = await payouts.get(conn, call.tenant_id, payout_id)
    if found is None:
        raise no.PayoutUnknown("No such payout.", payout_id=str(payout_id))
    return PayoutView.model_validate(found)


@api.post(
    "/v1/advances",
    scope="wallet:advance",
    status=201,
    tags=("advances",),
    problems=(no.AdvanceNotCovered, no.AdvanceRefused, no.PartnerUnclear),
)
async def post_advance(call: Call[Deps], body: AdvanceBody) -> AdvanceView:
    """Ask the licensed partner for an offer on what was delivered and is not paid out yet."""
    advance = await quote_advance(
        call.deps,
        call.tenant_id,
        call.new_id("advance"),
        body.amount_fen,
        actor=call.caller.key_id,
    )
    return AdvanceView.model_validate(advance)


@api.post(
    "/v1/advances/{advance_id}/draw",
    scope="wallet:advance",
    tags=("advances",),
    problems=(no.AdvanceUnknown, no.AdvanceNotOpen, no.AdvanceNotCovered),
)
async def post_draw(call: Call[Deps], advance_id: UUID) -> AdvanceView:
    """Take an offer; the partner pays the merchant itself."""
    advance = await draw_advance(call.deps, call.tenant_id, advance_id, actor=call.caller.key_id)
    return AdvanceView.model_validate(advance)


@api.get("/v1/advances", scope="wallet:read", tags=("advances",))
async def list_advances(call: Call[Deps], query: PageQuery) -> Page[AdvanceView]:
    """List the merchant's advances, newest first."""
    async with call.deps.db.connection() as conn:
        rows = await advances.page(
            conn, call.tenant_id, limit=query.limit + 1, before=query.after(datetime, UUID)
        )
    return Page[AdvanceView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.asked_at, row.advance_id),
        view=AdvanceView.model_validate,
    )


@api.get(
    "/v1/advances/{advance_id}",
    scope="wallet:read",
    tags=("advances",),
    problems=(no.AdvanceUnknown,),
)
async def get_advance(call: Call[Deps], advance_id: UUID) -> AdvanceView:
    """Show one advance."""
    async with call.deps.db.connection() as conn:
        found = await advances.get(conn, call.tenant_id, advance_id)
    if found is None:
        raise no.AdvanceUnknown("No such advance.", advance_id=str(advance_id))
    return AdvanceView.model_validate(found)


def _operator(call: Call[Deps]) -> str:
    """Return who acts, if it is the platform itself."""
    if call.caller.tenant_id is not None:
        raise no.OperatorNeeded("Terms and deposits are the platform's to set.")
    return call.caller.key_id


async def _terms(call: Call[Deps], merchant_id: UUID) -> TermsListView:
    async with call.deps.db.connection() as conn:
        known = await merchant_terms.all_of(conn, merchant_id)
    return TermsListView(
        items=[
            TermsView(from_day=one.from_day, terms=TermsBody(**asdict(one.terms))) for one in known
        ]
    )


async def _money(call: Call[Deps], merchant_id: UUID) -> MoneyView:
    async with call.deps.db.transaction(quiet=True) as conn:
        money = await merchant_money.get(conn, merchant_id)
        position = await position_of(conn, money, call.deps)
    return MoneyView(
        payable_fen=position.payable_fen,
        stated_fen=position.stated_fen,
        undelivered_fen=position.undelivered_fen,
        delivered_fen=position.delivered_fen,
        free_fen=position.free_fen,
        supervised_fen=position.supervised_fen,
        guarantee_fen=position.guarantee_fen,
        guarantee_required_fen=money.guarantee_required_fen,
        guarantee_short=money.guarantee_short,
        advance_fen=position.advance_fen,
        account_bank=money.account_bank,
        account_tail=money.account_tail,
    )
