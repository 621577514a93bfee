"""Notices asked for, and the proofs that came back, in whatever order they came."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.billing.domain.notices import RAIL_CHANNEL, Notice, NoticeKind, Proof
from shared.db import Connection, Row

NEXT_RAIL: Final = "SELECT min(next_send_at) FROM notices WHERE next_send_at IS NOT NULL"
"""When the rail is to be asked to tell a customer next."""


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One channel's word about one notice; either moment may be unknown."""

    notice_id: UUID
    channel: str
    message_id: UUID | None
    accepted_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class RailNotice:
    """A notice that the rail itself is to send."""

    notice: Notice
    tries: int


async def add(conn: Connection, notices: Sequence[Notice]) -> set[UUID]:
    """Add notices; return the ids of those that were not asked for before."""
    rows = await conn.fetch(
        """
        INSERT INTO notices (notice_id, instalment_id, merchant_id, kind, channels, charge_on,
                             amount_fen, requested_at, send_by, next_send_at, terms_no)
        SELECT notice_id, instalment_id, merchant_id, kind, channels, charge_on, amount_fen,
               requested_at, send_by, CASE WHEN kind = 'rail' THEN requested_at END, terms_no
          FROM jsonb_populate_recordset(NULL::notices, $1)
            ON CONFLICT (instalment_id, kind, charge_on, amount_fen, terms_no) DO NOTHING
        RETURNING notice_id
        """,
        list(notices),
    )
    return {row["notice_id"] for row in rows}


async def record(conn: Connection, lines: Sequence[ProofLine]) -> None:
    """Keep the earliest acceptance and the earliest delivery of each notice and channel."""
    await conn.execute(
        """
        INSERT INTO notice_proofs AS p (notice_id, channel, message_id, accepted_at, delivered_at)
        SELECT notice_id, channel, max(message_id::text)::uuid, min(accepted_at), min(delivered_at)
          FROM jsonb_populate_recordset(NULL::notice_proofs, $1)
         GROUP BY notice_id, channel
         ORDER BY notice_id, channel
            ON CONFLICT (notice_id, channel) DO UPDATE
           SET accepted_at = least(p.accepted_at, excluded.accepted_at),
               delivered_at = least(p.delivered_at, excluded.delivered_at)
        """,
        list(lines),
    )


async def proofs(conn: Connection, instalment_ids: Sequence[UUID]) -> dict[UUID, list[Proof]]:
    """Return, by instalment, what is on record for its present charge date and amount."""
    rows = await conn.fetch(
        """
        SELECT n.instalment_id, n.kind, p.channel, p.accepted_at, p.delivered_at
          FROM instalments AS i
          JOIN notices AS n USING (instalment_id, charge_on, amount_fen, terms_no)
          JOIN notice_proofs AS p USING (notice_id)
         WHERE i.instalment_id = ANY($1::uuid[])
        """,
        instalment_ids,
    )
    found: dict[UUID, list[Proof]] = defaultdict(list)
    for row in rows:
        found[row["instalment_id"]].append(
            Proof(NoticeKind(row["kind"]), row["channel"], row["accepted_at"], row["delivered_at"])
        )
    return found


async def kinds_requested(
    conn: Connection, instalment_ids: Sequence[UUID]
) -> dict[UUID, set[NoticeKind]]:
    """Return, by instalment, what was asked for about its present charge date and amount."""
    rows = await conn.fetch(
        """
        SELECT n.instalment_id, n.kind
          FROM instalments AS i
          JOIN notices AS n USING (instalment_id, charge_on, amount_fen, terms_no)
         WHERE i.instalment_id = ANY($1::uuid[])
        """,
        instalment_ids,
    )
    found: dict[UUID, set[NoticeKind]] = defaultdict(set)
    for row in rows:
        found[row["instalment_id"]].add(NoticeKind(row["kind"]))
    return found


async def claim_for_rail(
    conn: Connection, *, now: datetime, until: datetime, limit: int
) -> list[RailNotice]:
    """Return notices that the rail is to send now; they rest *until* then."""
    rows = await conn.fetch(
        """
        UPDATE notices
           SET next_send_at = $2, tries = tries + 1
         WHERE notice_id IN (
               SELECT notice_id FROM notices
                WHERE next_send_at <= $1
                ORDER BY next_send_at, notice_id
                LIMIT $3
                  FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        now,
        until,
        limit,
    )
    return [RailNotice(_notice(row), row["tries"]) for row in rows]


async def settle_for_rail(
    conn: Connection, notice_id: UUID, *, accepted_at: datetime | None, answer: str
) -> None:
    """Write what the rail said for good; an acceptance is the proof that it told the customer."""
    state = "refused" if accepted_at is None else "accepted"
    await conn.execute(
        """
        UPDATE notices SET state = $2, answer = $3, next_send_at = NULL
         WHERE notice_id = $1 AND state = 'requested'
        """,
        notice_id,
        state,
        answer,
    )
    if accepted_at is not None:
        await record(conn, [ProofLine(notice_id, RAIL_CHANNEL, None, accepted_at, accepted_at)])


async def send_later(conn: Connection, notice_id: UUID, *, at: datetime, answer: str) -> None:
    """Ask the rail again *at* a moment."""
    await conn.execute(
        "UPDATE notices SET next_send_at = $2, answer = $3 WHERE notice_id = $1",
        notice_id,
        at,
        answer,
    )


async def supersede(conn: Connection, instalment_ids: Sequence[UUID]) -> None:
    """Take back what was asked for about terms that count no more and is not answered yet."""
    await conn.execute(
        """
        UPDATE notices AS n
           SET state = CASE n.state WHEN 'requested' THEN 'superseded' ELSE n.state END,
               next_send_at = NULL
          FROM instalments AS i
         WHERE i.instalment_id = ANY($1::uuid[]) AND n.instalment_id = i.instalment_id
           AND n.terms_no < i.terms_no
        """,
        instalment_ids,
    )


async def story(conn: Connection, instalment_id: UUID) -> list[Row]:
    """Return every notice of an instalment with its proofs, oldest first."""
    return await conn.fetch(
        """
        SELECT n.notice_id, n.kind, n.charge_on, n.amount_fen, n.requested_at, n.send_by,
               p.channel, p.message_id, p.accepted_at, p.delivered_at, n.answer
          FROM notices AS n
          LEFT JOIN notice_proofs AS p USING (notice_id)
         WHERE n.instalment_id = $1
         ORDER BY n.requested_at, n.notice_id, p.channel
        """,
        instalment_id,
    )


def _notice(row: Row) -> Notice:
    return Notice(
        notice_id=row["notice_id"],
        instalment_id=row["instalment_id"],
        merchant_id=row["merchant_id"],
        kind=NoticeKind(row["kind"]),
        channels=tuple(row["channels"]),
        charge_on=row["charge_on"],
        amount_fen=row["amount_fen"],
        requested_at=row["requested_at"],
        send_by=row["send_by"],
        terms_no=row["terms_no"],
    )
