"""WeChat Pay's v3 protocol: what is signed, verified and decrypted; no network."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.rails.outcome import BadSignature
from shared.rails.signer import RsaVerifier

SCHEME: Final = "WECHATPAY2-SHA256-RSA2048"

MAX_AGE: Final = timedelta(minutes=5)
"""How old or new an answer's time stamp may be.  Source: wechatpay-java, RequestValidator."""


@dataclass(frozen=True)
class V3Event:
    """A verified and decrypted callback; ``event_id`` stays the same over resends."""

    event_id: str
    event_type: str
    resource: Mapping[str, Any]


def request_text(method: str, target: str, timestamp: int, nonce: str, body: bytes) -> bytes:
    """Return the text a request signs; *target* is path and query exactly as sent."""
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def answer_text(timestamp: str, nonce: str, body: bytes) -> bytes:
    """Return the text an answer or a callback signs: time, nonce and raw body."""
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


def authorization(*, mchid: str, serial_no: str, nonce: str, timestamp: int, signature: str) -> str:
    """Return the Authorization header of a request; *serial_no* is our certificate's."""
    return (
        f'{SCHEME} mchid="{mchid}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{serial_no}"'
    )


def pay_sign_text(appid: str, timestamp: str, nonce: str, package: str) -> bytes:
    """Return the text of ``paySign`` for ``wx.requestPayment``."""
    return f"{appid}\n{timestamp}\n{nonce}\n{package}\n".encode()


def verify_answer(
    headers: Mapping[str, str],
    body: bytes,
    verifiers: Mapping[str, RsaVerifier],
    *,
    now: datetime,
) -> None:
    """
    Check an answer's or a callback's signature over its raw *body*.

    *verifiers* are by serial number (or public key id), old and new ones during a rotation.

    Raises:
        BadSignature: A header is missing, the key is unknown, the signature does not hold, or
            the time stamp is more than five minutes off *now*.
    """
    timestamp = headers.get("Wechatpay-Timestamp", "")
    verifier = verifiers.get(headers.get("Wechatpay-Serial", ""))
    if verifier is None or not timestamp.isascii() or not timestamp.isdigit():
        raise BadSignature("No known key, or no time stamp.")
    if abs(now.timestamp() - int(timestamp)) > MAX_AGE.total_seconds():
        raise BadSignature("The time stamp is too far from now.")
    text = answer_text(timestamp, headers.get("Wechatpay-Nonce", ""), body)
    if not verifier.verify(text, headers.get("Wechatpay-Signature", "")):
        raise BadSignature("The signature does not hold.")


def decrypt(key: str, *, nonce: str, ciphertext: str, associated_data: str) -> bytes:
    """
    Decrypt a callback's resource (AES-256-GCM) with the APIv3 *key*.

    Raises:
        BadSignature: It was not encrypted with this key, or was changed.
    """
    try:
        sealed = base64.b64decode(ciphertext, validate=True)
        return AESGCM(key.encode()).decrypt(nonce.encode(), sealed, associated_data.encode())
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise BadSignature("The resource cannot be decrypted.") from error


def encrypt(key: str, *, nonce: str, plain: bytes, associated_data: str) -> str:
    """Return *plain* sealed the way a callback's resource is."""
    sealed = AESGCM(key.encode()).encrypt(nonce.encode(), plain, associated_data.encode())
    return base64.b64encode(sealed).decode()


def open_event(body: bytes, key: str) -> V3Event:
    """
    Return the event in a callback whose signature was verified before.

    Raises:
        BadSignature: The body has another form, or its resource cannot be decrypted.
    """
    try:
        outer = orjson.loads(body)
        resource = outer["resource"]
        plain = decrypt(
            key,
            nonce=resource["nonce"],
            ciphertext=resource["ciphertext"],
            associated_data=resource.get("associated_data") or "",
        )
        return V3Event(str(outer["id"]), str(outer["event_type"]), orjson.loads(plain))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSignature("The callback has another form.") from error
