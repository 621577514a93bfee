"""
Time stamps by RFC 3161: what an authority is asked, and whether its answer proves anything.

Only a hash goes out.  The whole answer is kept, so that anybody can check it later, also with
``openssl ts -verify``; an answer is checked as of the moment it states, when the authority's
certificate was valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

ASKS: Final = "application/timestamp-query"
ANSWERS: Final = "application/timestamp-reply"


class StampInvalid(Exception):
    """The answer proves nothing; the text says why."""


class StampRefused(StampInvalid):
    """The authority did not want to stamp."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request as it is sent, and the number that its answer must repeat."""

    body: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an authority states: that the data existed *at* that moment."""

    at: datetime
    serial: int
    policy: str


def ask(stated: bytes) -> Question:
    """Return a request for a stamp over the SHA-256 of *stated*, new each time."""
    builder = TimestampRequestBuilder().data(stated).hash_algorithm(HashAlgorithm.SHA256)
    request = builder.nonce(nonce=True).cert_request(cert_request=True).build()
    assert request.nonce is not None
    return Question(request.as_bytes(), request.nonce)


def read(
    answer: bytes, stated: bytes, roots: Sequence[Certificate], *, nonce: int | None = None
) -> Stamp:
    """
    Return the stamp in *answer*, if it is over *stated* by an authority under *roots*.

    Raises:
        StampRefused: There is none, because the authority refused.
        StampInvalid: It is of something else, of somebody else, or cannot be read.
    """
    try:
        found = decode_timestamp_response(answer)
        _require_granted(found)
        verifier = VerifierBuilder(roots=list(roots), nonce=nonce).build()
        verifier.verify_message(found, stated)
        info = found.tst_info
        return Stamp(info.gen_time, info.serial_number, info.policy.dotted_string)
    except (VerificationError, ValueError) as error:
        raise StampInvalid(f"The time stamp does not hold: {_first_words(error)}") from error


def load_roots(pem: bytes) -> list[Certificate]:
    """
    Return the certificates that stand in *pem* one after another.

    Raises:
        StampInvalid: There is none.
    """
    try:
        return load_pem_x509_certificates(pem)
    except ValueError as error:
        raise StampInvalid("These are no certificates in PEM.") from error


def _require_granted(found: TimeStampResponse) -> None:
    if found.status not in {PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS}:
        said = "; ".join(found.status_string)
        raise StampRefused(f"The authority answered with status {found.status}: {said}")


def _first_words(error: Exception) -> str:
    """Return what went wrong without the library's stack."""
    return str(error).partition(": ErrorStack")[0]
