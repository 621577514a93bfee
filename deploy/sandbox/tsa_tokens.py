"""
The answers of a time-stamping authority, byte by byte: RFC 3161 inside CMS (RFC 5652).

Only what a token needs: one signer, RSA with SHA-256, signed attributes with the certificate's
hash (RFC 5816), and the certificate itself if it was asked for.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate

POLICY: Final = "1.3.6.1.4.1.99999.1.1"
"""The policy that our tokens name; a number of nobody."""

_INTEGER, _BITS, _OCTETS, _OID, _UTF8, _TIME = 0x02, 0x03, 0x04, 0x06, 0x0C, 0x18
_SEQUENCE, _SET = 0x30, 0x31
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_SHA512: Final = "2.16.840.1.101.3.4.2.3"
_RSA: Final = "1.2.840.113549.1.1.1"
_REJECTION: Final = 2
_SHORT: Final = 0x80
_DIGESTS: Final = {_SHA256: 32, _SHA512: 64}


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants stamped; *algorithm* is the dotted number of the hash."""

    algorithm: str
    digest: bytes
    nonce: int | None
    with_certificate: bool

    @property
    def acceptable(self) -> bool:
        """Return whether the hash is one we know, of the length it must have."""
        return _DIGESTS.get(self.algorithm) == len(self.digest)


def granted(
    asked: Asked, *, at: datetime, serial: int, key: RSAPrivateKey, certificate: Certificate
) -> bytes:
    """Return a whole answer with a token that says *asked* existed *at* that second."""
    info = _info(asked, at=at, serial=serial)
    return _sequence(_sequence(_number(0)), _token(info, asked, key, certificate))


def rejected(text: str, *, failure_bit: int) -> bytes:
    """Return an answer without a token; *failure_bit* is a PKIFailureInfo of RFC 3161."""
    bits = (1 << (31 - failure_bit)).to_bytes(4, "big").rstrip(b"\0")
    unused = 8 * len(bits) - 1 - failure_bit
    status = (_number(_REJECTION), _sequence(_tlv(_UTF8, text.encode())))
    return _sequence(_sequence(*status, _tlv(_BITS, bytes([unused]) + bits)))


def _info(asked: Asked, *, at: datetime, serial: int) -> bytes:
    algorithm = _sequence(_oid(asked.algorithm), _tlv(0x05, b""))
    parts = [
        _number(1),
        _oid(POLICY),
        _sequence(algorithm, _tlv(_OCTETS, asked.digest)),
        _number(serial),
        _tlv(_TIME, f"{at:%Y%m%d%H%M%SZ}".encode()),
        _sequence(_number(1)),  # accurate to a second
    ]
    return _sequence(*parts, *([] if asked.nonce is None else [_number(asked.nonce)]))


def _token(info: bytes, asked: Asked, key: RSAPrivateKey, certificate: Certificate) -> bytes:
    der = certificate.public_bytes(Encoding.DER)
    hashing = _sequence(_oid(_SHA256))
    signing_certificate = _sequence(
        _sequence(_sequence(_tlv(_OCTETS, hashlib.sha256(der).digest())))
    )
    attributes = b"".join(
        sorted(
            [
                _attribute(_CONTENT_TYPE, _oid(_TST_INFO)),
                _attribute(_MESSAGE_DIGEST, _tlv(_OCTETS, hashlib.sha256(info).digest())),
                _attribute(_SIGNING_CERTIFICATE_V2, signing_certificate),
            ]
        )
    )
    signature = key.sign(_tlv(_SET, attributes), PKCS1v15(), SHA256())
    signer = _sequence(
        _number(1),
        _sequence(certificate.issuer.public_bytes(), _number(certificate.serial_number)),
        hashing,
        _tlv(0xA0, attributes),
        _sequence(_oid(_RSA), _tlv(0x05, b"")),
        _tlv(_OCTETS, signature),
    )
    signed = _sequence(
        _number(3),
        _tlv(_SET, hashing),
        _sequence(_oid(_TST_INFO), _tlv(0xA0, _tlv(_OCTETS, info))),
        *([_tlv(0xA0, der)] if asked.with_certificate else []),
        _tlv(_SET, signer),
    )
    return _sequence(_oid(_SIGNED_DATA), _tlv(0xA0, signed))


def _attribute(kind: str, value: bytes) -> bytes:
    return _sequence(_oid(kind), _tlv(_SET, value))


def _sequence(*parts: bytes) -> bytes:
    return _tlv(_SEQUENCE, b"".join(parts))


def _number(value: int) -> bytes:
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    body = bytes([first * 40 + second])
    for arc in rest:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(arc & 0x7F | _SHORT)
        body += bytes(reversed(digits))
    return _tlv(_OID, body)


def _tlv(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < _SHORT:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _SHORT | len(length)]) + length + body
