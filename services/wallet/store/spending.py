"""What a customer's wallet was filled with and spent on: lots' credits, history, preference."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.wallet.domain.accounts import Purse
from services.wallet.domain.spending import Credit
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Spent:
    """One line of the history; a return is negative."""

    what: str
    cause_id: UUID
    amount_fen: int
    bonus_fen: int
    category: str
    at: datetime

    @property
    def tie(self) -> str:
        """Return what orders lines of one moment."""
        return f"{self.cause_id} {self.what}"


@dataclass(frozen=True, slots=True)
class Preferred:
    """What a category came to, net of what was returned."""

    category: str
    times: int
    customers: int
    amount_fen: int
    last_at: datetime


async def credits_of(conn: Connection, merchant_id: UUID, customer_id: UUID) -> list[Credit]:
    """Return everything that was ever credited to one merchant's customer, oldest first."""
    rows = await conn.fetch(
        """
        SELECT agreement_id, cause_id, kind = 'collected' AS paid, amount_fen, occurred_at
          FROM transfers
         WHERE merchant_id = $1 AND customer_id = $2 AND kind IN ('collected', 'bonus_granted')
         ORDER BY occurred_at, cause_id
        """,
        merchant_id,
        customer_id,
    )
    return [
        Credit(
            agreement_id=row["agreement_id"],
            cause_id=row["cause_id"],
            purse=Purse.PRINCIPAL if row["paid"] else Purse.BONUS,
            amount_fen=row["amount_fen"],
            credited_at=row["occurred_at"],
        )
        for row in rows
    ]


async def history(
    conn: Connection,
    merchant_id: UUID,
    customer_id: UUID,
    *,
    limit: int,
    before: tuple[datetime, str] | None,
) -> list[Spent]:
    """Return up to *limit* of what a customer spent, newest first, before *before*."""
    moment, tie = before or (None, None)
    rows = await conn.fetch(
        """
        SELECT * FROM (
               SELECT 'parcel' AS what, instalment_id AS cause_id, captured_fen AS amount_fen,
                      least(captured_fen, bonus_fen) AS bonus_fen, 'parcel' AS category,
                      closed_at AS at
                 FROM holds
                WHERE merchant_id = $1 AND customer_id = $2 AND state = 'captured'
               UNION ALL
               SELECT 'redemption', redemption_id, amount_fen, bonus_fen, category, booked_at
                 FROM redemptions
                WHERE merchant_id = $1 AND customer_id = $2 AND state <> 'short'
               UNION ALL
               SELECT 'return', redemption_id, -returned_fen, -returned_bonus_fen, category,
                      returned_at
                 FROM redemptions
                WHERE merchant_id = $1 AND customer_id = $2 AND state = 'returned') lines
         WHERE $3::timestamptz IS NULL
            OR (at, cause_id::text || ' ' || what) < ($3, $4::text)
         ORDER BY at DESC, cause_id::text || ' ' || what DESC LIMIT $5
        """,
        merchant_id,
        customer_id,
        moment,
        tie,
        limit,
    )
    return [Spent(**row) for row in rows]


async def preference(
    conn: Connection,
    merchant_id: UUID,
    *,
    customer_id: UUID | None,
    since: datetime,
    until: datetime,
) -> list[Preferred]:
    """Return what was spent by category between two moments, the most first."""
    rows = await conn.fetch(
        """
        SELECT category, count(*) AS times, count(DISTINCT customer_id) AS customers,
               sum(amount_fen)::bigint AS amount_fen, max(at) AS last_at
          FROM (SELECT customer_id, 'parcel' AS category, captured_fen AS amount_fen,
                       closed_at AS at
                  FROM holds WHERE merchant_id = $1 AND state = 'captured'
                UNION ALL
                SELECT customer_id, category, amount_fen - returned_fen, booked_at
                  FROM redemptions WHERE merchant_id = $1 AND state <> 'short') lines
         WHERE ($2::uuid IS NULL OR customer_id = $2) AND at >= $3 AND at < $4
           AND amount_fen > 0
         GROUP BY category ORDER BY sum(amount_fen) DESC, category
        """,
        merchant_id,
        customer_id,
        since,
        until,
    )
    return [Preferred(**row) for row in rows]
