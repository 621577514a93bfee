"""A lean HTTP/1.1 client for load: prepared bytes out, status and length in."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: seconds each request took, in no order."""

    seconds: Sequence[float]

    @property
    def p99_ms(self) -> float:
        """Return the time within which 99 of 100 requests were answered."""
        return quantiles(self.seconds, n=100)[98] * 1000


async def load(
    url: str, request: Callable[[int], bytes], *, count: int, connections: int
) -> Answered:
    """
    Send *count* requests over *connections* kept alive, each waiting for its answer.

    Raises:
        RuntimeError: An answer is not 201.
    """
    where = urlsplit(url)
    numbers = iter(range(count))
    seconds: list[float] = []

    async def work() -> None:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        for number in numbers:
            raw = request(number)
            began_s = time.perf_counter()
            writer.write(raw)
            await _answer(reader)
            seconds.append(time.perf_counter() - began_s)
        writer.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return Answered(seconds)


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 201"):
        raise RuntimeError(f"{head.decode()}{body.decode()}")


def post(url: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return the bytes of one POST of JSON."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
