"""A time-stamping authority, spoken to by RFC 3161 over HTTP; only a hash leaves the house."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

import aiohttp
from cryptography.x509 import Certificate

from services.signing.domain.errors import ProviderRefused, ProviderSilent
from shared import time_stamp
from shared.rails.outcome import Unknown
from shared.rails.transport import Timeouts, send
from shared.time_stamp import StampInvalid, StampRefused


@dataclass(frozen=True, slots=True)
class Stamped:
    """An answer that holds, the moment it states, and what it was checked against (PEM)."""

    answer: bytes
    at: datetime
    roots: str


class TimeStamper(Protocol):
    """Whoever confirms that something existed at a moment."""

    async def stamp(self, statement: bytes) -> Stamped:
        """
        Return a stamp over *statement*; asking again makes another one.

        Raises:
            ProviderSilent: There was no answer, or none that holds.
            ProviderRefused: The authority does not want to.
        """
        ...


class Rfc3161Stamper:
    """An authority by RFC 3161, 3.4: one POST, one answer."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, roots: bytes) -> None:
        """
        Take the certificates, PEM, under which answers must be signed.

        Raises:
            StampInvalid: *roots* holds no certificate.
        """
        self._session = session
        self._url = url
        self._roots: Sequence[Certificate] = time_stamp.load_roots(roots)
        self._roots_pem = roots.decode()

    async def stamp(self, statement: bytes) -> Stamped:
        """Return a stamp over *statement*, checked: hash, nonce, signature, purpose, chain."""
        question = time_stamp.ask(statement)
        answer = await send(
            self._session,
            "POST",
            self._url,
            body=question.body,
            headers={"Content-Type": time_stamp.ASKS, "Accept": time_stamp.ANSWERS},
            timeouts=Timeouts(),
        )
        if isinstance(answer, Unknown) or answer.status != HTTPStatus.OK:
            raise ProviderSilent("The time-stamping authority did not answer.")
        try:
            stamp = time_stamp.read(answer.body, statement, self._roots, nonce=question.nonce)
        except StampRefused as error:
            raise ProviderRefused(str(error)) from error
        except StampInvalid as error:
            raise ProviderSilent(str(error)) from error
        return Stamped(answer.body, stamp.at, self._roots_pem)
