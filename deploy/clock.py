"""Moves the test clock of a running platform from one due moment to the next, missing none."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp

QUIET_WITHIN_S: Final = 90.0
"""How long one moment's work may take before we give up and say who is busy."""
POLL_S: Final = 0.005
WAIT_S: Final = 1.0
"""How long one look waits at a process for it to become quiet."""
SERVER_AWAY_S: Final = 0.2


class NeverQuiet(Exception):
    """Some process stayed busy, or away, for too long; the text names it and its work."""


@dataclass(frozen=True)
class Participant:
    """A process that lives by the test clock; *url* is where its clock is read and set."""

    name: str
    url: str
    service: bool
    """Services are held while the clock moves; simulators speak for the outside world."""


@dataclass(frozen=True)
class _State:
    name: str
    busy: bool
    activity: int
    said: str
    next_due_at: datetime | None
    detail: str


class TestClockDriver:
    """
    Lets a whole platform live through time.

    All processes are quiet, then every clock moves to the earliest moment at which
    any of them has something to do, then we wait until all are quiet again.
    """

    __test__ = False

    def __init__(
        self,
        session: aiohttp.ClientSession,
        participants: Sequence[Participant],
        *,
        nats_monitor_url: str,
        quiet_within_s: float = QUIET_WITHIN_S,
    ) -> None:
        """Give up, and say who is busy, when one moment's work takes *quiet_within_s*."""
        self._quiet_within_s = quiet_within_s
        self._session = session
        self._participants = participants
        self._nats = f"{nats_monitor_url}/jsz?accounts=true&streams=true&consumers=true"
        self._rested: dict[str, _State] = {}
        self._moved: list[Participant] = []
        self._all_delivered: list[str] | None = None
        self.steps = 0

    async def now(self) -> datetime:
        """Return the platform's present moment."""
        async with self._session.get(self._participants[0].url) as answer:
            return datetime.fromisoformat((await answer.json())["now"])

    async def advance(
        self, to: datetime, *, on_step: Callable[[datetime], None] | None = None
    ) -> None:
        """
        Live until *to*, through every moment before it at which something is due.

        Raises:
            NeverQuiet: A process stayed busy or away for too long.
        """
        while True:
            due = await self.quiet()
            moment = min(due, to) if due else to
            await self._move(moment)
            self.steps += 1
            if on_step:
                on_step(moment)
            if moment == to:
                await self.quiet()
                return

    async def quiet(self) -> datetime | None:
        """
        Wait until nothing is under way; return when something will be due next.

        Two looks must find everybody idle with nothing done in between, and no event on
        its way between the two, or work could slip from one process to the next behind our
        back.  For those to whom the last move brought no work, the first look is the one
        before that move.
        """
        deadline = time.monotonic() + self._quiet_within_s
        before = {name: state.activity for name, state in self._rested.items()}
        before |= {state.name: state.activity for state in await self._look(self._moved)}
        self._moved = []
        while True:
            states = await self._look(self._participants)
            busy = [f"{state.name} ({state.detail})" for state in states if state.busy]
            said = [state.said for state in states]
            # Where all was delivered and nothing was said since, nothing is on its way.
            if not busy and said != self._all_delivered:
                if left := await self._undelivered():
                    busy = [left]
                else:
                    self._all_delivered = said
                    before = {}
            after = {state.name: state.activity for state in states}
            if not busy and after == before:
                self._rested = {state.name: state for state in states}
                return min((s.next_due_at for s in states if s.next_due_at), default=None)
            before = {} if busy else after
            if time.monotonic() > deadline:
                raise NeverQuiet(f"Still busy after {self._quiet_within_s} s: {', '.join(busy)}")
            if busy:
                await asyncio.sleep(POLL_S)

    async def _look(self, at: Sequence[Participant]) -> list[_State]:
        return await asyncio.gather(*map(self._state, at))

    async def _state(self, participant: Participant) -> _State:
        try:
            wait = {"wait_s": str(WAIT_S)}
            async with self._session.get(participant.url, params=wait) as answer:
                state = await answer.json()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await asyncio.sleep(SERVER_AWAY_S)
            return _State(participant.name, True, 0, "", None, f"away: {error!r}")
        due = state["next_due_at"]
        return _State(
            name=participant.name,
            busy=bool(state["busy"]),
            activity=int(state["activity"]),
            said=str(state.get("said", "")),
            next_due_at=datetime.fromisoformat(due) if due else None,
            detail=str(state.get("waiting_for", "")),
        )

    async def _undelivered(self) -> str:
        """Return which consumers have events they did not settle, or an empty text."""
        try:
            async with self._session.get(self._nats) as answer:
                report = await answer.json()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return f"nats: {error!r}"
        return " ".join(consumer["name"] for consumer in _consumers(report) if _unsettled(consumer))

    async def _move(self, moment: datetime) -> None:
        """
        Move every clock; nobody acts before all have moved.

        Who alone has something to do moves last.  Where several have, services are held
        before and freed after, all of them if a simulator is among those: it acts as it moves.
        """
        dues = {name: state.next_due_at for name, state in self._rested.items()}
        due = [p for p in self._participants if (at := dues.get(p.name)) and at <= moment]
        if len(due) > 1 and not all(p.service for p in due):
            due = [p for p in self._participants if p.service or p in due]
        held = [p for p in due if p.service] if len(due) > 1 else []
        last = held or due
        now = {"now": moment.isoformat()}
        await asyncio.gather(*(self._put(p, now | {"hold": True}) for p in held))
        await asyncio.gather(*(self._put(p, now) for p in self._participants if p not in last))
        await asyncio.gather(*(self._put(p, now) for p in last))
        self._moved = due

    async def _put(self, participant: Participant, body: dict[str, Any]) -> None:
        deadline = time.monotonic() + self._quiet_within_s
        while True:
            try:
                async with self._session.put(participant.url, json=body) as answer:
                    if answer.ok:
                        return
                    problem = await answer.text()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                problem = repr(error)
            if time.monotonic() > deadline:
                raise NeverQuiet(f"{participant.name} does not take the time: {problem}")
            await asyncio.sleep(SERVER_AWAY_S)


def _consumers(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        consumer
        for account in report.get("account_details") or []
        for stream in account.get("stream_detail") or []
        for consumer in stream.get("consumer_detail") or []
    ]


def _unsettled(consumer: dict[str, Any]) -> bool:
    return bool(consumer["num_pending"] or consumer["num_ack_pending"])
