"""The table ``merchant_terms``: what was agreed with each merchant, by its first day."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import date, datetime
from uuid import UUID

from services.wallet.contract.merchant_states import BorneBy
from services.wallet.domain.merchant_terms import DatedTerms, MerchantTerms
from shared.db import Connection, Row


async def put(
    conn: Connection, merchant_id: UUID, agreed: DatedTerms, *, actor: str, now: datetime
) -> None:
    """Keep terms from a day on; those of the same day are replaced."""
    await conn.execute(
        """
        INSERT INTO merchant_terms (merchant_id, from_day, terms, actor, noted_at)
        VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (merchant_id, from_day) DO UPDATE
           SET terms = EXCLUDED.terms, actor = EXCLUDED.actor, noted_at = EXCLUDED.noted_at
        """,
        merchant_id,
        agreed.from_day,
        asdict(agreed.terms),
        actor,
        now,
    )


async def all_of(conn: Connection, merchant_id: UUID) -> list[DatedTerms]:
    """Return a merchant's terms, newest first."""
    rows = await conn.fetch(
        """
        SELECT from_day, terms FROM merchant_terms WHERE merchant_id = $1 ORDER BY from_day DESC
        """,
        merchant_id,
    )
    return [DatedTerms(row["from_day"], _terms(row)) for row in rows]


async def on_day(
    conn: Connection, merchant_ids: Collection[UUID], day: date
) -> dict[UUID, MerchantTerms]:
    """Return the terms that count on *day* of those merchants that have some."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (merchant_id) merchant_id, terms
          FROM merchant_terms
         WHERE merchant_id = ANY($1::uuid[]) AND from_day <= $2
         ORDER BY merchant_id, from_day DESC
        """,
        list(merchant_ids),
        day,
    )
    return {row["merchant_id"]: _terms(row) for row in rows}


async def merchants_on(conn: Connection, day: date) -> list[UUID]:
    """Return the merchants who have terms on *day*, in order."""
    rows = await conn.fetch(
        "SELECT DISTINCT merchant_id FROM merchant_terms WHERE from_day <= $1 ORDER BY 1", day
    )
    return [row["merchant_id"] for row in rows]


def _terms(row: Row) -> MerchantTerms:
    kept = row["terms"]
    return MerchantTerms(**{**kept, "rail_fee_borne_by": BorneBy(kept["rail_fee_borne_by"])})
