"""Requests per second of signing's API, against a bare handler with one INSERT."""

import time
from typing import Any, Final
from uuid import UUID

import aiohttp
import asyncpg
import orjson

from deploy.bench import bare_http
from deploy.bench.children import bare_process
from deploy.bench.http_load import Answered, load, post
from deploy.bench.meter import alternate
from deploy.bench.report import Figure, figure
from deploy.platform import Platform
from shared.api_keys import issue_key
from shared.clock import SystemClock
from shared.db import Database
from shared.ids import new_id

CONNECTIONS: Final = 32
KEYS: Final = 8
"""Callers: one key alone may ask a thousand times a second."""


async def signing_figure(platform: Platform, *, requests: int, rounds: int) -> Figure:
    """Measure ``POST /v1/quotes`` with key and Idempotency-Key on a real process."""
    await _tables(platform)
    keys, quote = await _shop(platform)
    body, latest = orjson.dumps(quote), {"ours": Answered([0.0, 0.0]), "bare": Answered([0.0, 0.0])}
    async with bare_process(
        "bare-http",
        "deploy.bench.bare_http",
        logs=platform.directory / "logs",
        environment={"BARE_DSN": platform.dsn("postgres")},
    ) as bare_url:
        real_url = platform.url("signing")

        async def ours() -> int:
            latest["ours"] = await load(
                real_url,
                lambda number: post(
                    real_url,
                    "/v1/quotes",
                    body,
                    {
                        "Authorization": f"Bearer {keys[number % KEYS]}",
                        "Idempotency-Key": new_id().hex,
                    },
                ),
                count=requests,
                connections=CONNECTIONS,
            )
            return requests

        async def bare() -> int:
            latest["bare"] = await load(
                bare_url,
                lambda _: post(bare_url, "/v1/quotes", body, {}),
                count=requests,
                connections=CONNECTIONS,
            )
            return requests

        await ours()  # prepares its statements, as the pool of a running process has
        await bare()
        compared = await alternate(ours, bare, rounds=rounds)
    return figure(
        "signing API",
        "requests/s",
        compared,
        against="aiohttp, a pydantic body, one INSERT; no keys, no idempotency, no rules",
        p99_ms=latest["ours"].p99_ms,
        ceiling_p99_ms=latest["bare"].p99_ms,
        connections=float(CONNECTIONS),
    )


async def _tables(platform: Platform) -> None:
    conn = await asyncpg.connect(platform.dsn("postgres"))
    try:
        await conn.execute(bare_http.BARE_TABLES)
    finally:
        await conn.close()


async def _shop(platform: Platform) -> tuple[list[str], dict[str, Any]]:
    """Open a shop with a published plan; return keys of it and the body of a quote."""
    async with aiohttp.ClientSession(
        platform.url("signing"),
        headers={"Authorization": f"Bearer {platform.operator_key}"},
        raise_for_status=True,
    ) as session:
        merchant = await _post(session, "/v1/merchants", _MERCHANT)
        await _post(session, f"/v1/merchants/{merchant['merchant_id']}/approval", {"reason": "ok"})
    keys = await _keys(platform, merchant["merchant_id"])
    async with aiohttp.ClientSession(
        platform.url("signing"),
        headers={"Authorization": f"Bearer {keys[0]}"},
        raise_for_status=True,
    ) as session:
        plan = await _post(session, "/v1/plans", _PLAN)
        await _post(session, f"/v1/plans/{plan['plan_id']}/versions/1/publication", None)
    quote = {"plan_id": plan["plan_id"], "plan_version": 1, "rail": "alipay", "charge_day": 10}
    return keys, quote


async def _keys(platform: Platform, merchant_id: str) -> list[str]:
    db = await Database.open(platform.dsn("signing"), schema="signing", name="bench", size=1)
    try:
        async with db.transaction() as conn:
            return [
                await issue_key(
                    conn,
                    tenant_id=UUID(merchant_id),
                    scopes=["quotes:write", "plans:write"],
                    name=f"bench {number}",
                    now=SystemClock().now(),
                )
                for number in range(KEYS)
            ]
    finally:
        await db.close()


async def _post(session: aiohttp.ClientSession, path: str, body: Any) -> Any:
    headers = {"Idempotency-Key": f"{time.time_ns()}-{path}"}
    async with session.post(path, json=body, headers=headers) as answer:
        return await answer.json()


_MERCHANT: Final = {
    "legal_name": "北京团子宠物用品有限公司",
    "display_name": "团子宠物",
    "legal_kind": "company",
    "licence_no": "911100000000000000",
    "service_phone": "4008001234",
    "payees": [{"rail": "alipay", "payee_no": "2088111122223333"}],
}

_PLAN: Final = {
    "name": "安心月付",
    "species": "cat",
    "periods": 12,
    "monthly_fen": 19900,
    "auto_ship": True,
    "bundle_fen": 15000,
    "bundles": [
        {"stage": "kitten", "items": [{"sku": "FOOD-K", "quantity": 2, "name": "幼猫粮"}]},
        {"stage": "adult", "items": [{"sku": "FOOD-A", "quantity": 2, "name": "成猫粮"}]},
    ],
    "price_card": [
        {"name": "幼猫粮", "list_price_fen": 9000, "deal_price_fen": 7500},
        {"name": "成猫粮", "list_price_fen": 9000, "deal_price_fen": 7500},
    ],
}
