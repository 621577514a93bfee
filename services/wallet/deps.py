"""What wallet needs from outside: its database, the time, and terms of business."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.wallet.domain.redemption_code import RedemptionTerms
from services.wallet.settings import WalletSettings
from shared.clock import Clock
from shared.db import Database


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything a use case may ask for; *fee_per_mille* is the platform's share of a parcel."""

    db: Database
    clock: Clock
    fee_per_mille: int = 20
    supplier: str = "warehouse"
    redemption: RedemptionTerms = field(default_factory=RedemptionTerms)


@asynccontextmanager
async def open_deps(settings: WalletSettings, db: Database, clock: Clock) -> AsyncIterator[Deps]:
    """Yield the dependencies; there is nothing to close."""
    yield Deps(
        db=db,
        clock=clock,
        fee_per_mille=settings.fee_per_mille,
        supplier=settings.supplier,
        redemption=settings.redemption_terms(),
    )
