"""Changes of an agreement as billing hears them, valid by default."""

from datetime import datetime
from typing import Any
from uuid import UUID

from services.billing.domain.attempt import AttemptState
from services.signing.contract import AgreementAmended, AgreementPaused, AgreementResumed
from shared.ids import derived_id, new_id
from tests.support.billing_builders import MERCHANT, SIGNED_AT, agreement_id
from tests.support.billing_world import BillingWorld

OPEN = {AttemptState.PREPARED, AttemptState.SENT, AttemptState.UNKNOWN}


def _about(n: int, change_no: int, at: datetime) -> dict[str, Any]:
    return {
        "event_id": new_id(),
        "occurred_at": at,
        "agreement_id": agreement_id(n),
        "merchant_id": MERCHANT,
        "customer_id": derived_id("customer", n),
        "change_no": change_no,
    }


def a_pause(
    n: int = 1, *, change_no: int = 1, periods: int = 1, at: datetime = SIGNED_AT
) -> AgreementPaused:
    return AgreementPaused(**_about(n, change_no, at), periods=periods, reason="pet_sick")


def a_resumption(
    n: int = 1, *, change_no: int = 2, early: bool = True, at: datetime = SIGNED_AT
) -> AgreementResumed:
    return AgreementResumed(**_about(n, change_no, at), early=early)


def an_amendment(
    n: int = 1,
    *,
    change_no: int = 1,
    charge_day: int | None = None,
    from_seq: int | None = None,
    amount_fen: int | None = None,
    at: datetime = SIGNED_AT,
) -> AgreementAmended:
    return AgreementAmended(
        **_about(n, change_no, at),
        charge_day=charge_day,
        from_seq=from_seq,
        amount_fen=amount_fen,
        consented_at=at,
    )


async def unclear(world: BillingWorld, agreement: UUID) -> int:
    """Return how many attempts of an agreement are not settled."""
    rows = await world.instalments(agreement)
    found = [one for row in rows for one in await world.attempts(row)]
    return sum(1 for one in found if one.state in OPEN)
