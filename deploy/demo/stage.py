"""The stage: merchants, goods, plans and keys, set up over HTTP before the first customer."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import asyncpg

from deploy.demo.gateway import Doc, Gateway, Refused
from deploy.demo.shop import GOODS, MERCHANTS, PLANS, Merchant
from deploy.platform import Platform
from shared.api_keys import install_key, new_token
from shared.clock import SystemClock

SCOPES = (
    "stores:write", "plans:read", "plans:write", "quotes:read", "quotes:write",
    "applications:read", "applications:write", "applications:review",
    "agreements:read", "agreements:write", "customers:read", "customers:write",
    "billing:read", "billing:write", "wallet:read", "wallet:code",
    "catalogue:read", "catalogue:write", "shipments:read", "shipments:write",
    "messages:read", "notify:read",
)  # fmt: skip
"""What a merchant's gateway may do; each service knows its own words of these."""


@dataclass(frozen=True)
class Stage:
    """What stands before the first customer comes; everything by the demo's own keys."""

    operator: Gateway
    gateways: Mapping[str, Gateway]
    stores: Mapping[str, str]
    """Store id by merchant."""
    plans: Mapping[str, str]
    """Plan id by plan."""


async def build(platform: Platform, session: aiohttp.ClientSession) -> Stage:
    """
    Submit and approve the merchants, give them keys, and let them fill their shops.

    Raises:
        Refused: A service does not take it.
    """
    services = {name: platform.url(name) for name in platform.services}
    operator = Gateway(session, services, platform.operator_key)
    gateways: dict[str, Gateway] = {}
    stores: dict[str, str] = {}
    plans: dict[str, str] = {}
    for merchant in MERCHANTS:
        await _approve(operator, merchant)
        key = await _issue_key(platform, merchant)
        gateways[merchant.key] = gateway = Gateway(session, services, key)
        stores[merchant.key] = await _open_store(gateway, merchant)
        await _fill_catalogue(gateway, merchant)
        plans |= await _publish_plans(gateway, merchant)
    return Stage(operator, gateways, stores, plans)


async def refused_rail(stage: Stage) -> str:
    """Return the code with which an individual business is refused WeChat's withholding."""
    gateway = stage.gateways["geti"]
    body = PLANS[-2].as_body() | {"bundles": [], "auto_ship": False, "bundle_fen": 0}
    plan = await gateway.post("signing", "/v1/plans", body, key="geti-plan")
    await gateway.post(
        "signing", f"/v1/plans/{plan['plan_id']}/versions/1/publication", key="geti-publication"
    )
    quote: Doc = {
        "plan_id": plan["plan_id"],
        "plan_version": 1,
        "rail": "wechatpay",
        "charge_day": 10,
    }
    try:
        await gateway.post("signing", "/v1/quotes", quote, key="geti-quote")
    except Refused as no:
        return no.code
    return ""


async def _approve(operator: Gateway, merchant: Merchant) -> None:
    await operator.post(
        "signing", "/v1/merchants", merchant.as_body(), key=f"{merchant.key}-submission"
    )
    await operator.post(
        "signing",
        f"/v1/merchants/{merchant.merchant_id}/approval",
        {"reason": "资料齐全"},
        key=f"{merchant.key}-approval",
    )


async def _issue_key(platform: Platform, merchant: Merchant) -> str:
    """Make one key and let it into every service, as the operator's own was at preparation."""
    token, now = new_token("live"), SystemClock().now()
    for service in platform.services:
        conn = await asyncpg.connect(
            platform.dsn(service), server_settings={"search_path": service}
        )
        try:
            await install_key(
                conn,
                token,
                tenant_id=merchant.merchant_id,
                scopes=list(SCOPES),
                name=f"{merchant.key} mini-program",
                now=now,
            )
        finally:
            await conn.close()
    return token


async def _open_store(gateway: Gateway, merchant: Merchant) -> str:
    body = {
        "name": f"{merchant.display_name}旗舰店",
        "city": merchant.city,
        "address": "中心路 1 号",
    }
    store = await gateway.post("signing", "/v1/stores", body, key=f"{merchant.key}-store")
    return str(store["store_id"])


async def _fill_catalogue(gateway: Gateway, merchant: Merchant) -> None:
    mine = [good for good in GOODS if good.merchant == merchant.key]
    for good in mine:
        body: Doc = {
            "sku": good.sku,
            "name": good.name,
            "supply_cost_fen": good.cost_fen,
            "supplier": "cloudwarehouse",
        }
        await gateway.post("fulfillment", "/v1/skus", body, key=f"sku-{good.sku}")
    for good in mine:
        if good.substitute:
            pair = {"sku": good.sku, "by_sku": good.substitute}
            await gateway.post("fulfillment", "/v1/substitutes", pair, key=f"sub-{good.sku}")


async def _publish_plans(gateway: Gateway, merchant: Merchant) -> dict[str, str]:
    published = {}
    for plan in PLANS:
        if plan.merchant != merchant.key:
            continue
        drafted = await gateway.post("signing", "/v1/plans", plan.as_body(), key=f"plan-{plan.key}")
        plan_id = str(drafted["plan_id"])
        await gateway.post(
            "signing",
            f"/v1/plans/{plan_id}/versions/1/publication",
            key=f"publication-{plan.key}",
        )
        published[plan.key] = plan_id
    return published
