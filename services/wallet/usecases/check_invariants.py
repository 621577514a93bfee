"""The books prove themselves: every balance, every ledger, every merchant."""

import structlog
from prometheus_client import Gauge

from services.wallet.deps import Deps
from services.wallet.store import proofs, seals
from services.wallet.store.proofs import Difference
from shared import metrics
from shared.db import Database

log = structlog.get_logger()

DIFFERENCES = Gauge(
    "yuefu_wallet_differences",
    "Figures in the books that disagreed when they were last proved.",
    registry=metrics.REGISTRY,
)


async def prove_balances(db: Database) -> list[Difference]:
    """Return everything that disagrees; none is the proof.  Each merchant at one moment."""
    async with db.connection() as conn:
        merchants = await proofs.merchants(conn)
        found = []
        for merchant_id in merchants:
            async with conn.transaction(isolation="repeatable_read", readonly=True):
                found += await proofs.differences(conn, merchant_id)
                found += await seals.differences(conn, merchant_id)
    return found


async def seal_transfers(deps: Deps) -> int:
    """Add a link to each merchant's chain that covers what came since the last one."""
    sealed = 0
    async with deps.db.connection() as conn:
        merchants = await seals.merchants(conn)
    for merchant_id in merchants:
        async with deps.db.transaction(quiet=True) as conn:
            sealed += await seals.seal(conn, merchant_id, now=deps.clock.now())
    log.info("transfers.sealed", transfers=sealed, merchants=len(merchants))
    return sealed


async def check_invariants(deps: Deps) -> int:
    """
    Prove the books and tell of each difference; then seal the day.  Return how many there are.

    What was sealed before is proved first, so that an error is told once more every night
    until a person has corrected it by another transfer.
    """
    found = await prove_balances(deps.db)
    DIFFERENCES.set(len(found))
    for difference in found:
        log.error(
            "invariant.broken",
            check=difference.check,
            merchant_id=str(difference.merchant_id),
            about=difference.about,
            stands_fen=difference.stands_fen,
            should_fen=difference.should_fen,
        )
    log.info("invariants.checked", differences=len(found))
    await seal_transfers(deps)
    return len(found)
