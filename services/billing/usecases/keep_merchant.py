"""Merchants as signing tells of them: may they charge, and into which account."""

from services.billing.deps import Deps
from services.billing.store import merchants
from services.signing.contract import MerchantApproved, MerchantSuspended
from shared.db import Connection


async def approve_merchant(conn: Connection, approved: MerchantApproved, deps: Deps) -> None:  # noqa: ARG001
    """Keep the merchant's own accounts; told again, the newest counts."""
    payees = {payee.rail.value: payee.payee_no for payee in approved.payees}
    await merchants.approve(conn, approved.merchant_id, payees, told_at=approved.occurred_at)


async def suspend_merchant(conn: Connection, suspended: MerchantSuspended, deps: Deps) -> None:  # noqa: ARG001
    """Hold every charge of the merchant's customers."""
    await merchants.suspend(conn, suspended.merchant_id, told_at=suspended.occurred_at)
