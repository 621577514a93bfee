"""A quote that can be looked at by a short code until it expires."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.signing.domain.errors import SharedQuoteExpired, SharedQuoteUnknown

CODE_BYTES: Final = 10
"""80 bits: at a thousand guesses a second none of a million codes is met in a million years."""

IMAGE_CACHED_S: Final = 86_400
"""An image of a code never changes; nobody keeps it longer than a day or the code's life."""

_BASE32: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LETTERS: Final = b"0123456789abcdefghjkmnpqrstvwxyz"
"""Without i, l, o and u, which are misread."""

_PLAIN: Final = bytes.maketrans(_BASE32, _LETTERS)
_FORM: Final = re.compile(r"[0-9a-hjkmnp-tv-z]{16}")


@dataclass(frozen=True, slots=True)
class SharedQuote:
    """Which quote a code opens, and until when."""

    code: str
    quote_id: UUID
    merchant_id: UUID
    shared_at: datetime
    expires_at: datetime


def new_share(
    random: bytes, quote_id: UUID, *, merchant_id: UUID, days: int, now: datetime
) -> SharedQuote:
    """
    Return a code for a quote, valid for *days* times 24 hours.

    *random* are ``CODE_BYTES`` bytes nobody can guess.
    """
    assert len(random) == CODE_BYTES
    code = base64.b32encode(random).translate(_PLAIN).decode("ascii")
    return SharedQuote(code, quote_id, merchant_id, now, now + timedelta(days=days))


def read_code(text: str) -> str:
    """
    Return the code that was scanned or typed, in small letters.

    Raises:
        SharedQuoteUnknown: It cannot be one.
    """
    code = text.lower()
    if not _FORM.fullmatch(code):
        raise SharedQuoteUnknown("No such shared quote.")
    return code


def require_live(share: SharedQuote, *, now: datetime) -> None:
    """Raise SharedQuoteExpired from the moment on at which the code ends."""
    if now >= share.expires_at:
        raise SharedQuoteExpired("The code has expired.", expired_at=share.expires_at.isoformat())


def image_cached_s(share: SharedQuote, *, now: datetime) -> int:
    """Return how many seconds an image of the code may be kept."""
    return min(IMAGE_CACHED_S, int((share.expires_at - now).total_seconds()))
