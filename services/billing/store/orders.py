"""Quotes of what is owed in all, and orders that pay several instalments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.billing.domain.errors import OrderUnknown, QuoteUnknown
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class Quote:
    """What all that is unpaid comes to; ``lines`` by instalment."""

    quote_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    lines: Sequence[Mapping[str, object]]
    total_fen: int
    quoted_at: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """Several instalments paid at once; each has a payment of its own at the rail."""

    order_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    quote_id: UUID | None
    total_fen: int
    ordered_at: datetime


async def add_quote(conn: Connection, quote: Quote) -> None:
    """Keep a quote."""
    await conn.execute(
        """
        INSERT INTO settlement_quotes (quote_id, agreement_id, merchant_id, customer_id, lines,
                                       total_fen, quoted_at, valid_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        quote.quote_id,
        quote.agreement_id,
        quote.merchant_id,
        quote.customer_id,
        list(quote.lines),
        quote.total_fen,
        quote.quoted_at,
        quote.valid_until,
    )


async def quote(conn: Connection, merchant_id: UUID, quote_id: UUID) -> Quote:
    """Return one quote of this merchant, or raise QuoteUnknown."""
    row = await conn.fetchrow(
        "SELECT * FROM settlement_quotes WHERE merchant_id = $1 AND quote_id = $2",
        merchant_id,
        quote_id,
    )
    if row is None:
        raise QuoteUnknown("No such quote.", quote_id=quote_id)
    return Quote(**row)


async def add(conn: Connection, order: Order, lines: Sequence[tuple[UUID, UUID, int, int]]) -> None:
    """Keep an order and its (instalment, attempt, seq, fen); the same again changes nothing."""
    await conn.execute(
        """
        INSERT INTO payment_orders (order_id, agreement_id, merchant_id, customer_id, quote_id,
                                    total_fen, ordered_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (order_id) DO NOTHING
        """,
        order.order_id,
        order.agreement_id,
        order.merchant_id,
        order.customer_id,
        order.quote_id,
        order.total_fen,
        order.ordered_at,
    )
    await conn.executemany(
        """
        INSERT INTO payment_order_lines (order_id, instalment_id, attempt_id, seq, amount_fen)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
        """,
        [(order.order_id, *line) for line in lines],
    )


async def read(conn: Connection, merchant_id: UUID, order_id: UUID) -> Order:
    """Return one order of this merchant, or raise OrderUnknown."""
    row = await conn.fetchrow(
        "SELECT * FROM payment_orders WHERE merchant_id = $1 AND order_id = $2",
        merchant_id,
        order_id,
    )
    if row is None:
        raise OrderUnknown("No such order.", order_id=order_id)
    return Order(**row)


async def lines(conn: Connection, order_id: UUID) -> list[Row]:
    """Return an order's payments as they stand, in order of periods."""
    return await conn.fetch(
        """
        SELECT l.instalment_id, l.seq, l.amount_fen, l.attempt_id, a.trade_no, a.state, a.rail,
               a.expires_at, coalesce(a.client, '{}'::jsonb) AS client
          FROM payment_order_lines AS l JOIN attempts AS a USING (attempt_id)
         WHERE l.order_id = $1
         ORDER BY l.seq
        """,
        order_id,
    )


async def refuse(
    conn: Connection,
    *,
    agreement_id: UUID,
    merchant_id: UUID,
    code: str,
    asked_fen: int | None,
    due_fen: int,
    now: datetime,
) -> None:
    """Keep that money was not taken, and why."""
    await conn.execute(
        """
        INSERT INTO refused_orders (agreement_id, merchant_id, code, asked_fen, due_fen,
                                    refused_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        agreement_id,
        merchant_id,
        code,
        asked_fen,
        due_fen,
        now,
    )
