"""The tables ``statements`` and ``statement_lines``: written once, never changed."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Final
from uuid import UUID

from services.wallet.contract.merchant_states import StatementPeriod
from services.wallet.contract.states import TransferKind
from services.wallet.domain.statement import INTERNAL, Figures, Statement, Sums
from services.wallet.domain.transfer import Transfer
from shared.db import Connection, Row

_OPEN: Final = """
      FROM transfers t
     WHERE t.occurred_at >= $2 AND t.occurred_at < $3 AND t.kind <> ALL($1::text[])
       AND NOT EXISTS (SELECT FROM statement_lines l
                        WHERE l.merchant_id = t.merchant_id AND l.cause_id = t.cause_id
                          AND l.kind = t.kind)
"""
"""Transfers that stand in no statement; given a start, because older ones all do."""

_SUMS: Final = """
    SELECT t.kind, count(*) AS transfers,
           sum(CASE WHEN (t.kind = 'rail_fee' AND t.credit_account LIKE 'rail\\_fee:%')
                    THEN -amount_fen ELSE amount_fen END)::bigint AS net,
           sum(CASE WHEN debit_account LIKE 'wallet:%' THEN amount_fen
                    WHEN credit_account LIKE 'wallet:%' THEN -amount_fen ELSE 0 END)::bigint
               AS wallet,
           sum(CASE 'merchant:payable' WHEN credit_account THEN amount_fen
                    WHEN debit_account THEN -amount_fen ELSE 0 END)::bigint AS payable,
           sum(CASE 'platform:fee' WHEN credit_account THEN amount_fen
                    WHEN debit_account THEN -amount_fen ELSE 0 END)::bigint AS fee,
           sum(CASE WHEN credit_account LIKE 'supplier:%' THEN amount_fen
                    WHEN debit_account LIKE 'supplier:%' THEN -amount_fen ELSE 0 END)::bigint
               AS supply
"""
LINE_TEXT: Final = """
    concat_ws('|', t.cause_id, t.kind, t.debit_account, t.credit_account, t.amount_fen,
              t.customer_id, t.agreement_id, t.trade_no, extract(epoch FROM t.occurred_at))
"""


async def days_open(
    conn: Connection, *, since: datetime, until: datetime
) -> list[tuple[date, UUID]]:
    """Return the days (in China) and merchants of transfers that stand in no statement."""
    rows = await conn.fetch(
        f"""
        SELECT DISTINCT (t.occurred_at AT TIME ZONE 'Asia/Shanghai')::date AS day, t.merchant_id
        {_OPEN} ORDER BY 1, 2
        """,
        INTERNAL,
        since,
        until,
    )
    return [(row["day"], row["merchant_id"]) for row in rows]


async def open_sums(
    conn: Connection, merchant_id: UUID, *, since: datetime, until: datetime
) -> dict[TransferKind, Sums]:
    """Return what one merchant's transfers without a statement add up to."""
    rows = await conn.fetch(
        f"{_SUMS} {_OPEN} AND t.merchant_id = $4 GROUP BY t.kind",
        INTERNAL,
        since,
        until,
        merchant_id,
    )
    return {TransferKind(row["kind"]): _sums(row) for row in rows}


async def take_lines(
    conn: Connection, merchant_id: UUID, statement_id: UUID, *, since: datetime, until: datetime
) -> None:
    """Put one merchant's transfers that stand nowhere into a statement."""
    await conn.execute(
        f"""
        INSERT INTO statement_lines (merchant_id, cause_id, kind, statement_id)
        SELECT t.merchant_id, t.cause_id, t.kind, $5 {_OPEN} AND t.merchant_id = $4
        """,
        INTERNAL,
        since,
        until,
        merchant_id,
        statement_id,
    )


async def lines_of_causes(
    conn: Connection, merchant_id: UUID, cause_ids: Sequence[UUID]
) -> list[Row]:
    """Return in which statements the transfers of one merchant's causes stand."""
    return await conn.fetch(
        """
        SELECT cause_id, kind, statement_id FROM statement_lines
         WHERE merchant_id = $1 AND cause_id = ANY($2::uuid[])
         ORDER BY cause_id, kind
        """,
        merchant_id,
        cause_ids,
    )


async def sums_of(
    conn: Connection, merchant_id: UUID, statement_id: UUID
) -> tuple[dict[TransferKind, Sums], int, str]:
    """Return what a day's transfers add up to, how many they are, and their digest."""
    joined = """
          FROM statement_lines l JOIN transfers t USING (merchant_id, cause_id, kind)
         WHERE l.merchant_id = $1 AND l.statement_id = $2
    """
    rows = await conn.fetch(
        f"{_SUMS} {joined} GROUP BY t.kind",
        merchant_id,
        statement_id,
    )
    digest = await conn.fetchval(
        f"""
        SELECT encode(sha256(convert_to(coalesce(string_agg({LINE_TEXT}, E'\\n'
                             ORDER BY l.cause_id, l.kind), ''), 'UTF8')), 'hex') {joined}
        """,
        merchant_id,
        statement_id,
    )
    sums = {TransferKind(row["kind"]): _sums(row) for row in rows}
    return sums, sum(row["transfers"] for row in rows), digest


async def add(conn: Connection, statement: Statement) -> None:
    """Write a statement, for good."""
    await conn.execute(
        """
        INSERT INTO statements (merchant_id, statement_id, period, from_day, to_day, figures,
                                opening_fen, payable_fen, transfers, lines_digest, previous,
                                digest, issued_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        statement.merchant_id,
        statement.statement_id,
        statement.period,
        statement.from_day,
        statement.to_day,
        asdict(statement.figures),
        statement.opening_fen,
        statement.payable_fen,
        statement.transfers,
        statement.lines_digest,
        statement.previous,
        statement.digest,
        statement.issued_at,
    )


async def last(conn: Connection, merchant_id: UUID, period: StatementPeriod) -> Statement | None:
    """Return a merchant's newest statement of this sort."""
    row = await conn.fetchrow(
        """
        SELECT * FROM statements WHERE merchant_id = $1 AND period = $2
         ORDER BY from_day DESC LIMIT 1
        """,
        merchant_id,
        period,
    )
    return _statement(row) if row else None


async def days_between(
    conn: Connection, merchant_id: UUID, first: date, until: date
) -> list[Statement]:
    """Return a merchant's statements of days from *first* through *until*, in order."""
    rows = await conn.fetch(
        """
        SELECT * FROM statements
         WHERE merchant_id = $1 AND period = 'day' AND from_day BETWEEN $2 AND $3
         ORDER BY from_day
        """,
        merchant_id,
        first,
        until,
    )
    return [_statement(row) for row in rows]


async def months_open(conn: Connection, before: date) -> list[tuple[date, UUID]]:
    """Return the months (their first days) that ended before *before* without a statement."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT date_trunc('month', d.from_day)::date AS month, d.merchant_id
          FROM statements d
         WHERE d.period = 'day' AND d.from_day < date_trunc('month', $1::date)
           AND NOT EXISTS (SELECT FROM statements m
                            WHERE m.merchant_id = d.merchant_id AND m.period = 'month'
                              AND m.from_day = date_trunc('month', d.from_day)::date)
         ORDER BY 1, 2
        """,
        before,
    )
    return [(row["month"], row["merchant_id"]) for row in rows]


async def get(conn: Connection, merchant_id: UUID, statement_id: UUID) -> Statement | None:
    """Return one merchant's statement, or None."""
    row = await conn.fetchrow(
        "SELECT * FROM statements WHERE merchant_id = $1 AND statement_id = $2",
        merchant_id,
        statement_id,
    )
    return _statement(row) if row else None


async def page(
    conn: Connection,
    merchant_id: UUID,
    *,
    period: StatementPeriod | None,
    limit: int,
    before: tuple[date, UUID] | None,
) -> list[Statement]:
    """Return up to *limit* of a merchant's statements, newest first."""
    day, statement_id = before or (None, None)
    rows = await conn.fetch(
        """
        SELECT * FROM statements
         WHERE merchant_id = $1 AND ($2::text IS NULL OR period = $2)
           AND ($3::date IS NULL OR (to_day, statement_id) < ($3, $4::uuid))
         ORDER BY to_day DESC, statement_id DESC LIMIT $5
        """,
        merchant_id,
        period,
        day,
        statement_id,
        limit,
    )
    return [_statement(row) for row in rows]


async def lines(
    conn: Connection,
    merchant_id: UUID,
    statement: Statement,
    *,
    limit: int,
    after: tuple[UUID, str] | None,
) -> list[Transfer]:
    """Return up to *limit* transfers of a statement, by cause; a month has its days'."""
    cause_id, kind = after or (None, None)
    rows: Sequence[Row] = await conn.fetch(
        """
        SELECT t.*
          FROM statement_lines l JOIN transfers t USING (merchant_id, cause_id, kind)
         WHERE l.merchant_id = $1
           AND l.statement_id IN (
               SELECT statement_id FROM statements
                WHERE merchant_id = $1 AND period = 'day' AND from_day BETWEEN $2 AND $3)
           AND ($4::uuid IS NULL OR (l.cause_id, l.kind) > ($4, $5::text))
         ORDER BY l.cause_id, l.kind LIMIT $6
        """,
        merchant_id,
        statement.from_day,
        statement.to_day,
        cause_id,
        kind,
        limit,
    )
    return [
        Transfer(
            **{
                **{key: value for key, value in row.items() if key != "cause_kind"},
                "kind": TransferKind(row["kind"]),
            }
        )
        for row in rows
    ]


def _sums(row: Row) -> Sums:
    return Sums(row["net"], row["wallet"], row["payable"], row["fee"], row["supply"])


def _statement(row: Row) -> Statement:
    kept = {k: v for k, v in row.items() if k not in {"statement_id", "digest"}}
    figures = Figures(**row["figures"])
    return Statement(**{**kept, "period": StatementPeriod(row["period"]), "figures": figures})
