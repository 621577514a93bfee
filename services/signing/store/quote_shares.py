"""Quotes that can be looked at by a code."""

from datetime import datetime
from uuid import UUID

from services.signing.contract import Rail
from services.signing.domain.errors import QuoteUnknown, SharedQuoteUnknown
from services.signing.domain.shared_quote import SharedQuote
from services.signing.store.quotes import GivenQuote
from shared.db import Connection, Row


async def lock_quote(conn: Connection, quote_id: UUID, *, merchant_id: UUID) -> GivenQuote:
    """Lock a quote of this merchant, so that it is shared once at a time, or QuoteUnknown."""
    row = await conn.fetchrow(
        "SELECT * FROM quotes WHERE quote_id = $1 AND merchant_id = $2 FOR UPDATE",
        quote_id,
        merchant_id,
    )
    if row is None:
        raise QuoteUnknown("No such quote.", quote_id=quote_id)
    return _given(row)


async def find_live(conn: Connection, quote_id: UUID, *, now: datetime) -> SharedQuote | None:
    """Return the code of a quote that lives longest, if one lives."""
    row = await conn.fetchrow(
        """
        SELECT * FROM quote_shares
         WHERE quote_id = $1 AND expires_at > $2
         ORDER BY expires_at DESC
         LIMIT 1
        """,
        quote_id,
        now,
    )
    return None if row is None else SharedQuote(**row)


async def add(conn: Connection, share: SharedQuote) -> None:
    """Add a code."""
    await conn.execute(
        """
        INSERT INTO quote_shares (code, quote_id, merchant_id, shared_at, expires_at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        share.code,
        share.quote_id,
        share.merchant_id,
        share.shared_at,
        share.expires_at,
    )


async def read(conn: Connection, code: str, *, merchant_id: UUID | None) -> SharedQuote:
    """
    Return what a code opens, whether it lives or not; *merchant_id* None is the operator.

    Raises:
        SharedQuoteUnknown: Nothing of this merchant's.
    """
    row = await conn.fetchrow(
        """
        SELECT * FROM quote_shares
         WHERE code = $1 AND ($2::uuid IS NULL OR merchant_id = $2)
        """,
        code,
        merchant_id,
    )
    if row is None:
        raise SharedQuoteUnknown("No such shared quote.")
    return SharedQuote(**row)


async def read_quote(conn: Connection, quote_id: UUID) -> GivenQuote:
    """Return a quote that exists."""
    row = await conn.fetchrow("SELECT * FROM quotes WHERE quote_id = $1", quote_id)
    if row is None:
        raise QuoteUnknown("No such quote.", quote_id=quote_id)
    return _given(row)


def _given(row: Row) -> GivenQuote:
    return GivenQuote(**{**row, "rail": Rail(row["rail"])})
