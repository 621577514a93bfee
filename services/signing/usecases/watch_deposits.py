"""A merchant without a sufficient guarantee deposit signs nobody new."""

from uuid import UUID

from services.signing.deps import Deps
from services.signing.domain.errors import GuaranteeShort
from services.signing.store import deposits
from services.wallet.contract import DepositShort, DepositSufficient
from shared.db import Connection


async def note_short(conn: Connection, told: DepositShort, deps: Deps) -> None:  # noqa: ARG001
    """Let nobody new sign until the deposit is filled up."""
    await deposits.note(conn, told.merchant_id, short=True, told_at=told.occurred_at)


async def note_sufficient(
    conn: Connection,
    told: DepositSufficient,
    deps: Deps,  # noqa: ARG001
) -> None:
    """Let customers sign again."""
    await deposits.note(conn, told.merchant_id, short=False, told_at=told.occurred_at)


async def require_deposit(conn: Connection, merchant_id: UUID) -> None:
    """
    Let a merchant with a sufficient deposit pass.

    Raises:
        GuaranteeShort: Its deposit is below what is required (rule PW-11).
    """
    if await deposits.is_short(conn, merchant_id):
        raise GuaranteeShort(
            "The merchant's guarantee deposit is too low for new signings.",
            merchant_id=str(merchant_id),
        )
