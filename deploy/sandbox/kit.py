"""
What every provider simulator shares: control endpoints, business clock, books, faults, sends.

Endpoints of every simulator, beside those of the provider that it stands for:

* ``GET /_sandbox/clock``: ``{"now", "next_due_at", "busy", "activity"}``; ``busy`` while a request
  or an action runs or is due, ``activity`` grows with each of them.  ``?wait_s=S`` waits so long
  for quiet.  Simulators that share a process share its clock: any of them answers for all.
* ``PUT /_sandbox/clock`` ``{"now": iso}``: move the business clock; actions due by then run first,
  in order, each at its own due moment.  After five seconds it answers although some still run
  (``busy`` tells).  Moving back is a 409; so is moving a simulator on real time.
* ``GET /_sandbox/books[?kind=K]``: the simulator's own books.
* ``PUT /_sandbox/faults/{account}`` ``{"steps": [...]}``, ``GET``, ``DELETE``: the fault script.
* ``GET /healthz``.

A fault step is ``{"on": "pay", "do": "decline:CODE", "times": 1, "until": iso}``.  ``on`` names a
call of the simulator (its own docstring lists them) or is ``*``; ``do`` is one of
``kit_faults.FaultKind``, with an argument after a colon where it takes one; ``times`` is 1 unless
``until`` is given, and then unlimited; ``until`` is an instant of the business clock.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

from deploy.sandbox.kit_books import Books, Doc
from deploy.sandbox.kit_faults import Fault, FaultKind, FaultScripts
from deploy.sandbox.kit_timeline import Timeline
from shared.clock import Clock, SystemClock, TestClock
from shared.ids import new_id

__all__ = [
    "Books",
    "Doc",
    "Fault",
    "FaultKind",
    "Options",
    "Sandbox",
    "json_body",
    "json_reply",
    "main",
    "serve",
]

log = logging.getLogger("sandbox")

TRANSPORT_RETRIES_S: Final = (0.1, 0.2, 0.5, 1.0, 1.0, 2.0, 3.0)
"""Real seconds between tries while nobody listens; then the provider's own plan goes on."""

QUIET_LOOK_S: Final = 0.005

Composer = Callable[[Doc, bool], tuple[dict[str, str], bytes]]
"""Payload and "spoil the signature" to headers and body; called afresh for each send."""


@dataclass(frozen=True)
class Options:
    """How one simulator is started; *extra* holds its own arguments by name."""

    port: int = 0
    host: str = "127.0.0.1"
    keys: Path | None = None
    books: Path | None = None
    now: datetime | None = None
    real_time: bool = False
    extra: dict[str, str] = field(default_factory=dict)


class Sandbox:
    """
    A simulator's frame; subclasses add routes, composers and timed actions.

    In ``__init__`` a subclass calls ``super().__init__``, adds to ``self.app.router``, and
    registers in ``self.composers`` (notifications by kind) and ``self.timeline.kinds`` (durable
    timed actions by kind).
    """

    name = "sandbox"
    resend_gaps_s: Sequence[float] = (60, 300, 1800, 3600)
    """Seconds of business time between the sends of one notification nobody took."""

    def __init__(self, options: Options) -> None:
        """Open the books and go on from the moment they were left at."""
        self.options = options
        self.books = Books(options.books)
        self.faults = FaultScripts(self.books)
        self.clock: Clock = SystemClock() if options.real_time else self._test_clock()
        self.activity = 0
        self.together: Sequence[Sandbox] = (self,)
        self._requests = 0
        self._session: aiohttp.ClientSession | None = None
        self.composers: dict[str, Composer] = {}
        self.timeline = Timeline(self.clock, self.books, self._did)
        self.timeline.kinds["_send"] = self._send
        self.app = web.Application(middlewares=[self._count], client_max_size=32 * 2**20)
        self.app.cleanup_ctx.append(self._life)
        self.app.router.add_get("/healthz", self._healthz)
        self.app.router.add_get("/_sandbox/clock", self._get_clock)
        self.app.router.add_put("/_sandbox/clock", self._put_clock)
        self.app.router.add_get("/_sandbox/books", self._get_books)
        self.app.router.add_get("/_sandbox/faults/{account}", self._get_faults)
        self.app.router.add_put("/_sandbox/faults/{account}", self._put_faults)
        self.app.router.add_delete("/_sandbox/faults/{account}", self._delete_faults)

    def now(self) -> datetime:
        """Return the business time."""
        return self.clock.now()

    def next_number(self, series: str) -> int:
        """Return 1, 2, 3, ... for one *series*, also across restarts."""
        last = self.books.get("_series", series)
        number = 1 if last is None else int(last["last"]) + 1
        self.books.put("_series", series, {"last": number})
        return number

    def at(self, moment: datetime, action: Callable[[], Awaitable[None]]) -> None:
        """Run *action* at *moment* of business time, at once if that is past; not durable."""
        self.timeline.at(moment, action)

    def later(self, moment: datetime, kind: str, payload: Doc) -> None:
        """Run the action registered as *kind* at *moment*; it survives a restart."""
        self.timeline.later(moment, kind, payload)

    def fault(self, on: str, *accounts: str) -> Fault | None:
        """Consume the step of a fault script that the call *on* meets, if any."""
        return self.faults.take(on, *accounts, now=self.now())

    async def disturb(
        self,
        request: web.Request,
        fault: Fault | None,
        act: Callable[[], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """
        Answer with *act*, disturbed by *fault* where that needs no knowledge of the provider.

        Declines, wrong amounts and bad signatures are the business of *act*.
        """
        if fault is None:
            return await act()
        if fault.kind is FaultKind.HTTP_500:
            return web.Response(status=500, text="Internal Server Error")
        if fault.kind is FaultKind.OUTAGE:
            return web.Response(status=503, text="Service Unavailable")
        if fault.kind is FaultKind.DELAY:
            await asyncio.sleep(int(fault.argument or "1000") / 1000)
        answer = await act()
        if fault.kind is FaultKind.HIDE_ANSWER and request.transport is not None:
            request.transport.abort()
        return answer

    def notify(
        self,
        kind: str,
        payload: Doc,
        *,
        url: str,
        account: str,
        accepted: str = "",
        on: str = "notify",
        at: datetime | None = None,
    ) -> None:
        """
        Send a notification to *url* now or *at* a moment, again and again until it is taken.

        It is taken by a 2xx answer; if *accepted* is given the body must be that (``=text``) or
        contain it.  Faults of *account* for the call *on* are consumed here: drop, duplicate,
        reorder, bad_signature, and wrong_amount (which sets ``payload["wrong_amount"]``).
        """
        fault = self.fault(on, account)
        if fault is not None and fault.kind is FaultKind.DROP:
            return
        send: Doc = {
            "id": str(new_id()),
            "kind": kind,
            "url": url,
            "account": account,
            "accepted": accepted,
            "payload": payload,
            "sends": 0,
            "spoil": False,
        }
        moment = at or self.now()
        match fault:
            case Fault(kind=FaultKind.BAD_SIGNATURE):
                send["spoil"] = True
            case Fault(kind=FaultKind.WRONG_AMOUNT):
                send["payload"] = payload | {"wrong_amount": True}
            case Fault(kind=FaultKind.REORDER):
                moment += timedelta(minutes=float(fault.argument or "30"))
            case Fault(kind=FaultKind.DUPLICATE):
                self.later(moment, "_send", send | {"id": str(new_id())})
            case _:
                pass
        self.later(moment, "_send", send)

    def summary(self) -> Doc:
        """Return figures shown beside the books; a simulator adds its own."""
        return {}

    async def _send(self, send: Doc) -> None:
        headers, body = self.composers[send["kind"]](send["payload"], send["spoil"])
        taken = await self._post(send["url"], headers, body, send["accepted"])
        sends = send["sends"] + 1
        if not taken and sends <= len(self.resend_gaps_s):
            # A spoilt signature spoils one send; the provider's next one is right.
            again = send | {"sends": sends, "spoil": False}
            self.later(
                self.now() + timedelta(seconds=self.resend_gaps_s[sends - 1]), "_send", again
            )
        entry = {key: send[key] for key in ("id", "kind", "url", "account", "spoil")}
        self.books.put(
            "notifications",
            send["id"],
            entry | {"sends": sends, "taken": taken, "last_sent_at": self.now().isoformat()},
        )

    async def _post(self, url: str, headers: dict[str, str], body: bytes, accepted: str) -> bool:
        assert self._session is not None
        for pause_s in (*TRANSPORT_RETRIES_S, None):
            try:
                async with self._session.post(url, data=body, headers=headers) as answer:
                    text = (await answer.text(errors="replace")).strip()
                    return answer.ok and _takes(text, accepted)
            except aiohttp.ClientConnectorError:
                if pause_s is None:
                    return False
                await asyncio.sleep(pause_s)
            except (aiohttp.ClientError, TimeoutError):
                return False
        return False

    def _test_clock(self) -> TestClock:
        left_at = self.books.get("_clock", "now")
        moments = [datetime.fromisoformat(left_at["now"])] if left_at is not None else []
        if self.options.now is not None:
            moments.append(self.options.now)
        return TestClock(max(moments) if moments else SystemClock().now())

    def _did(self) -> None:
        self.activity += 1

    @web.middleware
    async def _count(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        path = request.path
        if path == "/healthz" or (
            path.startswith("/_sandbox/") and (request.method == "GET" or path.endswith("/clock"))
        ):
            try:
                return await handler(request)
            finally:
                self.books.commit()
        self._requests += 1
        try:
            return await handler(request)
        finally:
            self.books.commit()
            self._requests -= 1
            self.activity += 1

    async def _life(self, _app: web.Application) -> AsyncIterator[None]:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=15, connect=3),
            connector=aiohttp.TCPConnector(limit=64),
        )
        self.timeline.start(real_time=self.options.real_time)
        yield
        await self.timeline.stop()
        await self._session.close()
        self.books.close()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return json_reply({"ok": True, "simulator": self.name})

    @property
    def busy(self) -> bool:
        """Return whether a request or an action runs or is due."""
        return self._requests > 0 or self.timeline.busy()

    async def move_to(self, now: datetime) -> None:
        """Run what is due up to *now*, and leave the clock there."""
        self.books.put("_clock", "now", {"now": now.isoformat()})
        await self.timeline.release(now, wait_s=5)

    def _clock_state(self) -> Doc:
        dues = [due for one in self.together if (due := one.timeline.next_due_at())]
        return {
            "now": self.now().isoformat(),
            "next_due_at": min(dues).isoformat() if dues else None,
            "busy": any(one.busy for one in self.together),
            "activity": sum(one.activity for one in self.together),
        }

    async def _get_clock(self, request: web.Request) -> web.Response:
        deadline = time.monotonic() + float(request.query.get("wait_s", 0))
        state = self._clock_state()
        while state["busy"] and time.monotonic() < deadline:
            await asyncio.sleep(QUIET_LOOK_S)
            state = self._clock_state()
        return json_reply(state)

    async def _put_clock(self, request: web.Request) -> web.Response:
        now = datetime.fromisoformat((await json_body(request))["now"]).astimezone(UTC)
        if not isinstance(self.clock, TestClock) or now < self.now():
            return json_reply({"error": "time cannot be set so", **self._clock_state()}, status=409)
        await asyncio.gather(*(one.move_to(max(now, one.now())) for one in self.together))
        return json_reply(self._clock_state())

    async def _get_books(self, request: web.Request) -> web.Response:
        books = self.books.public()
        kind = request.query.get("kind")
        if kind is not None:
            books = {kind: books.get(kind, [])}
        return json_reply({"summary": self.summary(), **books})

    async def _get_faults(self, request: web.Request) -> web.Response:
        return json_reply({"steps": self.faults.script(request.match_info["account"])})

    async def _put_faults(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        try:
            self.faults.set(request.match_info["account"], body["steps"])
        except (ValueError, KeyError) as error:
            return json_reply({"error": str(error)}, status=400)
        return json_reply({"steps": self.faults.script(request.match_info["account"])})

    async def _delete_faults(self, request: web.Request) -> web.Response:
        self.faults.clear(request.match_info["account"])
        return json_reply({"steps": []})


def _takes(text: str, accepted: str) -> bool:
    if accepted.startswith("="):
        return text == accepted[1:]
    return accepted in text or accepted in "".join(text.split())  # JSON with or without spaces


def json_reply(doc: object, *, status: int = 200) -> web.Response:
    """Answer with *doc* as JSON."""
    return web.Response(
        body=orjson.dumps(doc), status=status, content_type="application/json", charset="utf-8"
    )


async def json_body(request: web.Request) -> Any:
    """
    Return the request's JSON.

    Raises:
        web.HTTPBadRequest: It is not JSON.
    """
    try:
        return orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


async def serve(*sandboxes: Sandbox) -> None:
    """Serve simulators in this process, each on its own port, until cancelled."""
    async with contextlib.AsyncExitStack() as stack:
        for sandbox in sandboxes:
            sandbox.together = sandboxes
            runner = web.AppRunner(sandbox.app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, sandbox.options.host, sandbox.options.port).start()
            log.info("%s listens on %s", sandbox.name, runner.addresses)
        await asyncio.Event().wait()


def main(build: Callable[[Options], Sandbox], *extra: str) -> None:
    """
    Start one simulator from the command line.

    Each argument ``--some-name`` may also come from ``SANDBOX_SOME_NAME``; *extra* names those of
    this simulator alone, handed over in ``Options.extra`` with underscores.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    parser = argparse.ArgumentParser()
    names = ("port", "host", "keys", "books", "now", *extra)
    for name in names:
        default = os.environ.get(f"SANDBOX_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--real-time", action="store_true", default=False)
    given = vars(parser.parse_args())
    options = Options(
        port=int(given["port"] or 0),
        host=given["host"] or "127.0.0.1",
        keys=Path(given["keys"]) if given["keys"] else None,
        books=Path(given["books"]) if given["books"] else None,
        now=datetime.fromisoformat(given["now"]) if given["now"] else None,
        real_time=given["real_time"],
        extra={
            name: given[name]
            for name in (name.replace("-", "_") for name in extra)
            if given[name] is not None
        },
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(build(options)))
