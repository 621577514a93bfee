"""Quotes given; what many requests ask at the same time is read and written together."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.signing.contract import Rail
from services.signing.domain.errors import MerchantUnknown
from services.signing.domain.merchant import Merchant
from services.signing.domain.plan import PlanVersion
from services.signing.store import merchants, plans
from shared.db import Database
from shared.together import Together

REMEMBERED_MAX: Final = 1000
"""How many published versions are kept in mind."""


@dataclass(frozen=True, slots=True)
class GivenQuote:
    """A quote as it is remembered."""

    quote_id: UUID
    merchant_id: UUID
    plan_id: UUID
    plan_version: int
    rail: Rail
    charge_day: int
    quoted_at: datetime


class QuoteBook:
    """
    The busiest table of signing, and what a quote is calculated from.

    Each scan of a shop's code asks for one.  Published versions never change, so they are
    read once; merchants do.
    """

    def __init__(self, db: Database) -> None:
        """Open no connection of one's own; each batch borrows one of *db*."""
        self._db = db
        self._plans: OrderedDict[tuple[UUID, UUID, int], PlanVersion] = OrderedDict()
        self._merchants: Together[UUID, Merchant | None] = Together(self._read_merchants)
        self._quotes: Together[GivenQuote, None] = Together(self._write)

    async def merchant(self, merchant_id: UUID) -> Merchant:
        """Return one merchant as it is now, or raise MerchantUnknown."""
        merchant = await self._merchants.add(merchant_id)
        if merchant is None:
            raise MerchantUnknown("No such merchant.", merchant_id=merchant_id)
        return merchant

    async def plan(self, plan_id: UUID, version: int, *, merchant_id: UUID) -> PlanVersion:
        """Return a published version of this merchant's plan, or raise PlanUnknown."""
        key = (merchant_id, plan_id, version)
        plan = self._plans.get(key)
        if plan is None:
            async with self._db.connection() as conn:
                plan = await plans.read_published(conn, plan_id, version, merchant_id=merchant_id)
            self._plans[key] = plan
        self._plans.move_to_end(key)
        if len(self._plans) > REMEMBERED_MAX:
            self._plans.popitem(last=False)
        return plan

    async def add(self, quote: GivenQuote) -> None:
        """Remember *quote*; repeats safely."""
        await self._quotes.add(quote)

    async def _read_merchants(self, merchant_ids: Sequence[UUID]) -> list[Merchant | None]:
        async with self._db.connection() as conn:
            known = await merchants.find_many(conn, set(merchant_ids))
        return [known.get(merchant_id) for merchant_id in merchant_ids]

    async def _write(self, quotes: Sequence[GivenQuote]) -> list[None]:
        async with self._db.connection() as conn:
            await conn.execute(
                """
                INSERT INTO quotes (quote_id, merchant_id, plan_id, plan_version, rail,
                                    charge_day, quoted_at)
                SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[],
                                     $5::text[], $6::smallint[], $7::timestamptz[])
                    ON CONFLICT DO NOTHING
                """,
                [quote.quote_id for quote in quotes],
                [quote.merchant_id for quote in quotes],
                [quote.plan_id for quote in quotes],
                [quote.plan_version for quote in quotes],
                [quote.rail for quote in quotes],
                [quote.charge_day for quote in quotes],
                [quote.quoted_at for quote in quotes],
            )
        return [None] * len(quotes)
