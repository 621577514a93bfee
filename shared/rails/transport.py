"""One HTTP call to a rail: an answer, or the reason why nobody knows."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDictProxy

from shared.rails.outcome import Unknown, UnknownReason


@dataclass(frozen=True)
class Timeouts:
    """Seconds of real time that a call to a rail may take."""

    connect_s: float = 3.0
    total_s: float = 10.0


@dataclass(frozen=True)
class Answer:
    """What came back, as bytes."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


async def send(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    timeouts: Timeouts,
) -> Answer | Unknown:
    """
    Send *body* once, without redirects and without a second try.

    A connection refused before anything was sent is ``NOT_REACHED``; even so the caller should
    query rather than assume, since a proxy may stand between.
    """
    limits = aiohttp.ClientTimeout(total=timeouts.total_s, sock_connect=timeouts.connect_s)
    try:
        async with session.request(
            method, url, data=body, headers=headers, timeout=limits, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.read())
    except TimeoutError:
        return Unknown(UnknownReason.TIMEOUT)
    except aiohttp.ClientConnectorError as error:
        return Unknown(UnknownReason.NOT_REACHED, type(error).__name__)
    except (aiohttp.ClientError, OSError) as error:
        return Unknown(UnknownReason.DISCONNECTED, type(error).__name__)
