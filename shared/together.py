"""Small statements of many callers, sent to the database together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar

I = TypeVar("I")  # noqa: E741 - what goes in
O = TypeVar("O")  # noqa: E741 - what comes out

MOST: Final = 100
"""How many items one statement takes."""


class Together(Generic[I, O]):
    """
    Runs what arrives while the run before is under way as one batch.

    An item that comes alone waits for nobody.  If a batch fails, all of it fails.
    """

    def __init__(self, run: Callable[[Sequence[I]], Awaitable[Sequence[O]]]) -> None:
        self._run = run
        self._waiting: list[tuple[I, asyncio.Future[O]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: I) -> O:
        """Return what the batch made of *item*, or raise what it raised."""
        future: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._task is None or self._task.done():
            # A context of its own: a batch belongs to no single caller's trace or log.
            self._task = asyncio.create_task(self._work_off(), context=Context())
        return await future

    async def _work_off(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            try:
                results = await self._run([item for item, _ in batch])
            except BaseException as error:  # noqa: BLE001 - each waiter raises it
                stopped = isinstance(error, asyncio.CancelledError)
                failure = ConnectionError("stopped") if stopped else error
                for _, future in batch:
                    if not future.done():
                        future.set_exception(failure)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
