"""Statements that find what in the books disagrees; each answers for one merchant."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.wallet.store import merchant_proofs
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Difference:
    """Two figures that should be one, in fen, and what they are about."""

    check: str
    merchant_id: UUID
    about: str
    stands_fen: int
    should_fen: int


@dataclass(frozen=True, slots=True)
class Size:
    """How much one merchant's books hold."""

    accounts: int
    transfers: int


_CHECKS: Final = {
    "balance is the sum of its transfers": """
        WITH moved AS (
             SELECT code, sum(debit_fen) AS debit_fen, sum(credit_fen) AS credit_fen
               FROM (SELECT debit_account AS code, amount_fen AS debit_fen, 0 AS credit_fen
                       FROM transfers WHERE merchant_id = $1
                     UNION ALL
                     SELECT credit_account, 0, amount_fen FROM transfers WHERE merchant_id = $1)
              GROUP BY code)
        SELECT coalesce(a.code, moved.code) AS about,
               coalesce(a.balance_fen, 0) AS stands,
               CASE a.normal_side WHEN 'debit' THEN coalesce(debit_fen - credit_fen, 0)
                                  ELSE coalesce(credit_fen - debit_fen, 0) END AS should
          FROM (SELECT * FROM accounts WHERE merchant_id = $1) a
          FULL JOIN moved ON moved.code = a.code
    """,
    "what we have is what we owe": """
        SELECT unit AS about,
               sum(balance_fen) FILTER (WHERE normal_side = 'debit') AS stands,
               sum(balance_fen) FILTER (WHERE normal_side = 'credit') AS should
          FROM accounts WHERE merchant_id = $1 GROUP BY unit
    """,
    "nothing is below zero": """
        SELECT code AS about, balance_fen AS stands, 0 AS should
          FROM accounts
         WHERE merchant_id = $1 AND balance_fen < 0
           AND (code LIKE 'wallet:%' OR code LIKE 'refund:%')
    """,
    "principal is what agreements have not spent": """
        SELECT coalesce(a.code, l.code) AS about, coalesce(a.balance_fen, 0) AS stands,
               coalesce(l.unspent_fen, 0) AS should
          FROM (SELECT code, balance_fen FROM accounts
                 WHERE merchant_id = $1 AND code LIKE 'wallet:%:principal') a
          FULL JOIN (
               SELECT 'wallet:' || customer_id || ':principal' AS code,
                      sum(credited_fen - held_fen - captured_fen - penalty_fen - refunded_fen
                          - spent_fen) AS unspent_fen
                 FROM ledgers WHERE merchant_id = $1 GROUP BY customer_id) l ON l.code = a.code
    """,
    "bonus is what agreements have not spent of it": """
        SELECT coalesce(a.code, l.code) AS about, coalesce(a.balance_fen, 0) AS stands,
               coalesce(l.unspent_fen, 0) AS should
          FROM (SELECT code, balance_fen FROM accounts
                 WHERE merchant_id = $1 AND code LIKE 'wallet:%:bonus') a
          FULL JOIN (
               SELECT 'wallet:' || customer_id || ':bonus' AS code,
                      sum(bonus_credited_fen - bonus_held_fen - bonus_captured_fen
                          - bonus_spent_fen - bonus_lapsed_fen) AS unspent_fen
                 FROM ledgers WHERE merchant_id = $1 GROUP BY customer_id) l ON l.code = a.code
    """,
    "held is what open holds hold": """
        SELECT coalesce(a.code, h.code) AS about, coalesce(a.balance_fen, 0) AS stands,
               coalesce(h.held_fen, 0) AS should
          FROM (SELECT code, balance_fen FROM accounts
                 WHERE merchant_id = $1 AND code LIKE 'wallet:%:held') a
          FULL JOIN (
               SELECT 'wallet:' || customer_id || ':held' AS code, sum(amount_fen) AS held_fen
                 FROM holds WHERE merchant_id = $1 AND state = 'placed' GROUP BY customer_id) h
            ON h.code = a.code
    """,
    "an agreement holds and has spent what its holds say": """
        SELECT l.agreement_id::text || ' ' || f.figure AS about, f.stands, f.should
          FROM (SELECT * FROM ledgers WHERE merchant_id = $1) l
          LEFT JOIN (
               SELECT agreement_id,
                      sum(amount_fen - bonus_fen) FILTER (WHERE state = 'placed') AS held_fen,
                      sum(bonus_fen) FILTER (WHERE state = 'placed') AS bonus_held_fen,
                      sum(captured_fen - least(captured_fen, bonus_fen)) AS captured_fen,
                      sum(least(captured_fen, bonus_fen)) AS bonus_captured_fen,
                      count(*) FILTER (WHERE state = 'placed') AS open_holds
                 FROM holds WHERE merchant_id = $1 GROUP BY agreement_id) h
            ON h.agreement_id = l.agreement_id
         CROSS JOIN LATERAL (VALUES
               ('held', l.held_fen, coalesce(h.held_fen, 0)),
               ('captured', l.captured_fen, coalesce(h.captured_fen, 0)),
               ('bonus held', l.bonus_held_fen, coalesce(h.bonus_held_fen, 0)),
               ('bonus captured', l.bonus_captured_fen, coalesce(h.bonus_captured_fen, 0)),
               ('open holds', l.open_holds, coalesce(h.open_holds, 0)))
               AS f (figure, stands, should)
    """,
    "an agreement's ledger is the sum of its transfers": """
        SELECT coalesce(l.agreement_id, t.agreement_id)::text || ' ' || f.figure AS about,
               f.stands, f.should
          FROM (SELECT * FROM ledgers WHERE merchant_id = $1) l
          FULL JOIN (
               SELECT agreement_id,
                      sum(amount_fen) FILTER (WHERE kind = 'collected') AS credited_fen,
                      sum(amount_fen) FILTER (WHERE kind LIKE 'captured%') AS captured_fen,
                      sum(amount_fen) FILTER (WHERE kind = 'penalty') AS penalty_fen,
                      sum(amount_fen) FILTER (WHERE kind = 'refund_requested') AS refunded_fen,
                      sum(CASE kind WHEN 'spent' THEN amount_fen
                          WHEN 'returned' THEN -amount_fen END) AS spent_fen,
                      sum(amount_fen) FILTER (WHERE kind = 'bonus_granted') AS b_credited_fen,
                      sum(amount_fen) FILTER (WHERE kind LIKE 'bonus_captured%')
                          AS b_captured_fen,
                      sum(CASE kind WHEN 'spent_bonus' THEN amount_fen
                          WHEN 'returned_bonus' THEN -amount_fen END) AS b_spent_fen,
                      sum(amount_fen) FILTER (WHERE kind = 'bonus_lapsed') AS b_lapsed_fen
                 FROM transfers WHERE merchant_id = $1 GROUP BY agreement_id) t
            ON t.agreement_id = l.agreement_id
         CROSS JOIN LATERAL (VALUES
               ('credited', coalesce(l.credited_fen, 0), coalesce(t.credited_fen, 0)),
               ('captured', coalesce(l.captured_fen, 0), coalesce(t.captured_fen, 0)),
               ('penalty', coalesce(l.penalty_fen, 0), coalesce(t.penalty_fen, 0)),
               ('refunded', coalesce(l.refunded_fen, 0), coalesce(t.refunded_fen, 0)),
               ('spent', coalesce(l.spent_fen, 0), coalesce(t.spent_fen, 0)),
               ('bonus credited', coalesce(l.bonus_credited_fen, 0),
                                  coalesce(t.b_credited_fen, 0)),
               ('bonus captured', coalesce(l.bonus_captured_fen, 0),
                                  coalesce(t.b_captured_fen, 0)),
               ('bonus spent', coalesce(l.bonus_spent_fen, 0), coalesce(t.b_spent_fen, 0)),
               ('bonus lapsed', coalesce(l.bonus_lapsed_fen, 0), coalesce(t.b_lapsed_fen, 0)))
               AS f (figure, stands, should)
    """,
    "an agreement has spent in the shop what its redemptions say": """
        SELECT l.agreement_id::text || ' ' || f.figure AS about, f.stands, f.should
          FROM (SELECT * FROM ledgers WHERE merchant_id = $1) l
          LEFT JOIN (
               SELECT agreement_id,
                      sum(principal_fen - returned_principal_fen) AS spent_fen,
                      sum(bonus_fen - returned_bonus_fen) AS bonus_fen
                 FROM redemption_parts WHERE merchant_id = $1 GROUP BY agreement_id) p
            ON p.agreement_id = l.agreement_id
         CROSS JOIN LATERAL (VALUES
               ('principal', l.spent_fen, coalesce(p.spent_fen, 0)),
               ('bonus', l.bonus_spent_fen, coalesce(p.bonus_fen, 0)))
               AS f (figure, stands, should)
    """,
    "a redemption is the sum of its parts": """
        SELECT r.redemption_id::text AS about,
               CASE r.state WHEN 'short' THEN 0 ELSE r.amount_fen - r.returned_fen END
                   AS stands,
               coalesce(sum(p.principal_fen + p.bonus_fen - p.returned_principal_fen
                            - p.returned_bonus_fen), 0) AS should
          FROM redemptions r LEFT JOIN redemption_parts p USING (merchant_id, redemption_id)
         WHERE r.merchant_id = $1
         GROUP BY r.redemption_id, r.state, r.amount_fen, r.returned_fen
    """,
    "refunds on their way are what was asked less what went back": """
        SELECT coalesce(a.code, s.code) AS about, coalesce(a.balance_fen, 0) AS stands,
               coalesce(s.open_fen, 0) AS should
          FROM (SELECT code, balance_fen FROM accounts
                 WHERE merchant_id = $1 AND code LIKE 'refund:%') a
          FULL JOIN (
               SELECT 'refund:' || rail AS code, sum(amount_fen - refunded_fen) AS open_fen
                 FROM settlements WHERE merchant_id = $1 GROUP BY rail) s ON s.code = a.code
    """,
    "an ended agreement keeps no free money": """
        SELECT agreement_id::text AS about,
               credited_fen - held_fen - captured_fen - penalty_fen - refunded_fen - spent_fen
               + bonus_credited_fen - bonus_held_fen - bonus_captured_fen - bonus_spent_fen
               - bonus_lapsed_fen AS stands,
               0 AS should
          FROM ledgers
         WHERE merchant_id = $1 AND ended_as IS NOT NULL AND open_holds = 0
    """,
}


async def size(conn: Connection, merchant_id: UUID) -> Size:
    """Return how many accounts and transfers one merchant has."""
    row = await conn.fetchrow(
        """
        SELECT (SELECT count(*) FROM accounts WHERE merchant_id = $1) AS accounts,
               (SELECT count(*) FROM transfers WHERE merchant_id = $1) AS transfers
        """,
        merchant_id,
    )
    assert row is not None, "two counts are always one row"
    return Size(**row)


async def merchants(conn: Connection) -> list[UUID]:
    """Return the merchants who have books here, in order."""
    rows = await conn.fetch(
        "SELECT merchant_id FROM accounts UNION SELECT merchant_id FROM ledgers ORDER BY 1"
    )
    return [row["merchant_id"] for row in rows]


async def differences(conn: Connection, merchant_id: UUID) -> list[Difference]:
    """
    Return everything in one merchant's books that disagrees.

    *conn* must be in a transaction that sees one moment (repeatable read), or bookings
    that commit between two figures would look like errors.
    """
    found = []
    for check, statement in {**_CHECKS, **merchant_proofs.CHECKS}.items():
        rows = await conn.fetch(
            f"""
            SELECT about, coalesce(stands, 0)::bigint AS stands, coalesce(should, 0)::bigint
                   AS should
              FROM ({statement}) f
             WHERE coalesce(stands, 0) <> coalesce(should, 0)
             ORDER BY about
            """,  # noqa: S608 - one of the constants above
            merchant_id,
        )
        found += [
            Difference(check, merchant_id, row["about"], row["stands"], row["should"])
            for row in rows
        ]
    return found
