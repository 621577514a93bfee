"""The table ``redemption_refusals``: what was refused at the counter, to whom, and why."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refusal; nothing was taken."""

    merchant_id: UUID
    refusal_id: UUID
    refused_at: datetime
    action: str
    code: str
    detail: str
    clerk: str
    code_id: UUID | None = None
    customer_id: UUID | None = None
    redemption_id: UUID | None = None
    device_id: UUID | None = None
    amount_fen: int | None = None


async def add(conn: Connection, refusal: Refusal) -> None:
    """Write one refusal."""
    r = refusal
    await conn.execute(
        """
        INSERT INTO redemption_refusals
               (merchant_id, refusal_id, refused_at, action, code, detail, clerk, code_id,
                customer_id, redemption_id, device_id, amount_fen)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        r.merchant_id,
        r.refusal_id,
        r.refused_at,
        r.action,
        r.code,
        r.detail,
        r.clerk,
        r.code_id,
        r.customer_id,
        r.redemption_id,
        r.device_id,
        r.amount_fen,
    )


async def page(
    conn: Connection, merchant_id: UUID, *, limit: int, before: tuple[datetime, UUID] | None
) -> list[Refusal]:
    """Return up to *limit* of a merchant's refusals, newest first, older than *before*."""
    moment, tie = before or (None, None)
    rows = await conn.fetch(
        """
        SELECT * FROM redemption_refusals
         WHERE merchant_id = $1
           AND ($2::timestamptz IS NULL OR (refused_at, refusal_id) < ($2, $3::uuid))
         ORDER BY refused_at DESC, refusal_id DESC LIMIT $4
        """,
        merchant_id,
        moment,
        tie,
        limit,
    )
    return [Refusal(**row) for row in rows]
