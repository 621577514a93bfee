"""
What every provider's call to us shares: kept as it came, once, with our verdict on it.

The route reads the raw body, verifies the signature over it, and calls ``keep`` in the
transaction that applies it; what cannot be placed stays for a person to look at.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared import metrics
from shared.db import Connection, Row
from shared.errors import NotFound, Unauthentic
from shared.ids import new_id

REPLAY_WINDOW: Final = timedelta(minutes=5)
"""How far a signed time stamp may be from our clock, both ways (Standard Webhooks)."""
KEPT: Final = timedelta(days=90)
"""How long deliveries are remembered: far longer than any provider retries."""
REJECTED_KEPT_BYTES: Final = 4096
"""How much is kept of a call that nobody is known to have made."""

HEADERS_KEPT: Final = frozenset(
    {"content-type", "user-agent", "webhook-id", "webhook-timestamp", "wechatpay-serial",
     "wechatpay-timestamp", "request-id", "x-request-id", "traceparent"}
)  # fmt: skip
"""No signature, token or cookie among them."""


class Verdict(StrEnum):
    """What we made of a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNPLACED = "unplaced"
    REJECTED = "rejected"


class StaleDelivery(Unauthentic):
    """The signed time stamp is too far from the present."""

    code = "delivery-stale"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One call of a provider, as it came; ``body`` may hold personal data."""

    webhook_id: UUID
    provider: str
    delivery_key: str
    received_at: datetime
    headers: Mapping[str, str]
    body: bytes
    verdict: Verdict
    reason: str | None


def body_key(raw: bytes) -> str:
    """Return a delivery key for providers that send no id: the same bytes, the same key."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def require_fresh(sent_at: datetime, *, now: datetime, window: timedelta = REPLAY_WINDOW) -> None:
    """
    Refuse an old signature used again; *sent_at* must be part of what is signed.

    Raises:
        StaleDelivery: It is further than *window* from *now*.
    """
    if abs(now - sent_at) > window:
        raise StaleDelivery("The time stamp is too far from the present.")


async def keep(
    conn: Connection,
    *,
    provider: str,
    delivery_key: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    verdict: Verdict = Verdict.ACCEPTED,
    reason: str | None = None,
) -> bool:
    """
    Keep one delivery; return False if this key stood already, then do nothing more.

    A ``REJECTED`` call must not take a real delivery's key away, so it is kept under a
    key of its own, and only the beginning of it.  A key that stands as ``UNPLACED`` may
    be taken again, because the provider's next try may well find its place.
    """
    if verdict is Verdict.REJECTED:
        delivery_key, body = f"rejected:{body_key(body)}", body[:REJECTED_KEPT_BYTES]
    kept = await conn.fetchval(
        """
        INSERT INTO webhook_inbox AS w
               (webhook_id, provider, delivery_key, received_at, headers, body, verdict, reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (provider, delivery_key) DO UPDATE
           SET verdict = excluded.verdict, reason = excluded.reason,
               placed_at = CASE WHEN excluded.verdict = 'accepted' THEN excluded.received_at END
         WHERE w.verdict = 'unplaced' AND w.placed_at IS NULL
        RETURNING true
        """,
        new_id(),
        provider,
        delivery_key,
        now,
        {name.lower(): value for name, value in headers.items() if name.lower() in HEADERS_KEPT},
        body,
        verdict.value,
        reason,
    )
    told = verdict if kept else Verdict.DUPLICATE
    metrics.WEBHOOKS.labels(provider, told.value).inc()
    return bool(kept)


async def unplaced(
    conn: Connection, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[Delivery]:
    """Return deliveries that wait for a person, oldest first, after the one named."""
    rows = await conn.fetch(
        """
        SELECT webhook_id, provider, delivery_key, received_at, headers, body, verdict, reason
          FROM webhook_inbox
         WHERE verdict = 'unplaced' AND placed_at IS NULL
           AND ($2::timestamptz IS NULL OR (received_at, webhook_id) > ($2, $3))
         ORDER BY received_at, webhook_id
         LIMIT $1
        """,
        limit,
        *(after or (None, None)),
    )
    return [_delivery(row) for row in rows]


async def find(conn: Connection, webhook_id: UUID) -> Delivery:
    """
    Return one delivery.

    Raises:
        NotFound: There is none of this id.
    """
    row = await conn.fetchrow(
        """
        SELECT webhook_id, provider, delivery_key, received_at, headers, body, verdict, reason
          FROM webhook_inbox
         WHERE webhook_id = $1
        """,
        webhook_id,
    )
    if row is None:
        raise NotFound("No such delivery.", webhook_id=webhook_id)
    return _delivery(row)


async def mark_placed(conn: Connection, webhook_id: UUID, *, now: datetime) -> None:
    """
    Note that a person has dealt with an unplaced delivery; repeats safely.

    Raises:
        NotFound: No unplaced delivery has this id.
    """
    done = await conn.execute(
        """
        UPDATE webhook_inbox
           SET placed_at = coalesce(placed_at, $2)
         WHERE webhook_id = $1 AND verdict = 'unplaced'
        """,
        webhook_id,
        now,
    )
    if done == "UPDATE 0":
        raise NotFound("No such unplaced delivery.", webhook_id=webhook_id)


async def forget_old(conn: Connection, *, now: datetime, limit: int = 10_000) -> int:
    """Delete up to *limit* deliveries older than ``KEPT`` that nobody waits for."""
    gone = await conn.fetch(
        """
        DELETE FROM webhook_inbox
         WHERE ctid IN (SELECT ctid FROM webhook_inbox
                         WHERE received_at < $1
                           AND (verdict <> 'unplaced' OR placed_at IS NOT NULL)
                         LIMIT $2)
        RETURNING 1
        """,
        now - KEPT,
        limit,
    )
    return len(gone)


def _delivery(row: Row) -> Delivery:
    return Delivery(**{**row, "verdict": Verdict(row["verdict"])})
