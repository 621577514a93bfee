"""One HTTP call to a rail: an answer, or the reason why nobody knows."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
from multidict import CIMultiDictProxy

from shared.rails.outcome import Unknown, UnknownReason

DOWNLOAD_S: Final = 900.0
"""Seconds of real time that a file may take."""

_PIECE: Final = 256 * 1024


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


async def download(
    session: aiohttp.ClientSession,
    url: str,
    into: Path,
    *,
    headers: Mapping[str, str],
    limit_bytes: int,
    total_s: float,
) -> Unknown | None:
    """
    Write what *url* answers to the file *into*, piece by piece; None says that all is there.

    Compressed content stays compressed. More than *limit_bytes* is an odd body.
    """
    limits = aiohttp.ClientTimeout(total=total_s, sock_connect=Timeouts().connect_s)
    try:
        async with session.get(
            url, headers=headers, timeout=limits, allow_redirects=False, auto_decompress=False
        ) as response:
            if response.status != HTTPStatus.OK:
                return Unknown(UnknownReason.HTTP_STATUS, str(response.status))
            with await asyncio.to_thread(into.open, "wb") as file:
                async for piece in response.content.iter_chunked(_PIECE):
                    limit_bytes -= len(piece)
                    if limit_bytes < 0:
                        return Unknown(UnknownReason.ODD_BODY, "too large")
                    await asyncio.to_thread(file.write, piece)
    except TimeoutError:
        return Unknown(UnknownReason.TIMEOUT)
    except (aiohttp.ClientError, ValueError) as error:
        return Unknown(UnknownReason.DISCONNECTED, type(error).__name__)
    return None
