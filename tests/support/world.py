"""All services and the whole outside in one process, and a clock that moves when it is told to."""

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

from deploy.audit import audit
from deploy.environment import (
    SIMULATORS,
    Surroundings,
    service_environment,
    simulator_environment,
)
from deploy.running import RunningPlatform
from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.card_aggregator import CardSandbox
from deploy.sandbox.kit import Options, Sandbox
from deploy.sandbox.providers import SIMULATORS as PROVIDERS
from deploy.sandbox.wechatpay import WechatPaySandbox
from deploy.schemas import AUDITOR
from deploy.secrets import Secrets
from deploy.topology import SERVICES, present
from shared.api_keys import install_key, new_token
from shared.bus import BATCH, Bus, On, OnMany, durable
from shared.clock import TestClock
from shared.errors import Problem
from shared.events import Event
from shared.jobs import Daily, Due, Runner
from shared.operations import operations_api
from shared.outbox import Relay
from shared.service import Service
from shared.web import Api, Limits
from shared.web.serve import add_api
from tests.support.servers import TestDatabases
from tests.support.world_parts import Crash, MortalDatabase, Streams, hang_up, listening, served

OUTSIDE: Final[dict[str, Callable[[Options], Sandbox]]] = {
    "alipay": AlipaySandbox,
    "wechatpay": WechatPaySandbox,
    "bankcard": CardSandbox,
    **PROVIDERS,
}
STEPS_MAX: Final = 2000
"""Rounds of work at one moment; more means that something is due for ever."""
SETTLE_S: Final = 60.0
_NO_PACE: Final = {"JUSHUITAN_CALLS_PER_SECOND": "0", "JUSHUITAN_CALLS_PER_MINUTE": "0"}


@dataclass
class Member:
    """One running process of a service."""

    service: Service[Any, Any]
    db: MortalDatabase
    deps: Any
    bus: Bus[Any]
    jobs: Runner[Any]
    relay: Relay
    outbox_bell: asyncio.Event
    stack: AsyncExitStack


@dataclass(eq=False)
class World:
    """
    Services, simulators and time.

    What one moment brings is done in rounds until nothing is left: simulators send,
    jobs that are due run, outboxes are relayed, events are applied through each
    service's own bus, inbox and all.  An event that is refused comes again in the
    next round; one that stays refused when all is quiet waits in ``refused``.
    """

    databases: TestDatabases
    database: str
    clock: TestClock
    around: Surroundings
    operator: str
    session: aiohttp.ClientSession
    members: dict[str, Member] = field(default_factory=dict)
    outside: dict[str, Sandbox] = field(default_factory=dict)
    streams: Streams = field(default_factory=Streams)
    nightly: bool = False
    """Whether jobs of the night run each night; else only when ``night`` is called."""
    refused: dict[str, list[Event]] = field(default_factory=dict)
    why: dict[str, Exception] = field(default_factory=dict)
    crashes: int = 0
    on_start: Callable[[str, MortalDatabase], None] | None = None
    """Told of each process of a service as it starts, also after a crash."""
    _sockets: dict[str, socket.socket] = field(default_factory=dict)

    # Services

    async def start(self, name: str) -> None:
        """Start a process of a service on what the last one left."""
        service: Service[Any, Any] = import_module(f"services.{name}.app").SERVICE
        settings = self._settings(service)
        stack = AsyncExitStack()
        db = await MortalDatabase.open(
            settings.dsn.get_secret_value(), schema=name, name=name, size=6
        )
        stack.push_async_callback(db.close)
        deps = await stack.enter_async_context(service.open_deps(settings, db, self.clock))
        bus = Bus(name, service.consumers, db=db, clock=self.clock, deps=deps)
        due = [job for job in service.jobs if self.nightly or isinstance(job, Due)]
        jobs = Runner(due, db=db, clock=self.clock, deps=deps, pause_s=0)
        bell = db.committed.subscribe()
        bell.set()
        relay = Relay(db, self.streams, source=f"/yuefu/{name}")
        await stack.enter_async_context(self._serving(service, bus, deps))
        self.members[name] = Member(service, db, deps, bus, jobs, relay, bell, stack)
        if self.on_start is not None:
            self.on_start(name, db)

    async def stop(self, name: str) -> None:
        """End the process of a service."""
        await self.members.pop(name).stack.aclose()

    async def revive(self) -> None:
        """Start again what has died."""
        for name in [name for name, member in self.members.items() if member.db.dead]:
            self.crashes += 1
            await self.stop(name)
            await self.start(name)

    def _settings(self, service: Service[Any, Any]) -> Any:
        name = service.name
        port = self._sockets[name].getsockname()[1]
        told = service_environment(name, self.around, port=port)
        told |= {f"{name.upper()}_{key}": value for key, value in _NO_PACE.items()}
        known = service.settings.model_fields
        values = {key.removeprefix(f"{name.upper()}_").lower(): one for key, one in told.items()}
        return service.settings(**{key: one for key, one in values.items() if key in known})

    @asynccontextmanager
    async def _serving(
        self, service: Service[Any, Any], bus: Bus[Any], deps: Any
    ) -> AsyncIterator[None]:
        whole: Api[Any] = Api(title=service.api.title, version=service.api.version)
        whole.description = service.api.description
        whole.endpoints = [*service.api.endpoints, *operations_api(bus).endpoints]
        app = web.Application(middlewares=[hang_up])
        limits = Limits(per_key_per_s=1e6, per_key_burst=1_000_000, lookups_per_s=1e6)
        add_api(whole, app, deps, limits=limits, clock=self.clock)
        async with served(app, self._sockets[service.name]):
            yield

    # Time

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def next_due_at(self) -> datetime | None:
        """Return the next moment at which anybody has something to do."""
        moments = [member.jobs.next_due_at for member in self.members.values()]
        moments += [sandbox.timeline.next_due_at() for sandbox in self.outside.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    async def until(self, moment: datetime) -> None:
        """Live until *moment*, through every moment before it at which something is due."""
        await self.settle()
        while self.now < moment:
            due = self.next_due_at()
            self.clock.set(max(self.now, min(due, moment) if due else moment))
            await self.settle()

    async def pass_time(self, **delta: float) -> None:
        await self.until(self.now + timedelta(**delta))

    async def settle(self) -> None:
        """Do everything that this moment brings."""
        for _ in range(STEPS_MAX):
            before = self._activity()
            ran = await self._round()
            await self.revive()
            if not ran and self._activity() == before:
                return
        raise AssertionError(f"Never quiet at {self.now}: {ran}")

    async def night(self) -> None:
        """Run every job of the night once, whatever the hour."""
        for member in list(self.members.values()):
            for job in member.service.jobs:
                if isinstance(job, Daily):
                    await job.run(member.deps)
        await self.settle()

    async def drain(self) -> list[str]:
        """Settle, and return the subjects told meanwhile, in the order of their telling."""
        seen = len(self.streams.told)
        await self.settle()
        return [told.subject for told in self.streams.told[seen:]]

    async def _round(self) -> list[str]:
        try:
            await self._outside()
            ran = await self._jobs()
            ran += await self._publish()
            ran += await self._deliver()
        except Crash:
            return ["crash"]
        return ran

    def _activity(self) -> int:
        return sum(sandbox.activity for sandbox in self.outside.values()) + self.crashes

    async def _outside(self) -> None:
        for sandbox in self.outside.values():
            if sandbox.now() < self.now or sandbox.timeline.busy():
                await sandbox.timeline.release(self.now, wait_s=SETTLE_S)

    async def _jobs(self) -> list[str]:
        ran: list[str] = []
        for name, member in self.members.items():
            ran += [f"{name}.{job}" for job in await member.jobs.step()]
        return ran

    async def _publish(self) -> list[str]:
        ran: list[str] = []
        for name, member in self.members.items():
            if not member.outbox_bell.is_set():
                continue
            member.outbox_bell.clear()
            while await member.relay.publish_batch():
                ran.append(f"{name}.relay")
        return ran

    async def _deliver(self) -> list[str]:
        fresh: dict[str, list[Event]] = defaultdict(list)
        for told in self.streams.take():
            for consumer, _, on in self._readers(told.subject):
                fresh[consumer].append(on.event.model_validate_json(told.body))
        again, self.refused = self.refused, {}
        applied: list[str] = []
        try:
            while waiting := [*again.keys(), *(name for name in fresh if name not in again)]:
                consumer = waiting[0]
                events = [*again.get(consumer, []), *fresh.get(consumer, [])]
                if await self._apply(consumer, events, known=len(again.get(consumer, []))):
                    applied.append(consumer)
                again.pop(consumer, None)
                fresh.pop(consumer, None)
        except Crash:
            for consumer in {*again, *fresh}:
                left = [*again.get(consumer, []), *fresh.get(consumer, [])]
                self.refused[consumer] = [*left, *self.refused.get(consumer, [])]
            raise
        return applied

    async def _apply(self, consumer: str, events: Sequence[Event], *, known: int) -> bool:
        """Apply as the bus does: together, and one by one when that fails."""
        member = self.members[consumer.partition("__")[0]]
        moved = len(events) > known
        for start in range(0, len(events), BATCH):
            batch = events[start : start + BATCH]
            try:
                await member.bus.apply(consumer, batch)
                moved = True
                continue
            except Problem:
                moved = await self._one_by_one(member, consumer, batch) or moved
        return moved

    async def _one_by_one(self, member: Member, consumer: str, events: Sequence[Event]) -> bool:
        moved = False
        for event in events:
            try:
                await member.bus.apply(consumer, [event])
                moved = True
            except Problem as error:
                self.refused.setdefault(consumer, []).append(event)
                self.why[consumer] = error
        return moved

    def _readers(
        self, subject: str
    ) -> Iterable[tuple[str, Member, On[Any, Any] | OnMany[Any, Any]]]:
        for name, member in self.members.items():
            for on in member.service.consumers:
                if on.event.subject == subject:
                    yield durable(name, on.event), member, on

    # Looking

    async def rows(self, service: str, query: str, *values: object) -> list[dict[str, Any]]:
        """Return what a service's own tables hold."""
        await self.revive()
        async with self.members[service].db.connection() as conn:
            return [dict(row) for row in await conn.fetch(query, *values)]

    async def value(self, service: str, query: str, *values: object) -> Any:
        found = await self.rows(service, query, *values)
        return next(iter(found[0].values())) if found else None

    def told(self, subject: str) -> list[dict[str, Any]]:
        """Return the events of one class, in order; moments are moments again."""
        bodies = [orjson.loads(one.body) for one in self.streams.told if one.subject == subject]
        for body in bodies:
            body["occurred_at"] = datetime.fromisoformat(body["occurred_at"])
        return bodies

    def books(self, simulator: str, kind: str) -> list[dict[str, Any]]:
        """Return what a simulator has written down."""
        return list(self.outside[simulator].books.all(kind))

    def fault(self, simulator: str, account: str, *steps: Mapping[str, Any]) -> None:
        """Let things go wrong for one account of a simulator, step by step."""
        self.outside[simulator].faults.set(account, [dict(step) for step in steps])

    def assert_nothing_refused(self) -> None:
        """Fail if an event was refused to the end: it would be a dead letter by now."""
        left = {name: len(events) for name, events in self.refused.items()}
        assert left == {}, {name: repr(self.why[name]) for name in left}

    async def assert_books_agree(self) -> None:
        """Let the platform prove itself, as its operator would, down to the last fen."""
        self.assert_nothing_refused()
        running = RunningPlatform(
            services=self.around.services,
            simulators=self.around.simulators,
            processes=self.around.services,
            operator_key=self.operator,
            auditor_dsn=self.databases.dsn(self.database, role=AUDITOR),
            nats_url="",
            nats_monitor_url="",
            nats_bootstrap_seed="",
            test_clock=True,
        )
        findings = await audit(running, again_after_s=0)
        assert len(findings) > 0
        differing = [f"{one.check}: {one.detail} {one.ids}" for one in findings if not one.ok]
        assert not differing, "\n".join(differing)

    # HTTP

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str,
        idempotency_key: str = "",
    ) -> tuple[int, Any]:
        """Call a service as its callers do; return the status and what was answered."""
        await self.revive()
        headers = {"Authorization": f"Bearer {key}"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        url = f"{self.around.services[service]}{path}"
        async with self.session.request(method, url, json=body, headers=headers) as answer:
            raw = await answer.read()
            if "json" in answer.content_type:
                return answer.status, await answer.json(content_type=None)
            return answer.status, raw

    async def act(self, simulator: str, method: str, path: str, body: object) -> Any:
        """Do what a person does at a provider."""
        status, answer = await self.try_to_act(simulator, method, path, body)
        assert status == 200, f"{simulator} {path}: {answer}"
        return answer

    async def try_to_act(
        self, simulator: str, method: str, path: str, body: object
    ) -> tuple[int, Any]:
        """Do what a provider may refuse; return the status and what it said."""
        url = f"{self.around.simulators[simulator]}{path}"
        async with self.session.request(method, url, json=body) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def world_of(
    databases: TestDatabases,
    directory: Path,
    secrets: Secrets,
    *,
    now: datetime,
    nightly: bool = False,
) -> AsyncIterator[World]:
    """Make a world with an empty database; *directory* holds the parties' keys in ``keys``."""
    names = present()
    async with AsyncExitStack() as stack:
        sockets = {name: stack.enter_context(listening()) for name in (*names, *OUTSIDE)}
        urls = {name: f"http://127.0.0.1:{one.getsockname()[1]}" for name, one in sockets.items()}
        database = await stack.enter_async_context(databases.fresh_name(*SERVICES))
        around = Surroundings(
            directory=directory,
            secrets=secrets,
            dsns={name: databases.dsn(database, role=name) for name in names},
            nats_url="nats://unused",
            services={name: urls[name] for name in names},
            simulators={name: urls[name] for name in OUTSIDE},
            clock_url=None,
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        world = World(
            databases=databases,
            database=database,
            clock=TestClock(now),
            around=around,
            operator=new_token("live"),
            session=session,
            nightly=nightly,
            _sockets=sockets,
        )
        for name, build in OUTSIDE.items():
            world.outside[name] = build(_options(around, now))
            await stack.enter_async_context(served(world.outside[name].app, sockets[name]))
        stack.push_async_callback(_stop_all, world)
        for name in names:
            await world.start(name)
            await let_in(world, name, world.operator, tenant_id=None, scopes=["*"])
        yield world


async def let_in(
    world: World, service: str, key: str, *, tenant_id: Any, scopes: Sequence[str]
) -> None:
    """Let *key* open *service*."""
    async with world.members[service].db.transaction() as conn:
        await install_key(
            conn, key, tenant_id=tenant_id, scopes=list(scopes), name="test", now=world.now
        )


async def _stop_all(world: World) -> None:
    for name in list(world.members):
        await world.stop(name)


def _options(around: Surroundings, now: datetime) -> Options:
    told = simulator_environment(SIMULATORS[0], around)
    extra = {name.removeprefix("SANDBOX_").lower(): value for name, value in told.items()}
    free = {"jst_calls_per_second": "0", "jst_calls_per_minute": "0"}
    return Options(keys=around.keys, now=now, extra=extra | free)
