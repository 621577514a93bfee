"""Evidence of a signing as a chain of hashes: a later change of any entry shows."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

GENESIS: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact about one application and the agreement it became; *payload* is canonical."""

    application_id: UUID
    seq: int
    kind: str
    occurred_at: datetime
    actor: str
    payload: str
    payload_sha256: str
    prev_hash: str
    entry_hash: str


def canonical(payload: Mapping[str, object]) -> str:
    """Return *payload* as JSON with sorted keys, no blanks, and every character as it is."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def next_entry(
    previous: Entry | None,
    *,
    application_id: UUID,
    kind: str,
    occurred_at: datetime,
    actor: str,
    payload: Mapping[str, object],
) -> Entry:
    """Return the entry that follows *previous*, or begins the chain."""
    text = canonical(payload)
    digest = hashlib.sha256(text.encode()).hexdigest()
    seq = 1 if previous is None else previous.seq + 1
    prev_hash = GENESIS if previous is None else previous.entry_hash
    return Entry(
        application_id=application_id,
        seq=seq,
        kind=kind,
        occurred_at=occurred_at,
        actor=actor,
        payload=text,
        payload_sha256=digest,
        prev_hash=prev_hash,
        entry_hash=_hash(application_id, seq, kind, occurred_at, actor, digest, prev_hash),
    )


def first_broken(entries: Sequence[Entry]) -> int | None:
    """Return the number of the first entry that was changed, moved or left out; None if whole."""
    prev_hash = GENESIS
    for seq, entry in enumerate(entries, 1):
        digest = hashlib.sha256(entry.payload.encode()).hexdigest()
        expected = _hash(
            entry.application_id, seq, entry.kind, entry.occurred_at, entry.actor, digest, prev_hash
        )
        if (entry.seq, entry.prev_hash, entry.payload_sha256, entry.entry_hash) != (
            seq,
            prev_hash,
            digest,
            expected,
        ):
            return seq
        prev_hash = entry.entry_hash
    return None


def _hash(
    application_id: UUID,
    seq: int,
    kind: str,
    occurred_at: datetime,
    actor: str,
    digest: str,
    prev_hash: str,
) -> str:
    moment = occurred_at.astimezone(UTC).isoformat(timespec="microseconds")
    text = "\n".join([prev_hash, str(application_id), str(seq), kind, moment, actor, digest])
    return hashlib.sha256(text.encode()).hexdigest()
