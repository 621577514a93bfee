"""Waiting for a condition, with a deadline, instead of sleeping for luck."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def until(
    condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 10.0, why: str = ""
) -> None:
    """Return as soon as *condition* holds; fail when it does not within *within_s*."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"Not within {within_s} s: {why or condition}")
