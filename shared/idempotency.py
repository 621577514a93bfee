"""
Idempotency-Key: a request repeated under its key has one effect and one answer.

Claim and commit, run the handler, store and commit.  A crash in between leaves the
claim; once its lease has lapsed the request runs again, and ``Call.new_id`` leads it to
the same rows.  For the same reason claim and answer need not wait for the disk: what is
lost with the server is done again.  (draft-ietf-httpapi-idempotency-key-header)
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from shared.db import Connection
from shared.errors import Conflict, Malformed, Problem, Rejected

LEASE: Final = timedelta(seconds=60)
"""How long a request may be in work before another try may take over."""
KEPT: Final = timedelta(days=30)
"""How long an answer can be had again: longer than the longest retry of a client."""
KEY_MAX: Final = 255


class KeyMissing(Malformed):
    """This request needs an Idempotency-Key header."""

    code = "idempotency-key-missing"


class KeyMalformed(Malformed):
    """The Idempotency-Key is not 1 to 255 printable ASCII characters."""

    code = "idempotency-key-malformed"


class KeyReused(Rejected):
    """The Idempotency-Key was used before, with another request."""

    code = "idempotency-key-reused"


class KeyInFlight(Conflict):
    """The first request with this Idempotency-Key is still in work."""

    code = "idempotency-key-in-flight"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the answer belongs: one caller, one route, one key, one request."""

    caller: str
    route: str
    key: str
    fingerprint: bytes

    @property
    def place(self) -> tuple[str, str, str]:
        """The row it stands in."""
        return (self.caller, self.route, self.key)

    @property
    def cause(self) -> tuple[str, ...]:
        """What ids made on behalf of this request follow from."""
        return (self.caller, self.route, self.key, self.fingerprint.hex())


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; only statuses below 500 are kept."""

    status: int
    content_type: str
    body: bytes


Claimed: TypeAlias = int | Answer | Problem
"""A fencing number, the answer that stands already, or why there is none."""

Finished: TypeAlias = tuple[Slot, int, Answer]
"""A slot, the fencing number it was claimed under, and what was answered."""


def read_key(header: str | None) -> str:
    """
    Return the key in *header*, written bare or as a quoted string (RFC 9651).

    Raises:
        KeyMissing: There is no such header.
        KeyMalformed: It is empty, too long, or not printable ASCII.
    """
    if header is None:
        raise KeyMissing("Send an Idempotency-Key with this request.")
    key = header.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not (0 < len(key) <= KEY_MAX and key.isascii() and key.isprintable()):
        raise KeyMalformed("An Idempotency-Key is 1 to 255 printable ASCII characters.")
    return key


def fingerprint(path: str, raw: bytes) -> bytes:
    """Return what two requests share only if they ask for the same."""
    return hashlib.sha256(path.encode() + b"\n" + raw).digest()


async def claim(conn: Connection, slot: Slot, *, now: datetime) -> int | Answer:
    """
    Take the slot and return a fencing number, or the answer that stands in it.

    Raises:
        KeyReused: Another request has been made with this key.
        KeyInFlight: The same request is in work somewhere.
    """
    (claimed,) = await claim_many(conn, [slot], now=now)
    if isinstance(claimed, Problem):
        raise claimed
    return claimed


async def claim_many(conn: Connection, slots: Sequence[Slot], *, now: datetime) -> list[Claimed]:
    """Claim each slot as ``claim`` does, in one statement; problems are returned."""
    first = {slot.place: slot for slot in reversed(slots)}
    rows = await conn.fetch(
        """
        WITH hasty AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
        INSERT INTO idempotency_keys AS k
               (caller, route, key, fingerprint, lease_until, created_at)
        SELECT n.caller, n.route, n.key, n.fingerprint, $5, $6
          FROM hasty, unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
               AS n (caller, route, key, fingerprint)
            ON CONFLICT (caller, route, key) DO UPDATE
           SET lease_until = excluded.lease_until, fence = k.fence + 1
         WHERE k.status IS NULL AND k.lease_until <= $6 AND k.fingerprint = excluded.fingerprint
        RETURNING caller, route, key, fence
        """,
        *_columns([first[place] for place in sorted(first)]),
        now + LEASE,
        now,
    )
    fences: dict[tuple[str, ...], int] = {tuple(row[:3]): row["fence"] for row in rows}
    claimed: list[Claimed] = []
    for slot in slots:
        fence = fences.pop(slot.place, None) if first[slot.place] is slot else None
        claimed.append(await _standing(conn, slot) if fence is None else fence)
    return claimed


def _columns(slots: Sequence[Slot]) -> tuple[list[str], list[str], list[str], list[bytes]]:
    return (
        [slot.caller for slot in slots],
        [slot.route for slot in slots],
        [slot.key for slot in slots],
        [slot.fingerprint for slot in slots],
    )


async def _standing(conn: Connection, slot: Slot) -> Answer | Problem:
    row = await conn.fetchrow(
        """
        SELECT fingerprint, status, content_type, body
          FROM idempotency_keys
         WHERE caller = $1 AND route = $2 AND key = $3
        """,
        *slot.place,
    )
    if row is not None and row["fingerprint"] != slot.fingerprint:
        return KeyReused("This Idempotency-Key belongs to another request.")
    if row is None or row["status"] is None:
        return KeyInFlight("The same request is still in work.")
    return Answer(row["status"], row["content_type"], row["body"])


async def store(conn: Connection, slot: Slot, fence: int, answer: Answer) -> None:
    """Keep *answer*, unless another try has taken the slot over meanwhile."""
    await store_many(conn, [(slot, fence, answer)])


async def store_many(conn: Connection, done: Sequence[Finished]) -> None:
    """
    Keep several answers as ``store`` does, in one statement.

    It is written as an insertion that always meets its row, because that goes by the
    primary key whatever the planner believes; an UPDATE joined to the arrays, planned while
    the table was new, reads the whole table ever after.
    """
    assert all(answer.status < 500 for _, _, answer in done)  # noqa: PLR2004 - never final
    done = sorted(done, key=lambda one: one[0].place)
    await conn.execute(
        """
        WITH hasty AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
        INSERT INTO idempotency_keys AS k
               (caller, route, key, fingerprint, fence, status, content_type, body,
                lease_until, created_at)
        SELECT n.*, now(), now()
          FROM hasty, unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[],
                             $6::smallint[], $7::text[], $8::bytea[]) AS n
            ON CONFLICT (caller, route, key) DO UPDATE
           SET status = excluded.status, content_type = excluded.content_type,
               body = excluded.body
         WHERE k.fence = excluded.fence AND k.status IS NULL
        """,
        *_columns([slot for slot, _, _ in done]),
        [fence for _, fence, _ in done],
        [answer.status for _, _, answer in done],
        [answer.content_type for _, _, answer in done],
        [answer.body for _, _, answer in done],
    )


async def release(conn: Connection, slot: Slot, fence: int, *, now: datetime) -> None:
    """Give the slot back without an answer, so that the next try need not wait."""
    await conn.execute(
        """
        UPDATE idempotency_keys
           SET lease_until = $5
         WHERE caller = $1 AND route = $2 AND key = $3 AND fence = $4 AND status IS NULL
        """,
        slot.caller,
        slot.route,
        slot.key,
        fence,
        now,
    )


async def forget_old(conn: Connection, *, now: datetime, limit: int = 10_000) -> int:
    """Delete up to *limit* answers older than ``KEPT``; return how many."""
    gone = await conn.fetch(
        """
        DELETE FROM idempotency_keys
         WHERE ctid IN (SELECT ctid FROM idempotency_keys
                         WHERE created_at < $1 AND lease_until < $2 LIMIT $3)
        RETURNING 1
        """,
        now - KEPT,
        now,
        limit,
    )
    return len(gone)
