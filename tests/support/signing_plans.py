"""Plans of signing without a database, valid by default."""

from dataclasses import replace
from typing import Any

from services.signing.domain.offer import NO_OFFER, Part, Price, parts
from services.signing.domain.plan import LegalType, PlanKind, PlanVersion, VersionState
from shared.ids import derived_id


def a_plan(**changes: Any) -> PlanVersion:
    """Return a draft of twelve even periods of 500.00 that ships nothing."""
    total_fen = changes.pop("total_fen", 600_000)
    plan = PlanVersion(
        plan_id=derived_id("plan", 1),
        version=1,
        merchant_id=derived_id("merchant", 1),
        state=VersionState.DRAFT,
        name="安心月付",
        species="cat",
        kind=PlanKind.MONTHLY_FOOD,
        legal_type=LegalType.PREPAID,
        periods=12,
        total_fen=total_fen,
        cash_price_fen=total_fen,
        auto_ship=False,
        bundle_fen=0,
        bundles=(),
        price_card=(),
        credit_floor=550,
        use_of_money="宠粮",
        gifts="",
    )
    return replace(plan, **changes)


def plain(total_fen: int, periods: int) -> tuple[Part, ...]:
    """Return even periods without any offer."""
    return parts(Price(total_fen, total_fen, periods), NO_OFFER)


def amounts_of(text: str) -> list[int]:
    """Read ``11x41700 1x41300``."""
    pairs = [item.split("x") for item in text.split()]
    return [int(amount) for count, amount in pairs for _ in range(int(count))]
