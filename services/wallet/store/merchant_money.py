"""A merchant's row that decisions about its money lock, and the history of those decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.wallet.contract.merchant_states import MoneySubject
from shared.db import Connection
from shared.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantMoney:
    """Where a merchant's money goes, and how its deposit stood when last looked at (fen)."""

    merchant_id: UUID
    account_ref: str | None = None
    account_bank: str | None = None
    account_tail: str | None = None
    guarantee_required_fen: int = 0
    guarantee_short: bool = False
    assessed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the history."""

    entry_id: UUID
    subject: MoneySubject
    subject_id: str
    move: str
    actor: str
    detail: Mapping[str, object]
    noted_at: datetime


async def lock(conn: Connection, merchant_id: UUID) -> MerchantMoney:
    """Return the merchant's row, made if it is missing, locked until the transaction ends."""
    await conn.execute(
        "INSERT INTO merchant_money (merchant_id) VALUES ($1) ON CONFLICT DO NOTHING", merchant_id
    )
    row = await conn.fetchrow(
        "SELECT * FROM merchant_money WHERE merchant_id = $1 FOR UPDATE", merchant_id
    )
    assert row is not None
    return MerchantMoney(**row)


async def get(conn: Connection, merchant_id: UUID) -> MerchantMoney:
    """Return the merchant's row; an empty one if there is none yet."""
    row = await conn.fetchrow("SELECT * FROM merchant_money WHERE merchant_id = $1", merchant_id)
    return MerchantMoney(**row) if row else MerchantMoney(merchant_id=merchant_id)


async def set_account(
    conn: Connection, merchant_id: UUID, *, account_ref: str, bank: str, tail: str
) -> None:
    """Keep where a locked merchant's money goes: the channel's token, never a full number."""
    await conn.execute(
        """
        UPDATE merchant_money SET account_ref = $2, account_bank = $3, account_tail = $4
         WHERE merchant_id = $1
        """,
        merchant_id,
        account_ref,
        bank,
        tail,
    )


async def set_guarantee(
    conn: Connection, merchant_id: UUID, *, required_fen: int, short: bool, now: datetime
) -> None:
    """Keep how a locked merchant's deposit stands."""
    await conn.execute(
        """
        UPDATE merchant_money
           SET guarantee_required_fen = $2, guarantee_short = $3, assessed_at = $4
         WHERE merchant_id = $1
        """,
        merchant_id,
        required_fen,
        short,
        now,
    )


async def note(
    conn: Connection,
    merchant_id: UUID,
    subject: MoneySubject,
    subject_id: object,
    move: str,
    *,
    actor: str,
    now: datetime,
    **detail: object,
) -> None:
    """Add a line to the history; *detail* holds ids, amounts and codes, no personal data."""
    await conn.execute(
        """
        INSERT INTO money_history
               (merchant_id, entry_id, subject, subject_id, move, actor, detail, noted_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        merchant_id,
        new_id(),
        subject,
        str(subject_id),
        move,
        actor,
        detail,
        now,
    )


async def history(
    conn: Connection,
    merchant_id: UUID,
    *,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[Entry]:
    """Return up to *limit* lines of a merchant's history, newest first."""
    moment, entry_id = before or (None, None)
    rows = await conn.fetch(
        """
        SELECT entry_id, subject, subject_id, move, actor, detail, noted_at
          FROM money_history
         WHERE merchant_id = $1
           AND ($2::timestamptz IS NULL OR (noted_at, entry_id) < ($2, $3::uuid))
         ORDER BY noted_at DESC, entry_id DESC LIMIT $4
        """,
        merchant_id,
        moment,
        entry_id,
        limit,
    )
    return [Entry(**{**row, "subject": MoneySubject(row["subject"])}) for row in rows]


async def fulfilled_between(
    conn: Connection, merchant_id: UUID, since: datetime, until: datetime
) -> int:
    """
    Return a merchant's fulfilment of a span in fen.

    That is what was held for parcels, but those that will not come, and spent in its shops.
    """
    total = await conn.fetchval(
        """
        SELECT coalesce((SELECT sum(amount_fen) FROM holds
                          WHERE merchant_id = $1 AND placed_at >= $2 AND placed_at < $3
                            AND state <> 'released'), 0)
             + coalesce((SELECT sum(amount_fen) FROM transfers
                          WHERE merchant_id = $1 AND kind IN ('spent', 'spent_bonus')
                            AND occurred_at >= $2 AND occurred_at < $3), 0)
        """,
        merchant_id,
        since,
        until,
    )
    return int(total)


async def open_holds(conn: Connection, merchant_id: UUID) -> int:
    """Return what is held for parcels that have not left, in fen."""
    total = await conn.fetchval(
        "SELECT sum(amount_fen) FROM holds WHERE merchant_id = $1 AND state = 'placed'", merchant_id
    )
    return int(total or 0)


async def quarter_balance(
    conn: Connection, merchant_id: UUID, quarter_end: date, *, until: datetime
) -> int:
    """
    Return the prepaid balance (all wallets, in fen) at the end of a quarter.

    It is added up once, from the transfers before *until*, and kept.
    """
    kept = await conn.fetchval(
        "SELECT prepaid_fen FROM quarter_balances WHERE merchant_id = $1 AND quarter_end = $2",
        merchant_id,
        quarter_end,
    )
    if kept is not None:
        return int(kept)
    total = await conn.fetchval(
        """
        INSERT INTO quarter_balances (merchant_id, quarter_end, prepaid_fen)
        SELECT $1, $2, coalesce(sum(
                   CASE WHEN credit_account LIKE 'wallet:%' THEN amount_fen ELSE 0 END
                   - CASE WHEN debit_account LIKE 'wallet:%' THEN amount_fen ELSE 0 END), 0)
          FROM transfers WHERE merchant_id = $1 AND occurred_at < $3
        RETURNING prepaid_fen
        """,
        merchant_id,
        quarter_end,
        until,
    )
    return int(total)
