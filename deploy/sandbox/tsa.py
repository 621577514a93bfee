"""
A time-stamping authority as RFC 3161 has it, over HTTP.

Provider's side: ``POST /`` with a DER request as ``application/timestamp-query``; the answer is
``application/timestamp-reply``, a token signed by ``tsa.crt.pem`` of the keys directory, under
``tsa-root.crt.pem``.  Hashes by SHA-256 and SHA-512 are stamped.

Our side: ``GET /_sandbox/root.pem`` is the certificate to trust.

Faults: account = the hash as hexadecimal digits; ``on`` = ``stamp``.  ``decline:25`` answers
with a refusal of that number in PKIFailureInfo, ``bad_signature`` with a token that somebody
changed, ``wrong_amount`` with a token over another hash.

Start: ``python -m deploy.sandbox.tsa --port P --keys DIR``.
"""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from rfc3161_client._rust import parse_timestamp_request

from deploy.sandbox import keys
from deploy.sandbox.kit import Fault, FaultKind, Options, Sandbox, main
from deploy.sandbox.tsa_tokens import Asked, granted, rejected
from shared.time_stamp import ANSWERS, ASKS

BAD_ALGORITHM: Final = 0
BAD_FORMAT: Final = 5
"""Numbers of PKIFailureInfo (RFC 3161, 2.4.2)."""


class Tsa(Sandbox):
    """The time-stamping authority."""

    name = "tsa"

    def __init__(self, options: Options) -> None:
        """Take the certificate from the keys directory, or make one that nobody else knows."""
        super().__init__(options)
        if options.keys is not None:
            self._load(options.keys)
        else:
            with tempfile.TemporaryDirectory() as made:
                keys.make_authority(Path(made))
                self._load(Path(made))
        self.app.router.add_post("/", self._stamp)
        self.app.router.add_get("/_sandbox/root.pem", self._root)

    def _load(self, directory: Path) -> None:
        key = load_pem_private_key((directory / "tsa.pem").read_bytes(), password=None)
        assert isinstance(key, RSAPrivateKey)
        self._key = key
        self._certificate = load_pem_x509_certificate((directory / "tsa.crt.pem").read_bytes())
        self._root_pem = (directory / "tsa-root.crt.pem").read_bytes()

    async def _stamp(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != ASKS:
            return web.Response(status=415)
        asked = _read(await request.read())
        fault = None if asked is None else self.fault("stamp", asked.digest.hex())

        async def act() -> web.StreamResponse:
            return web.Response(body=self._answer(asked, fault), content_type=ANSWERS)

        return await self.disturb(request, fault, act)

    def _answer(self, asked: Asked | None, fault: Fault | None) -> bytes:
        if asked is None:
            return rejected("The request cannot be read.", failure_bit=BAD_FORMAT)
        if not asked.acceptable:
            return rejected("This hash is not stamped.", failure_bit=BAD_ALGORITHM)
        kind = None if fault is None else fault.kind
        if kind is FaultKind.DECLINE:
            return rejected("The authority does not stamp now.", failure_bit=_bit(fault))
        if kind is FaultKind.WRONG_AMOUNT:
            asked = replace(asked, digest=hashlib.sha256(asked.digest).digest())
        serial = self.next_number("stamps")
        at = self.now().replace(microsecond=0)
        answer = granted(asked, at=at, serial=serial, key=self._key, certificate=self._certificate)
        entry = {"serial": serial, "digest": asked.digest.hex(), "at": at.isoformat()}
        self.books.put("stamps", str(serial), entry)
        return _spoilt(answer) if kind is FaultKind.BAD_SIGNATURE else answer

    async def _root(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._root_pem, content_type="application/x-pem-file")


def _read(body: bytes) -> Asked | None:
    try:
        request = parse_timestamp_request(body)
    except ValueError:
        return None
    imprint = request.message_imprint
    return Asked(
        algorithm=imprint.hash_algorithm.dotted_string,
        digest=imprint.message,
        nonce=request.nonce,
        with_certificate=request.cert_req,
    )


def _bit(fault: Fault | None) -> int:
    return int(fault.argument) if fault is not None and fault.argument.isdigit() else BAD_FORMAT


def _spoilt(answer: bytes) -> bytes:
    """Return *answer* with the last byte of its signature changed."""
    return answer[:-1] + bytes([answer[-1] ^ 1])


if __name__ == "__main__":
    main(Tsa)
