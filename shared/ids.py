"""Identifiers: random ones that sort by time, and ones derived from a cause."""

import os
import time
from uuid import UUID, uuid5

_NAMESPACE = UUID("5c7a2a1e-3d52-5b1e-9d0c-0f6f0f5e7f00")


def new_id() -> UUID:
    """Return a UUIDv7: unique, and roughly ascending (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    high = (milliseconds << 16) | 0x7000 | (random >> 68 & 0xFFF)
    low = (0b10 << 62) | (random & 0x3FFF_FFFF_FFFF_FFFF)
    return UUID(int=(high << 64) | low)


def derived_id(*cause: object) -> UUID:
    """Return the one id that belongs to *cause*: same words, same id."""
    return uuid5(_NAMESPACE, "\x1f".join(map(str, cause)))
