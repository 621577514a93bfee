"""Three tables - endpoints, consumers, jobs - become a process that starts, tells and stops."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import aiohttp
import nats
import structlog
from aiohttp import web
from nats.aio.client import Client

from shared import asyncapi, logs, metrics, tracing, upkeep
from shared.bus import Bus, Subscription
from shared.clock import Clock, SystemClock, TestClock
from shared.db import Database
from shared.events import Event
from shared.jobs import Daily, Job, Runner
from shared.operations import operations_api
from shared.outbox import Relay
from shared.settings import ServiceSettings
from shared.web import ACTIVITY, Activity, Api, HasDatabase
from shared.web.serve import add_api

log = structlog.get_logger()

S = TypeVar("S", bound=ServiceSettings)
D = TypeVar("D", bound=HasDatabase)

CLOCK_TIMEOUT_S: Final = 10.0
CANCEL_AGAIN_S: Final = 1.0
QUIET_LOOK_S: Final = 0.005
FORGETTING: Final[Daily[Any]] = Daily("forget_old", 4, 0, upkeep.forget_old)


@dataclass(frozen=True)
class Service(Generic[S, D]):
    """
    What a service is made of.

    *says* are the events it publishes, for its AsyncAPI document.
    *open_deps* gets the settings, the database and the clock, and yields what use
    cases need from outside; it closes that when the process stops.
    """

    name: str
    settings: type[S]
    api: Api[D]
    consumers: Sequence[Subscription[D]]
    jobs: Sequence[Job[D]]
    open_deps: Callable[[S, Database, Clock], AbstractAsyncContextManager[D]]
    says: Sequence[type[Event]] = ()


def run(service: Service[Any, Any]) -> None:
    """Run *service* until SIGTERM or SIGINT; settings come from the environment."""
    asyncio.run(_main(service, service.settings()))


async def _main(service: Service[Any, Any], settings: ServiceSettings) -> None:
    logs.configure(service.name, settings.log_level)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(service, settings) as process:
        log.info("service.started", service=service.name, port=process.port)
        done, _ = await asyncio.wait(
            [asyncio.create_task(stop.wait()), *process.tasks],
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in done:
            task.result()  # a background task ends only by failing: so does the process
    log.info("service.stopped", service=service.name)


class Process:
    """One running process of a service, seen from inside."""

    def __init__(
        self, *, db: Database, clock: Clock, bus: Bus[Any], jobs: Runner[Any], relay: Relay
    ) -> None:
        self.db = db
        self.clock = clock
        self.bus = bus
        self.jobs = jobs
        self.relay = relay
        self.broker: Any = None
        self.requests = Activity()
        self.tasks: list[asyncio.Task[None]] = []
        self.port = 0

    async def ready(self) -> bool:
        """Return whether database and bus answer; without them we are of no use."""
        return await self.db.ping() and self.broker is not None and await self.broker.ping(1.0)

    def state_of_work(self) -> dict[str, object]:
        """Tell what a test clock must know: is all quiet, and when is something due next."""
        waiting = [*self.jobs.busy]
        waiting += ["relay"] if not self.relay.idle else []
        waiting += ["bus"] if self.bus.busy else []
        waiting += ["http"] if self.requests.in_flight else []
        next_due_at = self.jobs.next_due_at
        return {
            "now": self.clock.now().isoformat(),
            "next_due_at": next_due_at.isoformat() if next_due_at else None,
            "busy": bool(waiting),
            "waiting_for": waiting,
            "said": f"{os.getpid()}:{self.relay.published}",
            "activity": self.bus.activity
            + self.jobs.activity
            + self.relay.published
            + self.requests.served,
        }


@asynccontextmanager
async def running(service: Service[S, D], settings: S) -> AsyncIterator[Process]:
    """Run *service* while the context is open; leaving it finishes what is under way."""
    async with AsyncExitStack() as stack:
        tracing.configure(service.name, otlp_endpoint=settings.otlp_endpoint)
        stack.callback(tracing.shut_down)
        clock = await clock_of(settings.clock_url)
        db = await Database.open(
            settings.dsn.get_secret_value(),
            schema=service.name,
            name=service.name,
            size=settings.pool_size,
        )
        stack.push_async_callback(db.close)
        deps = await stack.enter_async_context(service.open_deps(settings, db, clock))
        client = await _connect(service.name, settings)
        stack.push_async_callback(client.close)
        process = Process(
            db=db,
            clock=clock,
            bus=Bus(
                service.name,
                service.consumers,
                db=db,
                clock=clock,
                deps=deps,
                retry_after_s=settings.bus_retry_s,
            ),
            jobs=Runner(
                (*service.jobs, FORGETTING),
                db=db,
                clock=clock,
                deps=deps,
                pause_s=settings.job_pause_s,
            ),
            relay=Relay(db, client.jetstream(timeout=5), source=f"/yuefu/{service.name}"),
        )
        process.broker = await stack.enter_async_context(
            process.bus.listening(settings.nats_url, nkey_seed=_seed(settings))
        )
        await stack.enter_async_context(_background(process))
        await stack.enter_async_context(_serving(service, settings, process, deps))
        yield process


@asynccontextmanager
async def _background(process: Process) -> AsyncIterator[None]:
    process.tasks = [
        asyncio.create_task(process.relay.run(), name="relay"),
        asyncio.create_task(process.jobs.run(), name="jobs"),
        asyncio.create_task(upkeep.watch(process.db), name="watch"),
    ]
    try:
        yield
    finally:
        await process.jobs.stop()
        await _cancel(process.tasks)
        with contextlib.suppress(Exception):
            await process.relay.publish_batch()


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: before Python 3.12 ``wait_for`` may swallow a cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)


@asynccontextmanager
async def _serving(
    service: Service[Any, D], settings: ServiceSettings, process: Process, deps: D
) -> AsyncIterator[None]:
    app = web.Application()
    whole: Api[D] = Api(title=service.api.title, version=service.api.version)
    whole.description = service.api.description
    whole.endpoints = [
        *service.api.endpoints,
        *operations_api(process.bus).endpoints,
    ]
    add_api(whole, app, deps)
    process.requests = app[ACTIVITY]
    _add_probes(app, process)
    _add_asyncapi(app, service)
    # Packed bodies stay packed: signatures are over what was sent, and nothing can swell.
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=settings.shutdown_s, auto_decompress=False
    )
    await runner.setup()
    site = web.TCPSite(runner, settings.host, settings.port, reuse_port=True)
    await site.start()
    process.port = runner.addresses[0][1]
    try:
        yield
    finally:
        await runner.cleanup()


def _add_probes(app: web.Application, process: Process) -> None:
    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def readyz(_: web.Request) -> web.Response:
        ready = await process.ready()
        return web.json_response({"ok": ready}, status=200 if ready else 503)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics.show)
    if isinstance(process.clock, TestClock):
        _add_test_clock(app, process, process.clock)


def _add_asyncapi(app: web.Application, service: Service[Any, Any]) -> None:
    heard = [on.event for on in service.consumers]
    document = asyncapi.document(service.name, says=service.says, hears=heard)

    async def show(_: web.Request) -> web.Response:
        return web.json_response(document)

    app.router.add_get("/asyncapi.json", show)


def _add_test_clock(app: web.Application, process: Process, clock: TestClock) -> None:
    """
    Let an operator move time; these routes exist only under a test clock.

    GET tells how the work stands; with ``?wait_s=`` it waits so long for quiet.
    PUT ``{"now", "hold"}``: with *hold* time moves but no job starts, until another
    PUT says that every process has arrived at the same moment.
    """

    async def read(request: web.Request) -> web.Response:
        state = process.state_of_work()
        deadline = time.monotonic() + float(request.query.get("wait_s", 0))
        while state["busy"] and time.monotonic() < deadline:
            await asyncio.sleep(QUIET_LOOK_S)
            state = process.state_of_work()
        return web.json_response(state)

    async def move(request: web.Request) -> web.Response:
        wanted = await request.json()
        process.jobs.hold(held=bool(wanted.get("hold", False)))
        clock.set(max(clock.now(), datetime.fromisoformat(wanted["now"])))
        if not wanted.get("hold", False):
            process.jobs.ring()
        return web.json_response(process.state_of_work())

    app.router.add_get("/ops/clock", read)
    app.router.add_put("/ops/clock", move)


async def clock_of(clock_url: str | None) -> Clock:
    """Return the machine's clock, or a test clock that stands where *clock_url* says."""
    if clock_url is None:
        return SystemClock()
    timeout = aiohttp.ClientTimeout(total=CLOCK_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(clock_url) as answer:
        return TestClock(datetime.fromisoformat((await answer.json())["now"]))


async def _connect(name: str, settings: ServiceSettings) -> Client:
    async def complain(error: Exception) -> None:
        log.warning("nats.error", error=repr(error))

    return await nats.connect(
        settings.nats_url,
        name=f"{name}-relay",
        nkeys_seed_str=_seed(settings),
        inbox_prefix=f"_INBOX_{name}".encode(),
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        ping_interval=10,
        error_cb=complain,
    )


def _seed(settings: ServiceSettings) -> str | None:
    seed = settings.nats_nkey_seed
    return seed.get_secret_value() if seed else None
