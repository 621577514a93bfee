"""A signed agreement gets an empty ledger, so that its wallet can be shown from the start."""

from collections.abc import Sequence

from services.signing.contract import AgreementSigned
from services.wallet.deps import Deps
from services.wallet.domain.ledger import Ledger
from services.wallet.store import ledgers
from shared.db import Connection


async def open_ledgers(
    conn: Connection,
    signed: Sequence[AgreementSigned],
    deps: Deps,  # noqa: ARG001
) -> None:
    """Open a ledger for each agreement; its money may have come before."""
    await ledgers.open_all(
        conn,
        [
            Ledger(
                merchant_id=event.merchant_id,
                agreement_id=event.agreement_id,
                customer_id=event.customer_id,
                rail=event.rail,
                periods=event.periods,
            )
            for event in signed
        ],
    )
