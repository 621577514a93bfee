"""Quotes by their code, lists of treatments, and estimates of them."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import StringConstraints

from services.signing.contract import SignedInstalment
from services.signing.contract.quotes import (
    CapView,
    EstimateQuery,
    EstimateView,
    ImageQuery,
    InsuranceView,
    NewProcedurePrice,
    NewShare,
    OutcomeView,
    ProcedurePriceView,
    SharedQuoteView,
    ShareView,
    TermsView,
)
from services.signing.deps import Deps
from services.signing.domain.annual_rate import AnnualRate
from services.signing.domain.errors import (
    AmountAboveRail,
    ChargeDayNotOnRail,
    MerchantNotApproved,
    MerchantUnknown,
    PlanInvalid,
    PlanNotMedical,
    PlanUnknown,
    ProcedurePriceInvalid,
    ProcedureUnknown,
    QuoteUnknown,
    RailNotForMerchant,
    RateAboveCap,
    SharedQuoteExpired,
    SharedQuoteUnknown,
)
from services.signing.domain.medical_estimate import (
    Outcome,
    ProcedurePrice,
    Terms,
    require_ordered,
)
from services.signing.domain.plan import PlanVersion
from services.signing.domain.rate_cap import lender_of, rate_cap
from services.signing.domain.shared_quote import SharedQuote, image_cached_s
from services.signing.gateways.qr_code import qr_png, qr_svg
from services.signing.routes.table import api
from services.signing.store import merchants, procedure_prices
from services.signing.usecases.estimate_treatment import Asked, estimate_treatment
from services.signing.usecases.share_quote import find_share, open_share, share_quote
from shared.calendar import day_in_china
from shared.web import Call, Page, PageQuery, Raw

Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]

_CODE: Final = (SharedQuoteUnknown, SharedQuoteExpired)
_UNSIGNABLE: Final = (RailNotForMerchant, ChargeDayNotOnRail, AmountAboveRail, RateAboveCap)


@api.post(
    "/v1/quotes/{quote_id}/share",
    scope="quotes:write",
    status=201,
    tags=("quotes",),
    problems=(QuoteUnknown,),
)
async def post_share(call: Call[Deps], quote_id: UUID, body: NewShare) -> ShareView:
    """Share a quote by a code; while one lives, asking again gives the same."""
    async with call.deps.db.transaction() as conn:
        share = await share_quote(
            conn,
            quote_id,
            merchant_id=call.tenant_id,
            days=body.days,
            now=call.deps.clock.now(),
        )
    path = f"/v1/shared-quotes/{share.code}"
    return ShareView(
        code=share.code,
        quote_id=share.quote_id,
        url=_url(call, share),
        svg_path=f"{path}/qr.svg",
        png_path=f"{path}/qr.png",
        shared_at=share.shared_at,
        expires_at=share.expires_at,
    )


@api.get(
    "/v1/shared-quotes/{code}",
    scope="quotes:read",
    tags=("quotes",),
    problems=(*_CODE, MerchantNotApproved, *_UNSIGNABLE),
)
async def get_shared_quote(call: Call[Deps], code: str) -> SharedQuoteView:
    """Show the quote behind a scanned code: every amount and date, and the cost in a year."""
    opened = await open_share(call.deps, code, merchant_id=call.caller.tenant_id)
    now, given, plan = call.deps.clock.now(), opened.given, opened.quote.plan
    return SharedQuoteView(
        code=opened.share.code,
        expires_at=opened.share.expires_at,
        quoted_at=given.quoted_at,
        reckoned_at=now,
        merchant_name=opened.merchant.display_name,
        plan_id=given.plan_id,
        plan_version=given.plan_version,
        plan_name=plan.name,
        kind=plan.kind,
        legal_type=plan.legal_type,
        periods=plan.periods,
        rail=given.rail,
        charge_day=given.charge_day,
        cap=_cap(call, plan),
        **_figures(plan, opened.quote.instalments, opened.quote.rate),
    )


@api.get(
    "/v1/shared-quotes/{code}/qr.svg",
    scope="quotes:read",
    tags=("quotes",),
    problems=_CODE,
)
async def get_qr_svg(call: Call[Deps], code: str) -> Raw:
    """Fetch the code's address as a QR code, SVG."""
    share = await find_share(call.deps, code, merchant_id=call.caller.tenant_id)
    return Raw("image/svg+xml", qr_svg(_url(call, share)), cached_s=_cached_s(call, share))


@api.get(
    "/v1/shared-quotes/{code}/qr.png",
    scope="quotes:read",
    tags=("quotes",),
    problems=_CODE,
)
async def get_qr_png(call: Call[Deps], code: str, query: ImageQuery) -> Raw:
    """Fetch the code's address as a QR code, PNG."""
    share = await find_share(call.deps, code, merchant_id=call.caller.tenant_id)
    image = qr_png(_url(call, share), module_px=query.module_px)
    return Raw("image/png", image, cached_s=_cached_s(call, share))


@api.put(
    "/v1/procedure-prices/{procedure}/{species}",
    scope="plans:write",
    tags=("treatments",),
    problems=(MerchantUnknown, ProcedurePriceInvalid),
)
async def put_procedure_price(
    call: Call[Deps], procedure: Word, species: Word, body: NewProcedurePrice
) -> ProcedurePriceView:
    """Put a treatment on the merchant's own list, or change its prices."""
    price = ProcedurePrice(
        merchant_id=call.tenant_id,
        procedure=procedure,
        species=species,
        changed_at=call.deps.clock.now(),
        **body.model_dump(),
    )
    require_ordered(price)
    async with call.deps.db.transaction() as conn:
        await merchants.read(conn, call.tenant_id)
        return ProcedurePriceView.model_validate(await procedure_prices.put(conn, price))


@api.get("/v1/procedure-prices", scope="plans:read", tags=("treatments",))
async def list_procedure_prices(call: Call[Deps], query: PageQuery) -> Page[ProcedurePriceView]:
    """List the merchant's treatments by procedure and species."""
    async with call.deps.db.connection() as conn:
        rows = await procedure_prices.page(
            conn, merchant_id=call.tenant_id, after=query.after(str, str), limit=query.limit + 1
        )
    return Page[ProcedurePriceView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.procedure, row.species),
        view=ProcedurePriceView.model_validate,
    )


@api.get(
    "/v1/procedure-prices/{procedure}/{species}",
    scope="plans:read",
    tags=("treatments",),
    problems=(ProcedureUnknown,),
)
async def get_procedure_price(
    call: Call[Deps], procedure: Word, species: Word
) -> ProcedurePriceView:
    """Show one treatment of the merchant's list."""
    async with call.deps.db.connection() as conn:
        price = await procedure_prices.read(conn, procedure, species, merchant_id=call.tenant_id)
    return ProcedurePriceView.model_validate(price)


@api.delete(
    "/v1/procedure-prices/{procedure}/{species}",
    scope="plans:write",
    tags=("treatments",),
    problems=(ProcedureUnknown,),
)
async def delete_procedure_price(call: Call[Deps], procedure: Word, species: Word) -> None:
    """Take a treatment off the merchant's list."""
    async with call.deps.db.transaction() as conn:
        await procedure_prices.remove(conn, procedure, species, merchant_id=call.tenant_id)


@api.get(
    "/v1/medical-estimate",
    scope="quotes:read",
    tags=("treatments",),
    problems=(
        ProcedureUnknown,
        PlanUnknown,
        MerchantUnknown,
        PlanNotMedical,
        PlanInvalid,
        *_UNSIGNABLE,
    ),
)
async def get_medical_estimate(call: Call[Deps], query: EstimateQuery) -> EstimateView:
    """Estimate a treatment in periods, low, likely and high, without and with insurance."""
    asked = Asked(**dict(query))
    made = await estimate_treatment(call.deps, asked, merchant_id=call.tenant_id)
    return EstimateView(
        **dict(query),
        name=made.price.name,
        priced_at=made.price.changed_at,
        plan_name=made.plan.name,
        periods=made.plan.periods,
        cap=_cap(call, made.plan),
        outcomes=[_outcome(one, made.price.insurance_per_mille) for one in made.outcomes],
    )


def _url(call: Call[Deps], share: SharedQuote) -> str:
    return call.deps.quote_url_base + share.code


def _cached_s(call: Call[Deps], share: SharedQuote) -> int:
    return image_cached_s(share, now=call.deps.clock.now())


def _cap(call: Call[Deps], plan: PlanVersion) -> CapView:
    today = day_in_china(call.deps.clock.now())
    return CapView.model_validate(rate_cap(lender_of(plan.legal_type), signed_on=today))


def _outcome(one: Outcome, per_mille: int | None) -> OutcomeView:
    insurance = None
    if one.insured is not None and per_mille is not None:
        own = one.insured.terms
        insurance = InsuranceView(
            per_mille=per_mille,
            covered_fen=one.insured.covered_fen,
            own_fen=one.insured.own_fen,
            terms=None if own is None else _terms(own),
        )
    return OutcomeView(
        likelihood=one.likelihood.value,
        cost_fen=one.cost_fen,
        terms=_terms(one.terms),
        insurance=insurance,
    )


def _terms(terms: Terms) -> TermsView:
    return TermsView(score=terms.score, **_figures(terms.plan, terms.instalments, terms.rate))


def _figures(
    plan: PlanVersion, instalments: list[SignedInstalment], rate: AnnualRate
) -> dict[str, Any]:
    """Return what a ``FiguresView`` shows."""
    return {
        "total_fen": plan.payable_fen,
        "cash_price_fen": plan.cash_price_fen,
        "down_payment_fen": plan.down_payment_fen,
        "interest_fen": plan.interest_fen,
        "bonus_fen": sum(part.bonus_fen for part in plan.parts),
        "nominal_percent": str(rate.nominal_percent),
        "effective_percent": str(rate.effective_percent),
        "overdue_penalty": plan.overdue_penalty,
        "instalments": instalments,
    }
