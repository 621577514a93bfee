"""A merchant's guarantee deposit is a leg of the debit gate."""

from services.billing.deps import Deps
from services.billing.store import merchants
from services.wallet.contract import DepositShort, DepositSufficient
from shared.db import Connection


async def note_short(conn: Connection, told: DepositShort, deps: Deps) -> None:  # noqa: ARG001
    """Hold every charge of the merchant's customers; older news changes nothing."""
    await merchants.note_guarantee(
        conn, told.merchant_id, sufficient=False, told_at=told.occurred_at
    )


async def note_sufficient(
    conn: Connection,
    told: DepositSufficient,
    deps: Deps,  # noqa: ARG001
) -> None:
    """Let the merchant's customers be charged again; older news changes nothing."""
    await merchants.note_guarantee(
        conn, told.merchant_id, sufficient=True, told_at=told.occurred_at
    )
