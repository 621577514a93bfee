"""The books prove themselves: every balance, every ledger, every merchant."""

import structlog
from prometheus_client import Gauge

from services.wallet.deps import Deps
from services.wallet.store import proofs
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
    return found


async def check_invariants(deps: Deps) -> int:
    """Prove the books and tell of each difference; return how many there are."""
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
    return len(found)
