"""An agreement was cancelled or terminated: what it has not spent is to go back."""

from services.signing.contract import AgreementCancelled, AgreementTerminated
from services.wallet.contract.states import EndedAs
from services.wallet.deps import Deps
from services.wallet.store import accounts, ledgers
from services.wallet.usecases.settle_agreements import settle_agreements
from shared.db import Connection


async def cancel_agreement(conn: Connection, event: AgreementCancelled, deps: Deps) -> None:
    """End an agreement within its cooling-off time; everything paid goes back."""
    await _end(conn, event, EndedAs.CANCELLED, 0, deps)


async def terminate_agreement(conn: Connection, event: AgreementTerminated, deps: Deps) -> None:
    """End an agreement early; the penalty is taken first, as far as there is money."""
    await _end(conn, event, EndedAs.TERMINATED, event.penalty_fen, deps)


async def _end(
    conn: Connection,
    event: AgreementCancelled | AgreementTerminated,
    ended_as: EndedAs,
    penalty_due_fen: int,
    deps: Deps,
) -> None:
    now = deps.clock.now()
    await ledgers.end(
        conn,
        merchant_id=event.merchant_id,
        agreement_id=event.agreement_id,
        customer_id=event.customer_id,
        ended_as=ended_as,
        penalty_due_fen=penalty_due_fen,
        now=now,
    )
    settled = await settle_agreements(conn, [(event.merchant_id, event.agreement_id)], now=now)
    await accounts.move(conn, settled)
