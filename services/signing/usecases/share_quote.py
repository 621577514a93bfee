"""A given quote is shared by a code, and looked at by it."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.signing.deps import Deps
from services.signing.domain.merchant import Merchant, require_approved
from services.signing.domain.shared_quote import (
    CODE_BYTES,
    SharedQuote,
    new_share,
    read_code,
    require_live,
)
from services.signing.store import quote_shares
from services.signing.store.quotes import GivenQuote
from services.signing.usecases.publish_plan import Quote, reckon
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Opened:
    """What a code opens: the quote as given, and as it stands at this moment."""

    share: SharedQuote
    merchant: Merchant
    given: GivenQuote
    quote: Quote


async def share_quote(
    conn: Connection, quote_id: UUID, *, merchant_id: UUID, days: int, now: datetime
) -> SharedQuote:
    """
    Return the code of a quote; one that lives is given again, so this repeats safely.

    Raises:
        QuoteUnknown: It is not this merchant's.
    """
    await quote_shares.lock_quote(conn, quote_id, merchant_id=merchant_id)
    live = await quote_shares.find_live(conn, quote_id, now=now)
    if live is not None:
        return live
    random = secrets.token_bytes(CODE_BYTES)
    share = new_share(random, quote_id, merchant_id=merchant_id, days=days, now=now)
    await quote_shares.add(conn, share)
    return share


async def find_share(deps: Deps, text: str, *, merchant_id: UUID | None) -> SharedQuote:
    """
    Return what a scanned code opens now; *merchant_id* None is the operator.

    Raises:
        SharedQuoteUnknown, SharedQuoteExpired: Nothing, or nothing any more.
    """
    code = read_code(text)
    async with deps.db.connection() as conn:
        share = await quote_shares.read(conn, code, merchant_id=merchant_id)
    require_live(share, now=deps.clock.now())
    return share


async def open_share(deps: Deps, text: str, *, merchant_id: UUID | None) -> Opened:
    """
    Return the quote behind a code, with the dates it would have if signed within the hour.

    Amounts are those of the published version and never change; a date that can no longer
    be kept is never shown.

    Raises:
        SharedQuoteUnknown, SharedQuoteExpired: Nothing, or nothing any more.
        MerchantNotApproved: The merchant may not sign anybody at present.
        RailNotForMerchant, ChargeDayNotOnRail, AmountAboveRail, RateAboveCap: It could be
            signed when it was given, and cannot any more.
    """
    share = await find_share(deps, text, merchant_id=merchant_id)
    async with deps.db.connection() as conn:
        given = await quote_shares.read_quote(conn, share.quote_id)
    merchant = await deps.quotes.merchant(given.merchant_id)
    require_approved(merchant)
    quote = await reckon(deps.quotes, given, now=deps.clock.now(), offers=deps.offers)
    return Opened(share, merchant, given, quote)
