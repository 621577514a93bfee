"""
The bare HTTP service: aiohttp, a pydantic model, one INSERT; ``python -m deploy.bench.bare_http``.

It reads ``BARE_DSN`` and ``BARE_PORT``.
"""

import asyncio
import os
from typing import Final
from uuid import UUID

import asyncpg
from aiohttp import web
from pydantic import BaseModel

from shared.ids import new_id

BARE_TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS bare;
CREATE TABLE bare.quotes (
    quote_id uuid PRIMARY KEY, plan_id uuid NOT NULL, plan_version integer NOT NULL,
    rail text NOT NULL, charge_day smallint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());
"""


class NewQuote(BaseModel):
    """The same body as the real endpoint takes."""

    plan_id: UUID
    plan_version: int
    rail: str
    charge_day: int


class Quote(NewQuote):
    """What is answered."""

    quote_id: UUID


async def serve(dsn: str, port: int) -> None:
    """Serve until cancelled."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=10)

    async def post_quote(request: web.Request) -> web.Response:
        asked = NewQuote.model_validate_json(await request.read())
        quote = Quote(quote_id=new_id(), **asked.model_dump())
        await pool.execute(
            """
            INSERT INTO bare.quotes (quote_id, plan_id, plan_version, rail, charge_day)
            VALUES ($1, $2, $3, $4, $5)
            """,
            quote.quote_id,
            quote.plan_id,
            quote.plan_version,
            quote.rail,
            quote.charge_day,
        )
        return web.Response(
            body=quote.model_dump_json().encode(), status=201, content_type="application/json"
        )

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/v1/quotes", post_quote)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(os.environ["BARE_DSN"], int(os.environ["BARE_PORT"])))
