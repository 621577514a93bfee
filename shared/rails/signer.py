"""RSA signatures (SHA-256, PKCS#1 v1.5): keys loaded once, the event loop left free."""

import asyncio
import base64
import binascii
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

BATCH: Final = 50
"""Texts signed per hop to a thread: one hop costs about a tenth of one signature."""

_HASH: Final = hashes.SHA256()
_PADDING: Final = PKCS1v15()
_Job = tuple[bytes, asyncio.Future[str]]


class RsaSigner:
    """
    Signs with one private key; safe to share by all callers of one event loop.

    Loading a key costs a hundred signatures, so make one signer per key and keep it.
    """

    def __init__(self, private_key: str, *, threads: int | None = None) -> None:
        """
        Load *private_key*: PEM, or the bare Base64 of PKCS#8 or PKCS#1.

        Raises:
            ValueError: It is not an RSA private key.
        """
        self._key = _private_key(private_key)
        self._free = threads or os.cpu_count() or 1
        self._executor = ThreadPoolExecutor(self._free, thread_name_prefix="rsa")
        self._waiting: list[_Job] = []
        self._scheduled = False

    def sign(self, text: bytes) -> str:
        """Return the Base64 signature of *text*; blocks for about half a millisecond."""
        return base64.b64encode(self._key.sign(text, _PADDING, _HASH)).decode()

    def sign_many(self, texts: Sequence[bytes]) -> list[str]:
        """Return the signatures of *texts*, in their order; blocks."""
        return [self.sign(text) for text in texts]

    async def sign_soon(self, text: bytes) -> str:
        """
        Return the Base64 signature of *text* while the loop stays free.

        Callers that come while all threads are busy are signed together in the next hop.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        self._waiting.append((text, future))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush, loop)
        return await future

    def close(self) -> None:
        """Let the threads end after what they are doing."""
        self._executor.shutdown(wait=False)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        while self._waiting and self._free:
            share = -(-len(self._waiting) // self._free)
            size = min(BATCH, share)
            jobs, self._waiting = self._waiting[:size], self._waiting[size:]
            self._free -= 1
            hop = loop.run_in_executor(self._executor, self.sign_many, [job[0] for job in jobs])
            hop.add_done_callback(partial(self._finish, loop, jobs))

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        jobs: list[_Job],
        done: "asyncio.Future[list[str]]",
    ) -> None:
        self._free += 1
        error = None if done.cancelled() else done.exception()
        for index, (_, future) in enumerate(jobs):
            if future.done():
                continue
            if done.cancelled():
                future.cancel()
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result()[index])
        self._flush(loop)


class RsaVerifier:
    """Checks signatures with one public key; 28,000 a second on one core."""

    def __init__(self, public_key: str) -> None:
        """
        Load *public_key*: PEM, or the bare Base64 of a SubjectPublicKeyInfo.

        Raises:
            ValueError: It is not an RSA public key.
        """
        self._key = _public_key(public_key)

    def verify(self, text: bytes, signature: str) -> bool:
        """Return whether *signature* (Base64) is this key's signature of *text*."""
        try:
            raw = base64.b64decode(signature, validate=True)
            self._key.verify(raw, text, _PADDING, _HASH)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def _private_key(text: str) -> RSAPrivateKey:
    if "-----BEGIN" in text:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    else:
        key = serialization.load_der_private_key(base64.b64decode(text), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("Not an RSA private key")  # noqa: TRY004 - bad text, not a bad call
    return key


def _public_key(text: str) -> RSAPublicKey:
    if "-----BEGIN" in text:
        key = serialization.load_pem_public_key(text.encode())
    else:
        key = serialization.load_der_public_key(base64.b64decode(text))
    if not isinstance(key, RSAPublicKey):
        raise ValueError("Not an RSA public key")  # noqa: TRY004 - bad text, not a bad call
    return key
