"""Holding calls back to what a provider allows."""

import asyncio
from collections import deque


class Pace:
    """At most *count* calls in any *span_s* seconds of real time; 0 is no limit."""

    def __init__(self, count: int, *, span_s: float) -> None:
        self._count = count
        self._span_s = span_s
        self._calls: deque[float] = deque()
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Return when one more call may be made; those who wait go in order."""
        if not self._count:
            return
        loop = asyncio.get_running_loop()
        async with self._turn:
            if len(self._calls) == self._count:
                oldest = self._calls.popleft()
                await asyncio.sleep(max(0.0, oldest + self._span_s - loop.time()))
            self._calls.append(loop.time())
