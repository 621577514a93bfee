"""Merchants, stores, plans, quotes and customers."""

from datetime import datetime
from uuid import UUID

from services.signing.contract import Payee
from services.signing.contract.api import (
    CustomerView,
    Decision,
    MerchantView,
    NewContact,
    NewMerchant,
    NewPlan,
    NewQuote,
    NewStore,
    PlanView,
    QuoteView,
    StoreView,
)
from services.signing.deps import Deps
from services.signing.domain.errors import (
    AmountAboveRail,
    ChargeDayNotOnRail,
    CustomerUnknown,
    MerchantDecided,
    MerchantNotApproved,
    MerchantUnknown,
    PhoneInvalid,
    PlanPublishedAlready,
    PlanUnknown,
    PublicationBlocked,
    RailNotForMerchant,
    RateAboveCap,
)
from services.signing.domain.merchant import Merchant, MerchantState, Store
from services.signing.routes.drafts import DRAFT_PROBLEMS, draft_of, known_version
from services.signing.routes.table import actor, api
from services.signing.store import merchants, plans
from services.signing.usecases.open_merchant import decide_merchant, open_store, submit_merchant
from services.signing.usecases.publish_plan import draft_plan, publish_plan, quote_plan
from services.signing.usecases.show import change_contact, show_person
from shared.sealing import mask_id_number, mask_mobile, mask_name
from shared.web import Call, Page, PageQuery


@api.post(
    "/v1/merchants",
    scope="merchants:write",
    status=201,
    tags=("merchants",),
    problems=(MerchantDecided,),
)
async def post_merchant(call: Call[Deps], body: NewMerchant) -> MerchantView:
    """Submit a merchant for review (operator)."""
    merchant = Merchant(
        merchant_id=body.merchant_id or call.new_id("merchant"),
        state=MerchantState.SUBMITTED,
        legal_name=body.legal_name,
        display_name=body.display_name,
        legal_kind=body.legal_kind,
        licence_no=body.licence_no,
        service_phone=body.service_phone,
        payees=[Payee(rail=payee.rail, payee_no=payee.payee_no) for payee in body.payees],
        created_at=call.deps.clock.now(),
    )
    call.require_tenant(merchant.merchant_id)
    async with call.deps.db.transaction() as conn:
        stands = await submit_merchant(conn, merchant, actor=actor(call))
    return MerchantView.model_validate(stands)


@api.get(
    "/v1/merchants/{merchant_id}",
    scope="merchants:read",
    tags=("merchants",),
    problems=(MerchantUnknown,),
)
async def get_merchant(call: Call[Deps], merchant_id: UUID) -> MerchantView:
    """Show a merchant; a merchant's key sees only its own."""
    _see(call, merchant_id)
    async with call.deps.db.connection() as conn:
        return MerchantView.model_validate(await merchants.read(conn, merchant_id))


@api.post(
    "/v1/merchants/{merchant_id}/approval",
    scope="merchants:decide",
    tags=("merchants",),
    problems=(MerchantUnknown, MerchantDecided),
)
async def approve(call: Call[Deps], merchant_id: UUID, body: Decision) -> MerchantView:
    """Approve a merchant (operator)."""
    return await _decide(call, merchant_id, MerchantState.APPROVED, body)


@api.post(
    "/v1/merchants/{merchant_id}/rejection",
    scope="merchants:decide",
    tags=("merchants",),
    problems=(MerchantUnknown, MerchantDecided),
)
async def reject(call: Call[Deps], merchant_id: UUID, body: Decision) -> MerchantView:
    """Reject a merchant (operator)."""
    return await _decide(call, merchant_id, MerchantState.REJECTED, body)


@api.post(
    "/v1/merchants/{merchant_id}/suspension",
    scope="merchants:decide",
    tags=("merchants",),
    problems=(MerchantUnknown, MerchantDecided),
)
async def suspend(call: Call[Deps], merchant_id: UUID, body: Decision) -> MerchantView:
    """Suspend a merchant: no new customers, no charges (operator)."""
    return await _decide(call, merchant_id, MerchantState.SUSPENDED, body)


@api.post("/v1/stores", scope="stores:write", status=201, tags=("merchants",))
async def post_store(call: Call[Deps], body: NewStore) -> StoreView:
    """Open a store."""
    store = Store(
        store_id=call.new_id("store"),
        merchant_id=call.tenant_id,
        name=body.name,
        city=body.city,
        address=body.address,
        created_at=call.deps.clock.now(),
    )
    async with call.deps.db.transaction() as conn:
        return StoreView.model_validate(await open_store(conn, store))


@api.post(
    "/v1/plans",
    scope="plans:write",
    status=201,
    tags=("plans",),
    problems=DRAFT_PROBLEMS,
)
async def post_plan(call: Call[Deps], body: NewPlan) -> PlanView:
    """Draft a new plan, as version 1."""
    draft = draft_of(body, merchant_id=call.tenant_id, plan_id=call.new_id("plan"))
    async with call.deps.db.transaction() as conn:
        await merchants.read(conn, call.tenant_id)
        plan = await draft_plan(conn, draft, new_plan=True, now=call.deps.clock.now())
    return PlanView.model_validate(plan)


@api.get("/v1/plans", scope="plans:read", tags=("plans",))
async def list_plans(call: Call[Deps], query: PageQuery) -> Page[PlanView]:
    """List the newest version of each plan."""
    async with call.deps.db.connection() as conn:
        rows = await plans.page(
            conn,
            merchant_id=call.tenant_id,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
        moments = {row.plan_id: await plans.created_at(conn, row.plan_id) for row in rows[-2:]}
    return Page[PlanView].of(
        rows,
        limit=query.limit,
        key=lambda row: (moments[row.plan_id], row.plan_id),
        view=PlanView.model_validate,
    )


@api.post(
    "/v1/plans/{plan_id}/versions",
    scope="plans:write",
    status=201,
    tags=("plans",),
    problems=(PlanUnknown, *DRAFT_PROBLEMS),
)
async def post_version(call: Call[Deps], plan_id: UUID, body: NewPlan) -> PlanView:
    """Draft the next version of a plan."""
    draft = draft_of(body, merchant_id=call.tenant_id, plan_id=plan_id)
    async with call.deps.db.transaction() as conn:
        plan = await draft_plan(conn, draft, new_plan=False, now=call.deps.clock.now())
    return PlanView.model_validate(plan)


@api.get(
    "/v1/plans/{plan_id}/versions/{version}",
    scope="plans:read",
    tags=("plans",),
    problems=(PlanUnknown,),
)
async def get_version(call: Call[Deps], plan_id: UUID, version: int) -> PlanView:
    """Show one version of a plan."""
    async with call.deps.db.connection() as conn:
        plan = await plans.read_version(
            conn, plan_id, known_version(version), merchant_id=call.tenant_id
        )
    return PlanView.model_validate(plan)


@api.post(
    "/v1/plans/{plan_id}/versions/{version}/publication",
    scope="plans:write",
    tags=("plans",),
    problems=(PlanUnknown, PlanPublishedAlready, MerchantNotApproved, PublicationBlocked),
)
async def publish(call: Call[Deps], plan_id: UUID, version: int) -> PlanView:
    """Publish a version; it never changes afterwards."""
    async with call.deps.db.transaction() as conn:
        plan = await publish_plan(
            conn,
            plan_id,
            known_version(version),
            merchant_id=call.tenant_id,
            now=call.deps.clock.now(),
        )
    return PlanView.model_validate(plan)


@api.post(
    "/v1/quotes",
    scope="quotes:write",
    status=201,
    tags=("plans",),
    problems=(PlanUnknown, ChargeDayNotOnRail, AmountAboveRail, RailNotForMerchant, RateAboveCap),
)
async def post_quote(call: Call[Deps], body: NewQuote) -> QuoteView:
    """Calculate every amount and date of a plan, and what it costs in a year."""
    quote = await quote_plan(
        call.deps.quotes,
        call.new_id("quote"),
        merchant_id=call.tenant_id,
        plan_id=body.plan_id,
        version=known_version(body.plan_version),
        rail=body.rail,
        charge_day=body.charge_day,
        now=call.deps.clock.now(),
        offers=call.deps.offers,
    )
    return QuoteView(
        quote_id=quote.quote_id,
        plan_id=body.plan_id,
        plan_version=body.plan_version,
        total_fen=quote.plan.payable_fen,
        cash_price_fen=quote.plan.cash_price_fen,
        down_payment_fen=quote.plan.down_payment_fen,
        bonus_fen=sum(part.bonus_fen for part in quote.plan.parts),
        nominal_percent=str(quote.rate.nominal_percent),
        effective_percent=str(quote.rate.effective_percent),
        overdue_penalty=quote.plan.overdue_penalty,
        instalments=quote.instalments,
    )


@api.get(
    "/v1/customers/{customer_id}",
    scope="customers:read",
    tags=("customers",),
    problems=(CustomerUnknown,),
)
async def get_customer(call: Call[Deps], customer_id: UUID) -> CustomerView:
    """Show a customer, masked."""
    async with call.deps.db.connection() as conn:
        person, changed_at = await show_person(
            conn, call.deps, customer_id, merchant_id=call.tenant_id
        )
    return CustomerView(
        customer_id=customer_id,
        name=mask_name(person.name),
        id_number=mask_id_number(person.id_number),
        phone=mask_mobile(person.phone),
        city=person.city,
        changed_at=changed_at,
    )


@api.put(
    "/v1/customers/{customer_id}/contact",
    scope="customers:write",
    tags=("customers",),
    problems=(CustomerUnknown, PhoneInvalid),
)
async def put_contact(call: Call[Deps], customer_id: UUID, body: NewContact) -> CustomerView:
    """Change a customer's phone number or address."""
    async with call.deps.db.transaction() as conn:
        await change_contact(
            conn,
            call.deps,
            customer_id,
            body.model_dump(exclude_none=True),
            merchant_id=call.tenant_id,
            now=call.deps.clock.now(),
        )
    return await get_customer(call, customer_id)


async def _decide(
    call: Call[Deps], merchant_id: UUID, to: MerchantState, body: Decision
) -> MerchantView:
    _see(call, merchant_id)
    async with call.deps.db.transaction() as conn:
        merchant = await decide_merchant(
            conn,
            merchant_id,
            to,
            actor=actor(call),
            reason=body.reason,
            now=call.deps.clock.now(),
        )
    return MerchantView.model_validate(merchant)


def _see(call: Call[Deps], merchant_id: UUID) -> None:
    """Another merchant is as good as unknown."""
    if call.caller.tenant_id not in {None, merchant_id}:
        raise MerchantUnknown("No such merchant.", merchant_id=merchant_id)
