"""A small service made of the HTTP kit alone, for tests of the kit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import Field, StringConstraints

from shared.api_keys import issue_key
from shared.clock import Clock, TestClock
from shared.db import Database
from shared.errors import Conflict, NotFound
from shared.ids import derived_id
from shared.web import (
    ACTIVITY,
    Activity,
    Api,
    Body,
    Call,
    Limits,
    Page,
    PageQuery,
    PositiveFen,
    Raw,
    Text,
    View,
)

NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)
TENANT = derived_id("a tenant")


class ShelfFull(Conflict):
    """Nothing more fits on this shelf."""

    code = "shelf-full"


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Label(Body):
    text: Text


class NewThing(Body):
    name: Text
    price_fen: PositiveFen
    size: Size = Size.SMALL
    owner_id: UUID | None = None
    labels: list[Label] = Field(default_factory=list, max_length=3)
    count: int = 0


class ThingView(View):
    thing_id: UUID
    name: str


class ThingFilter(PageQuery):
    size: Size | None = None
    tags: list[str] = Field(default_factory=list)


@dataclass
class Deps:
    db: Database
    clock: Clock
    runs: int = 0
    ids: list[UUID] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)


api: Api[Deps] = Api(title="Things", version="1", description="A shelf.")


@api.post("/v1/things", scope="things:write", status=201, problems=(ShelfFull,))
async def add_thing(call: Call[Deps], body: NewThing) -> ThingView:
    """
    Put a thing on the shelf.

    Longer words about it.
    """
    call.deps.runs += 1
    thing_id = call.new_id("thing")
    call.deps.ids.append(thing_id)
    match body.name:
        case "full":
            raise ShelfFull("Nothing more fits.", free=0)
        case "broken":
            raise RuntimeError("secret 13800138000")
        case "breaks once" if call.deps.runs == 1:
            raise RuntimeError("the first time only")
        case "slow":
            await call.deps.gate.wait()
    async with call.deps.db.transaction() as conn:
        await conn.execute(
            "INSERT INTO job_runs (job, next_at) VALUES ($1, now()) ON CONFLICT DO NOTHING",
            str(thing_id),
        )
    return ThingView(thing_id=thing_id, name=body.name)


@api.get("/v1/things/{thing_id}", scope="things:read")
async def get_thing(call: Call[Deps], thing_id: UUID) -> ThingView:
    """Show one thing."""
    if thing_id != TENANT:
        raise NotFound("No such thing.", thing_id=thing_id)
    return ThingView(thing_id=thing_id, name="the one")


@api.get("/v1/things", scope="things:read")
async def list_things(call: Call[Deps], query: ThingFilter) -> Page[ThingView]:
    """List things."""
    seen = query.after(int, UUID)
    async with call.deps.db.connection() as conn:
        await conn.fetchval("SELECT $1::smallint", seen and seen[0])
    start = 0 if seen is None else seen[0] + 1
    rows = list(range(start, 7))[: query.limit + 1]
    return Page[ThingView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row, derived_id(row)),
        view=lambda row: ThingView(thing_id=derived_id(row), name=str(row)),
    )


@api.get("/v1/shelves/{number}/{code}", scope=None)
async def get_shelf(
    call: Call[Deps], number: int, code: Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]
) -> ThingView:
    """Show a shelf to anybody."""
    return ThingView(thing_id=derived_id(number), name=code)


@api.get("/v1/tenant", scope="things:read")
async def whose(call: Call[Deps]) -> ThingView:
    """Tell for whom the call is."""
    return ThingView(thing_id=call.tenant_id, name="")


@api.get("/v1/picture", scope=None)
async def picture(call: Call[Deps]) -> Raw:
    """Show a picture."""
    return Raw("application/pdf", b"%PDF-", filename="thing.pdf")


@api.delete("/v1/things/{thing_id}", scope="things:write")
async def drop_thing(call: Call[Deps], thing_id: UUID) -> None:
    """Take a thing off the shelf."""


@api.webhook("/webhooks/door", body_limit=1000)
async def door_opened(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Hear that the door was opened."""
    assert raw == await request.read()
    if raw == b"garbage":
        raise ValueError(raw)
    return web.Response(text=f"heard {len(raw)}")


Token = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]


@api.webhook("/webhooks/bell/{token}", failure=lambda: web.json_response({"result": False}))
async def bell_rang(raw: bytes, token: Token) -> web.Response:
    """Hear the bell."""
    raise ValueError(token, raw)


@dataclass
class Served:
    client: TestClient[web.Request, web.Application]
    deps: Deps
    clock: TestClock
    """The clock of keys and leases, not of the business."""
    key: str
    operator: str
    activity: Activity

    def headers(self, key: str | None = None, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key or self.key}", **more}

    async def add(self, body: object, *, idempotency_key: str = "k", **headers: str):
        sent = self.headers(**{"Idempotency-Key": idempotency_key}, **headers)
        return await self.client.post("/v1/things", json=body, headers=sent)


@asynccontextmanager
async def served(db: Database, *, limits: Limits | None = None) -> AsyncIterator[Served]:
    """Serve the things from *db*, with a tenant's key and the operator's."""
    clock = TestClock(NOON)
    async with db.transaction() as conn:
        scopes = ["things:read", "things:write"]
        key = await issue_key(conn, tenant_id=TENANT, scopes=scopes, name="shop", now=NOON)
        operator = await issue_key(conn, tenant_id=None, scopes=["*"], name="us", now=NOON)
    deps = Deps(db=db, clock=TestClock(NOON))
    app = web.Application()
    api.add_to(app, deps, limits=limits, clock=clock)
    async with TestClient(TestServer(app)) as client:
        yield Served(client, deps, clock, key, operator, app[ACTIVITY])
