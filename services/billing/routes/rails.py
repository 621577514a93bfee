"""The rails: whether they answer, and what they permit."""

from collections.abc import Sequence

from services.billing.contract.rails import ProductView, RailList, RailView
from services.billing.deps import Deps
from services.billing.domain.breaker import Breaker
from services.billing.routes.table import api
from services.billing.store import breakers
from services.billing.usecases.feel_rails import show
from shared.rails.permissions import Permission
from shared.web import Call


@api.get("/v1/rails", scope="ops:read", tags=("operations",))
async def list_rails(call: Call[Deps]) -> RailList:
    """Show each rail's breaker, as all replicas see it, and what its products permit."""
    async with call.deps.db.connection() as conn:
        known = {one.rail: one for one in await breakers.every(conn)}
    show(known)
    rows = call.deps.permissions.values()
    return RailList(
        rails=[
            _rail(known.get(rail, Breaker(rail)), [row for row in rows if row.rail == rail])
            for rail in sorted(call.deps.rails)
        ]
    )


def _rail(breaker: Breaker, rows: Sequence[Permission]) -> RailView:
    return RailView(
        rail=breaker.rail,
        state=breaker.state.value,
        failures=breaker.failures,
        opens=breaker.opens,
        opened_at=breaker.opened_at,
        until=breaker.until_at,
        reason=breaker.reason,
        products=[_product(row) for row in rows],
    )


def _product(row: Permission) -> ProductView:
    return ProductView(
        product=row.product,
        charge_days=sorted(row.charge_days),
        first_hour=row.charge_hours.first,
        last_hour=row.charge_hours.last,
        per_charge_fen=row.per_charge_fen,
        per_day_fen=row.per_day_fen,
        per_month_fen=row.per_month_fen,
        attempts_per_window=row.attempts_per_window,
        calls_per_s=row.calls_per_s,
        refund_days=row.refund.days,
        refunds_per_charge=row.refund.per_charge,
        merchant_types=sorted(row.merchant_types),
        unconfirmed=sorted(row.unconfirmed),
    )
