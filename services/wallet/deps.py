"""What wallet needs from outside: its database, the time, and terms of business."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import orjson

from services.wallet.domain.redemption_code import RedemptionTerms
from services.wallet.gateways.institution import AdvancePartner, NoInstitution, PayoutChannel
from services.wallet.gateways.licensed_channel import LicensedChannel
from services.wallet.gateways.licensed_factor import LicensedFactor
from services.wallet.gateways.signed_json import Account, SignedJson
from services.wallet.settings import WalletSettings
from shared.clock import Clock
from shared.db import Database


@dataclass(frozen=True, slots=True)
class Deps:
    """
    Everything a use case may ask for.

    *fee_per_mille* is the platform's share of a parcel where no terms say otherwise.
    """

    db: Database
    clock: Clock
    fee_per_mille: int = 20
    supplier: str = "warehouse"
    redemption: RedemptionTerms = field(default_factory=RedemptionTerms)
    channel: PayoutChannel = field(default_factory=NoInstitution)
    partner: AdvancePartner = field(default_factory=NoInstitution)
    partner_name: str = "factor"
    supplier_account_ref: str = ""


@asynccontextmanager
async def open_deps(settings: WalletSettings, db: Database, clock: Clock) -> AsyncIterator[Deps]:
    """Yield the dependencies; refuses real institutions under a test clock."""
    urls = [url for url in (settings.payout_url, settings.factor_url) if url]
    settings.require_sandbox(*urls)
    async with aiohttp.ClientSession() as session:
        channel, partner = (
            _wire(settings, name, url, session, clock)
            for name, url in (("payout", settings.payout_url), ("factor", settings.factor_url))
        )
        yield Deps(
            db=db,
            clock=clock,
            fee_per_mille=settings.fee_per_mille,
            supplier=settings.supplier,
            redemption=settings.redemption_terms(),
            channel=LicensedChannel(channel) if channel else NoInstitution(),
            partner=LicensedFactor(partner) if partner else NoInstitution(),
            partner_name=settings.partner_name,
            supplier_account_ref=settings.supplier_account_ref,
        )


def _wire(
    settings: WalletSettings,
    name: str,
    url: str | None,
    session: aiohttp.ClientSession,
    clock: Clock,
) -> SignedJson | None:
    """Return the calls of the institution *name*; None where none is contracted."""
    if not url or settings.keys_dir is None:
        return None
    known = orjson.loads((settings.keys_dir / "secrets.json").read_bytes())
    account = Account(url.rstrip("/"), known[f"{name}_app_id"], known[f"{name}_app_secret"])
    return SignedJson(session, account, clock)
