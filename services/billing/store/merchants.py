"""Merchants: may their customers be charged, and to which account."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.billing.domain.debit_gate import MerchantFacts
from shared.db import Connection


async def approve(
    conn: Connection, merchant_id: UUID, payees: Mapping[str, str], *, told_at: datetime
) -> None:
    """Let the merchant's customers be charged to *payees*; older news changes nothing."""
    await conn.execute(
        """
        INSERT INTO merchants AS m (merchant_id, eligible, payees, told_at)
        VALUES ($1, true, $2, $3)
            ON CONFLICT (merchant_id) DO UPDATE
           SET eligible = true, payees = excluded.payees, told_at = excluded.told_at
         WHERE m.told_at <= excluded.told_at
        """,
        merchant_id,
        dict(payees),
        told_at,
    )


async def suspend(conn: Connection, merchant_id: UUID, *, told_at: datetime) -> None:
    """Let none of the merchant's customers be charged; older news changes nothing."""
    await conn.execute(
        """
        INSERT INTO merchants AS m (merchant_id, eligible, payees, told_at)
        VALUES ($1, false, '{}', $2)
            ON CONFLICT (merchant_id) DO UPDATE
           SET eligible = false, told_at = excluded.told_at
         WHERE m.told_at <= excluded.told_at
        """,
        merchant_id,
        told_at,
    )


async def note_guarantee(
    conn: Connection, merchant_id: UUID, *, sufficient: bool, told_at: datetime
) -> None:
    """Keep whether the guarantee deposit suffices, also before approval is heard."""
    await conn.execute(
        """
        INSERT INTO merchants AS m (merchant_id, eligible, payees, told_at,
                                    guarantee_sufficient, guarantee_told_at)
        VALUES ($1, false, '{}', to_timestamp(0), $2, $3)
            ON CONFLICT (merchant_id) DO UPDATE
           SET guarantee_sufficient = excluded.guarantee_sufficient,
               guarantee_told_at = excluded.guarantee_told_at
         WHERE m.guarantee_told_at IS NULL OR m.guarantee_told_at <= excluded.guarantee_told_at
        """,
        merchant_id,
        sufficient,
        told_at,
    )


async def facts(conn: Connection, merchant_ids: Sequence[UUID]) -> dict[UUID, MerchantFacts]:
    """Return what the debit gate must know of each merchant."""
    rows = await conn.fetch(
        """
        SELECT merchant_id, eligible, guarantee_sufficient, payees
          FROM merchants
         WHERE merchant_id = ANY($1::uuid[])
        """,
        merchant_ids,
    )
    return {
        row["merchant_id"]: MerchantFacts(
            row["eligible"], row["guarantee_sufficient"], row["payees"]
        )
        for row in rows
    }
