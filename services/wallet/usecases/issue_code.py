"""A customer asks for a code to pay with in the shop."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from services.wallet.deps import Deps
from services.wallet.domain.errors import WalletUnknown
from services.wallet.domain.redemption_code import Code, write
from services.wallet.domain.redemption_errors import (
    AmountAboveCeiling,
    AmountInvalid,
    TooManyCodes,
)
from services.wallet.store import ledgers, shop

MINUTE: Final = timedelta(minutes=1)


async def issue_code(
    deps: Deps,
    *,
    merchant_id: UUID,
    customer_id: UUID,
    code_id: UUID,
    max_amount_fen: int | None,
) -> tuple[Code, str]:
    """
    Return a new code and the text that is shown for it; each asking gives another.

    A code reserves nothing: whether the wallet suffices is seen when it is redeemed.

    Raises:
        WalletUnknown: This customer has no wallet here.
        AmountInvalid: *max_amount_fen* is zero or below.
        AmountAboveCeiling: It is above what any redemption may take.
        TooManyCodes: The customer asked for too many within a minute.
    """
    terms, now = deps.redemption, deps.clock.now().replace(microsecond=0)
    if max_amount_fen is not None and max_amount_fen <= 0:
        raise AmountInvalid("A limit is at least one fen.", amount_fen=max_amount_fen)
    if max_amount_fen is not None and max_amount_fen > terms.ceiling_fen:
        raise AmountAboveCeiling(
            "No redemption may take so much.",
            amount_fen=max_amount_fen,
            ceiling_fen=terms.ceiling_fen,
        )
    code = Code(
        merchant_id=merchant_id,
        customer_id=customer_id,
        code_id=code_id,
        max_amount_fen=max_amount_fen or 0,
        offline_limit_fen=terms.offline_limit_fen,
        issued_at=now,
        expires_at=now + terms.valid_for,
    )
    async with deps.db.transaction() as conn:
        if not await ledgers.of_customer(conn, merchant_id, customer_id):
            raise WalletUnknown("This customer has no wallet here.", customer_id=str(customer_id))
        if not await shop.add_code(conn, code, most=terms.codes_per_minute, within=MINUTE):
            raise TooManyCodes("Too many codes within a minute.", customer_id=str(customer_id))
    return code, write(code, terms.key)
