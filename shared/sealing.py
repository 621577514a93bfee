"""
Personal data: sealed for one receiver, encrypted field by field, found without reading.

A box is sealed with the receiver's public key, so that it can travel in an event; a
field is encrypted at rest under the service's own keys; a blind index finds equal
values; a mask shows a person just enough.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from shared.errors import Rejected

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12

_VERSION: Final = re.compile(r"[A-Za-z0-9]{1,16}")


class NotReadable(Rejected):
    """What was sealed cannot be opened with the keys at hand."""

    code = "not-readable"


def new_key_pair() -> tuple[str, str]:
    """Return (private, public) key for sealed boxes, both base64."""
    private = PrivateKey.generate()
    return _b64(bytes(private)), _b64(bytes(private.public_key))


def public_key_of(private_key: str) -> str:
    """Return the public key that belongs to *private_key*, both base64."""
    return _b64(bytes(PrivateKey(_raw_key(private_key)).public_key))


def seal(public_key: str, value: object) -> str:
    """
    Return *value* (anything JSON holds) as base64 that only the key's owner can read.

    Raises:
        ValueError: *public_key* is not 32 bytes in base64.
    """
    return _b64(SealedBox(PublicKey(_raw_key(public_key))).encrypt(orjson.dumps(value)))


class Unsealer:
    """Opens what was sealed for one private key."""

    def __init__(self, private_key: str) -> None:
        """Take the private key, 32 bytes in base64; ValueError if it is not."""
        self._box = SealedBox(PrivateKey(_raw_key(private_key)))

    def open(self, box: str) -> object:
        """
        Return the value that was sealed.

        Raises:
            NotReadable: It was sealed for somebody else, or was changed on the way.
        """
        try:
            opened: object = orjson.loads(self._box.decrypt(base64.b64decode(box, validate=True)))
        except (CryptoError, ValueError, TypeError) as error:
            raise NotReadable("This box is not for us, or is broken.") from error
        return opened


class FieldCipher:
    """
    Encrypts single fields with AES-256-GCM under the newest of several keys.

    The text is ``<version>:<base64 of nonce, ciphertext and tag>``.  Where a value
    stands (table, column, row) is authenticated, so that it cannot be moved elsewhere.
    To rotate: add a key, make it *current*, re-encrypt what ``is_old``, drop the old one.
    """

    def __init__(self, keys: Mapping[str, str], *, current: str) -> None:
        """Take keys (32 bytes in base64) by version; ValueError if one is not like that."""
        if current not in keys or not all(_VERSION.fullmatch(version) for version in keys):
            raise ValueError(f"No key for the current version {current!r}, or an odd version")
        self._ciphers = {version: AESGCM(_raw_key(key)) for version, key in keys.items()}
        self._current = current

    def encrypt(self, value: str, *, table: str, column: str, row: object) -> str:
        """Return *value* encrypted for this place; another text each time."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._current]
        sealed = cipher.encrypt(nonce, value.encode(), _place(table, column, row))
        return f"{self._current}:{_b64(nonce + sealed)}"

    def decrypt(self, stored: str, *, table: str, column: str, row: object) -> str:
        """
        Return the value that was encrypted for this place.

        Raises:
            NotReadable: Its key is gone, it belongs elsewhere, or it was changed.
        """
        version, _, text = stored.partition(":")
        cipher = self._ciphers.get(version)
        if cipher is None:
            raise NotReadable("There is no key of this version.", version=version[:16])
        try:
            raw = base64.b64decode(text, validate=True)
            nonce, sealed = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
            return cipher.decrypt(nonce, sealed, _place(table, column, row)).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise NotReadable("This field does not belong here, or is broken.") from error

    def is_old(self, stored: str) -> bool:
        """Return whether *stored* waits to be encrypted again under the current key."""
        return stored.partition(":")[0] != self._current


def new_field_key() -> str:
    """Return a new key for ``FieldCipher`` or ``blind_index``, base64."""
    return _b64(os.urandom(KEY_BYTES))


def blind_index(key: bytes, value: str) -> str:
    """
    Return a text that is equal for equal *value*, and tells nothing without *key*.

    Normalise the value first; use another key than for encryption.  A plain hash of a
    mobile number could be reversed by trying them all, hence HMAC-SHA-256.
    """
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def mask_name(name: str) -> str:
    """Return a Chinese name as its first character and stars: 张三丰 is 张**."""
    name = name.strip()
    return name[:1] + "*" * max(1, len(name) - 1) if len(name) > 1 else "*"


def mask_mobile(mobile: str) -> str:
    """Return a mainland mobile number as 138****1234; anything else as stars."""
    digits = re.sub(r"^(?:\+?86)?[- ]?", "", mobile.strip()) if len(mobile) > 11 else mobile  # noqa: PLR2004
    if not re.fullmatch(r"1[3-9][0-9]{9}", digits):
        return "****"
    return f"{digits[:3]}****{digits[-4:]}"


def mask_id_number(number: str) -> str:
    """Return an 18-character resident id as 110101********1234; anything else as stars."""
    number = number.strip()
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9Xx]", number):
        return "****"
    return f"{number[:6]}********{number[-4:]}"


def _place(table: str, column: str, row: object) -> bytes:
    return f"{table}:{column}:{row}".encode()


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _raw_key(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if len(raw) != KEY_BYTES:
        raise ValueError(f"A key has {KEY_BYTES} bytes, not {len(raw)}")
    return raw
