"""
One-time codes by which a customer pays in the shop.

A code is signed by us (Ed25519) and carries all that a shop must know: whose wallet, at
which merchant, up to how much, until when.  A device that has our public key can therefore
accept it while offline, and can make none itself.  What makes it one-time is the books: a
code is consumed by the one row that names it.
"""

import base64
import binascii
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from services.wallet.domain.redemption_errors import (
    AmountAboveCeiling,
    AmountAboveCode,
    AmountAboveOfflineLimit,
    AmountInvalid,
    CodeExpired,
    CodeForeign,
    CodeForged,
    CodeUnreadable,
    DeviceKeyInvalid,
    LineForged,
    UploadTooLate,
)

PREFIX: Final = "YF1."
SKEW: Final = timedelta(seconds=60)
"""How far a shop's clock may be wrong."""

_BODY: Final = struct.Struct(">16s16s16sQQII")
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class RedemptionTerms:
    """
    What an operator tunes; every code carries the terms it was made under.

    *ceiling_fen*: no wallet may hold more than 5000 yuan (the rule for registered prepaid
    cards, 单用途商业预付卡管理办法, article 18), so no redemption may take more.
    *offline_limit_fen* is what a merchant risks per code while it is offline.
    """

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)
    valid_for: timedelta = timedelta(minutes=5)
    offline_for: timedelta = timedelta(hours=72)
    offline_limit_fen: int = 20_000
    ceiling_fen: int = 500_000
    codes_per_minute: int = 10
    fee_per_mille: int = 20

    @property
    def public_key(self) -> Ed25519PublicKey:
        """Return the half by which anybody can check a code."""
        return self.key.public_key()


@dataclass(frozen=True, slots=True)
class Code:
    """What a code says; *max_amount_fen* 0 sets no limit but the ceiling."""

    merchant_id: UUID
    customer_id: UUID
    code_id: UUID
    max_amount_fen: int
    offline_limit_fen: int
    issued_at: datetime
    expires_at: datetime


def write(code: Code, key: Ed25519PrivateKey) -> str:
    """Return *code* as the text a customer shows: 186 characters of ``[A-Za-z0-9._-]``."""
    body = _BODY.pack(
        code.merchant_id.bytes,
        code.customer_id.bytes,
        code.code_id.bytes,
        code.max_amount_fen,
        code.offline_limit_fen,
        int(code.issued_at.timestamp()),
        int(code.expires_at.timestamp()),
    )
    signed = body + key.sign(PREFIX.encode() + body)
    return PREFIX + base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def read(text: str, public_key: Ed25519PublicKey) -> Code:
    """
    Return what the code *text* says.

    Raises:
        CodeUnreadable: It is none.
        CodeForged: It is not signed by the other half of *public_key*.
    """
    packed = text.removeprefix(PREFIX)
    try:
        signed = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CodeUnreadable("This is not a redemption code.") from error
    if not text.startswith(PREFIX) or len(signed) != _BODY.size + _SIGNATURE_BYTES:
        raise CodeUnreadable("This is not a redemption code.")
    body, signature = signed[: _BODY.size], signed[_BODY.size :]
    try:
        public_key.verify(signature, PREFIX.encode() + body)
    except InvalidSignature as error:
        raise CodeForged("This code was not made by us.") from error
    merchant, customer, code_id, most, offline, issued, expires = _BODY.unpack(body)
    return Code(
        merchant_id=UUID(bytes=merchant),
        customer_id=UUID(bytes=customer),
        code_id=UUID(bytes=code_id),
        max_amount_fen=most,
        offline_limit_fen=offline,
        issued_at=datetime.fromtimestamp(issued, UTC),
        expires_at=datetime.fromtimestamp(expires, UTC),
    )


def require_valid(code: Code, merchant_id: UUID, *, at: datetime) -> None:
    """
    Refuse a code that *merchant_id* may not accept at this moment.

    Raises:
        CodeForeign: It is for another merchant.
        CodeExpired: It is too old, or its time has not come.
    """
    if code.merchant_id != merchant_id:
        raise CodeForeign("This code is for another merchant.", code_id=str(code.code_id))
    if not code.issued_at - SKEW <= at <= code.expires_at:
        raise CodeExpired(
            "This code is not valid at that time; ask for a new one.",
            code_id=str(code.code_id),
            expires_at=code.expires_at.isoformat(),
        )


def require_amount(amount_fen: int, code: Code, *, ceiling_fen: int, offline: bool) -> None:
    """
    Refuse an amount that *code* does not allow.

    Raises:
        AmountInvalid: It is zero or below.
        AmountAboveCeiling: No redemption may take so much.
        AmountAboveCode: The customer's own limit is lower.
        AmountAboveOfflineLimit: It was accepted offline, and is above the limit for that.
    """
    facts = {"code_id": str(code.code_id), "amount_fen": amount_fen}
    if amount_fen <= 0:
        raise AmountInvalid("An amount is at least one fen.", **facts)
    if amount_fen > ceiling_fen:
        raise AmountAboveCeiling("No redemption may take so much.", **facts)
    if code.max_amount_fen and amount_fen > code.max_amount_fen:
        raise AmountAboveCode("The customer allowed less.", **facts)
    if offline and amount_fen > code.offline_limit_fen:
        raise AmountAboveOfflineLimit(
            "Too much to accept offline.", limit_fen=code.offline_limit_fen, **facts
        )


def require_in_time(accepted_at: datetime, *, now: datetime, offline_for: timedelta) -> None:
    """
    Refuse what was accepted in the future, or so long ago that it counts no more.

    Raises:
        CodeExpired: The device's clock is ahead of ours.
        UploadTooLate: It was accepted longer ago than *offline_for*.
    """
    if accepted_at > now + SKEW:
        raise CodeExpired("The device's clock is ahead.", accepted_at=accepted_at.isoformat())
    if now > accepted_at + offline_for:
        raise UploadTooLate("Accepted too long ago.", accepted_at=accepted_at.isoformat())


def line_to_sign(
    device_id: UUID,
    *,
    code: str,
    amount_fen: int,
    category: str,
    service_code: str | None,
    accepted_at: datetime,
) -> bytes:
    """Return what a device signs for each code it accepts: seven lines, whole seconds."""
    moment = int(accepted_at.timestamp())
    lines = ("yuefu offline redemption", device_id, code, amount_fen, category, service_code or "")
    return "\n".join([*map(str, lines), str(moment)]).encode()


def device_key(raw: bytes) -> Ed25519PublicKey:
    """
    Return the public key in 32 raw bytes.

    Raises:
        DeviceKeyInvalid: These bytes are none.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise DeviceKeyInvalid("Send 32 raw bytes of an Ed25519 public key.") from error


def require_signed(line: bytes, signature: bytes, public_key: bytes) -> None:
    """Raise LineForged unless the device of *public_key* signed *line*."""
    try:
        device_key(public_key).verify(signature, line)
    except InvalidSignature as error:
        raise LineForged("The device did not sign this line.") from error
