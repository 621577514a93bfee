"""The table ``accounts``: balances, moved only together with transfers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.wallet.domain.accounts import Side, normal_side
from services.wallet.domain.transfer import AccountKey, Transfer, changes
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Account:
    """One account and its balance on its normal side, in fen."""

    code: str
    unit: str
    normal_side: Side
    balance_fen: int


async def move(conn: Connection, transfers: Sequence[Transfer]) -> None:
    """
    Change the balances by *transfers*, which were written in the same transaction.

    Each account is touched once, in the order of the keys, so that two writers wait for
    each other and never in a circle.

    Raises:
        asyncpg.CheckViolationError: A balance that must not be below zero would be.
    """
    by_account = changes(transfers)
    if not by_account:
        return
    if min(by_account.values()) >= 0:
        await _grow(conn, by_account)
        return
    # A row proposed by INSERT must itself pass the check, so what shrinks is updated.
    await _grow(conn, dict.fromkeys(by_account, 0), lock=False)
    await _shift(conn, by_account)


_ON_CONFLICT: Final = {
    True: "DO UPDATE SET balance_fen = accounts.balance_fen + EXCLUDED.balance_fen",
    False: "DO NOTHING",
}


async def _grow(
    conn: Connection, by_account: Mapping[AccountKey, int], *, lock: bool = True
) -> None:
    await conn.execute(
        f"""
        INSERT INTO accounts (merchant_id, code, normal_side, balance_fen)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) ORDER BY 1, 2
        ON CONFLICT (merchant_id, code) {_ON_CONFLICT[lock]}
        """,  # noqa: S608 - one of two constants
        [merchant_id for merchant_id, _ in by_account],
        [code for _, code in by_account],
        [normal_side(code) for _, code in by_account],
        list(by_account.values()),
    )


async def _shift(conn: Connection, by_account: Mapping[AccountKey, int]) -> None:
    await conn.execute(
        """
        WITH wanted AS (
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])
                 AS w (merchant_id, code, change_fen)),
        locked AS MATERIALIZED (
             SELECT a.merchant_id, a.code
               FROM accounts a JOIN wanted USING (merchant_id, code)
              ORDER BY a.merchant_id, a.code
                FOR UPDATE OF a)
        UPDATE accounts a
           SET balance_fen = balance_fen + change_fen
          FROM locked JOIN wanted USING (merchant_id, code)
         WHERE a.merchant_id = locked.merchant_id AND a.code = locked.code
        """,
        [merchant_id for merchant_id, _ in by_account],
        [code for _, code in by_account],
        list(by_account.values()),
    )


async def balances(conn: Connection, merchant_id: UUID, codes: Sequence[str]) -> dict[str, int]:
    """Return the balances of those of one merchant's *codes* that exist, in fen."""
    rows = await conn.fetch(
        """
        SELECT code, balance_fen FROM accounts WHERE merchant_id = $1 AND code = ANY($2::text[])
        """,
        merchant_id,
        codes,
    )
    return {row["code"]: row["balance_fen"] for row in rows}


async def page(
    conn: Connection, merchant_id: UUID, *, limit: int, after: str | None
) -> list[Account]:
    """Return up to *limit* of a merchant's accounts after *after*; customers' wallets are not."""
    rows = await conn.fetch(
        """
        SELECT code, unit, normal_side, balance_fen FROM accounts
         WHERE merchant_id = $1 AND code NOT LIKE 'wallet:%'
           AND ($2::text IS NULL OR code > $2)
         ORDER BY code LIMIT $3
        """,
        merchant_id,
        after,
        limit,
    )
    return [Account(**{**row, "normal_side": Side(row["normal_side"])}) for row in rows]


async def of_suppliers(conn: Connection, merchant_id: UUID) -> list[tuple[str, int]]:
    """Return a merchant's suppliers' accounts and what each is owed in fen, the most first."""
    rows = await conn.fetch(
        """
        SELECT code, balance_fen FROM accounts
         WHERE merchant_id = $1 AND code LIKE 'supplier:%' AND balance_fen > 0
         ORDER BY balance_fen DESC, code
        """,
        merchant_id,
    )
    return [(row["code"], row["balance_fen"]) for row in rows]


async def merchants_with_money(conn: Connection) -> list[UUID]:
    """Return the merchants who have money at the supervised account, in order."""
    rows = await conn.fetch(
        """
        SELECT merchant_id FROM accounts
         WHERE code = 'supervised' AND balance_fen > 0 ORDER BY merchant_id
        """
    )
    return [row["merchant_id"] for row in rows]
