"""What a simulator will do and when, in business time."""

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from deploy.sandbox.kit_books import Books, Doc
from shared.clock import Clock, TestClock
from shared.ids import new_id

log = logging.getLogger("sandbox")

AT_ONCE: Final = 64
"""Actions of one moment that run side by side."""

_KIND: Final = "_timeline"


@dataclass(frozen=True, order=True)
class _Action:
    due: datetime
    order: int
    act: Callable[[], Awaitable[None]] = field(compare=False)
    key: str = field(compare=False, default="")


class Timeline:
    """
    Actions ordered by their due moment.

    Durable ones are named by kind with a JSON payload and survive a restart of the simulator;
    the handlers in ``kinds`` must be registered before ``start``.
    """

    def __init__(self, clock: Clock, books: Books, did: Callable[[], None]) -> None:
        """Use *clock*; remember durable actions in *books*; call *did* after each action."""
        self.kinds: dict[str, Callable[[Doc], Awaitable[None]]] = {}
        self._clock = clock
        self._books = books
        self._did = did
        self._heap: list[_Action] = []
        self._order = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._releases: set[asyncio.Task[None]] = set()

    def at(self, moment: datetime, act: Callable[[], Awaitable[None]], *, key: str = "") -> None:
        """Run *act* at *moment*, or at once when that is not in the future."""
        self._order += 1
        action = _Action(moment, self._order, act, key)
        if moment <= self._clock.now():
            self._spawn(action)
        else:
            heapq.heappush(self._heap, action)
            self._news.set()

    def later(self, moment: datetime, kind: str, payload: Doc) -> None:
        """Run the handler of *kind* with *payload* at *moment*; durable."""
        key = str(new_id())
        self._books.put(_KIND, key, {"due": moment.isoformat(), "kind": kind, "payload": payload})
        self.at(moment, lambda: self.kinds[kind](payload), key=key)

    def next_due_at(self) -> datetime | None:
        """Return the earliest moment that waits, if any."""
        return self._heap[0].due if self._heap else None

    def busy(self) -> bool:
        """Return whether something runs or is due."""
        if self._tasks or self._releases:
            return True
        return bool(self._heap) and self._heap[0].due <= self._clock.now()

    async def release(self, until: datetime, *, wait_s: float) -> None:
        """Run what is due up to *until*; stop waiting, not running, after *wait_s*."""
        task = asyncio.create_task(self._release(until))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)
        await asyncio.wait({task}, timeout=wait_s)

    def start(self, *, real_time: bool) -> None:
        """Take up what a former process left undone; on real time, start to watch the clock."""
        left = sorted(self._books.items(_KIND), key=lambda item: (item[1]["due"], item[0]))
        for key, doc in left:
            handler = self.kinds[doc["kind"]]
            self.at(datetime.fromisoformat(doc["due"]), _bound(handler, doc["payload"]), key=key)
        if real_time:
            self._pump = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop what runs; durable actions will be taken up by the next process."""
        tasks = [*self._tasks, *self._releases, *([self._pump] if self._pump else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _release(self, until: datetime) -> None:
        async with self._turn:
            await self._settle()
            while self._heap and self._heap[0].due <= until:
                moment = self._heap[0].due
                self._move_to(moment)
                while self._heap and self._heap[0].due == moment:
                    self._spawn(heapq.heappop(self._heap))
                await self._settle()
            self._move_to(until)

    def _move_to(self, moment: datetime) -> None:
        if isinstance(self._clock, TestClock) and moment > self._clock.now():
            self._clock.set(moment)

    async def _settle(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def _spawn(self, action: _Action) -> None:
        task = asyncio.create_task(self._run(action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, action: _Action) -> None:
        async with self._gate:
            try:
                await action.act()
            except Exception:
                log.exception("timed action failed")
            if action.key:
                self._books.drop(_KIND, action.key)
            self._books.commit()
            self._did()

    async def _watch(self) -> None:
        while True:
            self._news.clear()
            due = self.next_due_at()
            wait_s = None if due is None else max(0.0, (due - self._clock.now()).total_seconds())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            await self._release(self._clock.now())


def _bound(
    handler: Callable[[Doc], Awaitable[None]], payload: Doc
) -> Callable[[], Awaitable[None]]:
    return lambda: handler(payload)
