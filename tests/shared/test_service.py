"""A whole process: a request becomes an event, is heard, and can be followed all the way."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import aiohttp
import nats
import pytest
from aiohttp import web
from nats.js.api import StreamConfig
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import outbox, tracing
from shared.api_keys import find_key, issue_key, new_token
from shared.bus import On, consumer_config
from shared.clock import Clock
from shared.db import Connection, Database
from shared.events import Event
from shared.jobs import Due
from shared.service import Process, Service, running
from shared.settings import ServiceSettings
from shared.web import Api, Body, Call, View
from tests.support.servers import NatsForTests, TestDatabases
from tests.support.waiting import until

START = datetime(2027, 3, 1, 1, 0, tzinfo=UTC)
NOON = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)


class BellRung(Event):
    subject: ClassVar[str] = "wallet.bell.rung.v1"
    about: ClassVar[str] = "bell_id"

    bell_id: UUID


@dataclass(frozen=True)
class Deps:
    db: Database
    clock: Clock
    heard: list[UUID]
    traces: list[str | None]


class Ring(Body):
    times: int = 1


class Rung(View):
    bell_id: UUID


api: Api[Deps] = Api(title="bells", version="1")


@api.post("/v1/bells", scope="bells:write", status=201)
async def ring(call: Call[Deps], body: Ring) -> Rung:
    """Ring a bell."""
    bell_id = call.new_id("bell")
    async with call.deps.db.transaction() as conn:
        for n in range(body.times):
            event = BellRung(
                event_id=call.new_id(f"event {n}"),
                occurred_at=call.deps.clock.now(),
                bell_id=bell_id,
            )
            await outbox.add(conn, event)
    return Rung(bell_id=bell_id)


@api.webhook("/webhooks/bells")
async def echo(raw: bytes) -> web.Response:
    """Answer what was sent."""
    return web.Response(body=raw)


async def hear(conn: Connection, event: BellRung, deps: Deps) -> None:
    await conn.execute("SELECT 1")
    deps.heard.append(event.bell_id)
    deps.traces.append(tracing.trace_id())


async def nothing(deps: Deps) -> int:
    return 0


@asynccontextmanager
async def open_deps(settings: ServiceSettings, db: Database, clock: Clock) -> AsyncIterator[Deps]:
    yield Deps(db=db, clock=clock, heard=HEARD, traces=TRACES)


HEARD: list[UUID] = []
TRACES: list[str | None] = []

BELLS = Service(
    name="wallet",
    settings=ServiceSettings,
    api=api,
    consumers=(On(BellRung, hear),),
    jobs=(Due("never", nothing, f"SELECT '{NOON.isoformat()}'::timestamptz"),),
    open_deps=open_deps,
    says=(BellRung,),
)


@pytest.fixture
async def clock_server() -> AsyncIterator[str]:
    async def now(_: web.Request) -> web.Response:
        return web.json_response({"now": START.isoformat()})

    app = web.Application()
    app.router.add_get("/clock", now)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/clock"
    await runner.cleanup()


@dataclass
class Running:
    process: Process
    url: str
    key: str
    session: aiohttp.ClientSession

    async def post(self, path: str, **how: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.key}"} | how.pop("headers", {})
        async with self.session.post(self.url + path, headers=headers, **how) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self.session.get(self.url + path, headers=headers) as answer:
            found: dict[str, Any] = await answer.json()
            return found


@pytest.fixture
async def bells(
    databases: TestDatabases, nats_server: NatsForTests, clock_server: str
) -> AsyncIterator[Running]:
    HEARD.clear()
    TRACES.clear()
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="wallet", subjects=["wallet.>"]))
    await js.add_consumer("wallet", consumer_config("wallet", BellRung))
    async with databases.fresh_name("wallet") as name:
        settings = ServiceSettings(
            dsn=databases.dsn(name, role="wallet"),
            nats_url=nats_server.url,
            port=0,
            clock_url=clock_server,
        )
        async with running(BELLS, settings) as process, aiohttp.ClientSession() as session:
            async with process.db.transaction() as conn:
                key = await issue_key(conn, tenant_id=None, scopes=["*"], name="test", now=START)
            yield Running(process, f"http://127.0.0.1:{process.port}", key, session)
    await js.delete_stream("wallet")
    await client.close()


async def test_a_request_becomes_an_event_that_is_heard(bells):
    status, answer = await bells.post(
        "/v1/bells", json={}, headers={"Idempotency-Key": "ring-once-1"}
    )

    assert status == 201
    await until(lambda: UUID(answer["bell_id"]) in HEARD)


@pytest.mark.parametrize(("packing", "raw"), [("gzip", b"no gzip"), ("br", b"x"), ("zip", b"x")])
async def test_a_packed_body_is_refused_in_our_own_words(bells, packing, raw):
    headers = {"Idempotency-Key": "packed", "Content-Encoding": packing}

    status, answer = await bells.post("/v1/bells", data=raw, headers=headers)

    assert (status, answer["code"]) == (415, "unsupported-media-type")


async def test_a_webhook_gets_a_packed_body_as_it_was_sent(bells):
    packed = gzip.compress(b"ding")

    async with bells.session.post(
        bells.url + "/webhooks/bells", data=packed, headers={"Content-Encoding": "gzip"}
    ) as answer:
        assert (answer.status, await answer.read()) == (200, packed)


async def test_a_trace_goes_from_http_through_the_outbox_to_the_handler(bells):
    exporter = InMemorySpanExporter()
    tracing.configure("wallet", otlp_endpoint=None, ratio=1.0, exporter=exporter)
    try:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        await bells.post(
            "/v1/bells",
            json={},
            headers={
                "Idempotency-Key": "ring-traced",
                "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
            },
        )
        await until(lambda: bool(TRACES))
        assert TRACES[0] == trace
        await until(lambda: not bells.process.bus.busy)  # its span ends after its handler
    finally:
        tracing.shut_down()
    spans = {span.name: f"{span.context.trace_id:032x}" for span in exporter.get_finished_spans()}
    assert spans["POST /v1/bells"] == trace
    assert spans["wallet__wallet_bell_rung_v1"] == trace


async def test_it_tells_a_test_clock_when_it_is_quiet_and_what_is_due(bells):
    async def is_quiet() -> bool:
        return not (await bells.get("/ops/clock"))["busy"]

    await until(is_quiet)
    state = await bells.get("/ops/clock")

    assert datetime.fromisoformat(state["now"]) == START
    assert datetime.fromisoformat(state["next_due_at"]) == NOON

    async with bells.session.put(
        bells.url + "/ops/clock", json={"now": "2027-03-01T11:00:00+00:00"}
    ) as answer:
        assert answer.status == 200
    assert bells.process.clock.now() == datetime(2027, 3, 1, 11, tzinfo=UTC)


async def test_it_is_alive_ready_and_documented(bells):
    assert (await bells.get("/healthz"))["ok"]
    assert (await bells.get("/readyz"))["ok"]
    document = await bells.get("/openapi.json")
    assert {"/v1/bells", "/ops/dead-letters"} <= set(document["paths"])
    events = await bells.get("/asyncapi.json")
    assert "send_wallet_bell_rung_v1" in events["operations"]
    async with bells.session.get(bells.url + "/metrics") as answer:
        assert "yuefu_events_total" in await answer.text()


async def test_dead_letters_are_listed_and_an_unknown_one_is_not_found(bells):
    assert await bells.get("/ops/dead-letters") == {"items": [], "next_cursor": None}

    status, problem = await bells.post(f"/ops/dead-letters/{UUID(int=1)}/replay", json={})

    assert status == 404
    assert problem["code"] == "not-found"


async def test_an_operator_lets_a_key_in_and_out_again(bells):
    token = new_token("live")
    body = {"token": token, "scopes": ["bells:write"], "name": "gateway"}
    operator = {"Authorization": f"Bearer {bells.key}"}
    async with bells.session.post(
        f"{bells.url}/ops/api-keys", json=body, headers=operator
    ) as answer:
        assert answer.status == 204

    holder = {"Authorization": f"Bearer {token}", "Idempotency-Key": "with-a-new-key"}
    status, _ = await bells.post("/v1/bells", json={}, headers=holder)
    assert status == 201
    key_id = token.split("_")[2]
    url = f"{bells.url}/ops/api-keys/{key_id}"
    async with bells.session.delete(url, headers=operator) as answer:
        assert answer.status == 204
    async with bells.process.db.connection() as conn:
        found = await find_key(conn, key_id)
    assert found is not None
    assert found.revoked_at is not None
