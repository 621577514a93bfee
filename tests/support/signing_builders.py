"""Signing with its providers in one process: real HTTP, real wire formats, one business clock."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from deploy.processes import free_port
from deploy.sandbox import keys
from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.card_aggregator import CardSandbox
from deploy.sandbox.esign import ESign
from deploy.sandbox.faceid import FaceId
from deploy.sandbox.kit import Options, Sandbox
from deploy.sandbox.tsa import Tsa
from deploy.sandbox.wechatpay import WechatPaySandbox
from services.signing.app import SERVICE
from services.signing.deps import Deps, open_deps
from services.signing.domain.application import Applicant, Pet
from services.signing.jobs import JOBS
from services.signing.settings import SigningSettings
from shared.api_keys import issue_key
from shared.clock import TestClock
from shared.db import Database
from shared.ids import new_id
from shared.jobs import Due
from shared.sealing import Unsealer, new_field_key, new_key_pair
from shared.web import Limits
from shared.web.serve import add_api

NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)
"""Noon in China on 1 March 2027."""

ADULT = "110101200001010010"
PAYERS = {
    "alipay": "2088000000000001",
    "wechatpay": "oWx0000000000000000000000001",
    "bankcard": "U1000001",
}


def an_applicant(**changes: Any) -> Applicant:
    known = {
        "name": "王小明",
        "id_number": ADULT,
        "phone": "13800138000",
        "province": "北京市",
        "city": "北京市",
        "district": "朝阳区",
        "address": "幸福路1号2单元301室",
        "alipay_user_id": "2088000000000001",
        "wechat_openid": "oWx0000000000000000000000001",
        "bankcard_user_no": "U1000001",
    }
    return Applicant(**(known | changes))


def a_pet(**changes: Any) -> Pet:
    known: dict[str, Any] = {
        "name": "团子",
        "species": "cat",
        "breed": "英国短毛猫",
        "size": "medium",
        "born_on": date(2027, 1, 1),
        "sex": "female",
        "allergies": (),
        "health": "良好",
    }
    return Pet(**(known | changes))


def plan_body(**changes: Any) -> dict[str, Any]:
    bundle = {
        "stage": "kitten",
        "items": [{"sku": "FOOD-K", "quantity": 2, "name": "幼猫粮", "substitutes": ["FOOD-K2"]}],
    }
    known = {
        "name": "安心月付",
        "species": "cat",
        "periods": 12,
        "monthly_fen": 29900,
        "auto_ship": True,
        "bundle_fen": 19900,
        "bundles": [bundle],
        "price_card": [{"name": "幼猫粮", "list_price_fen": 12000, "deal_price_fen": 9950}],
    }
    return known | changes


def merchant_body(**changes: Any) -> dict[str, Any]:
    known = {
        "legal_name": "北京团子宠物用品有限公司",
        "display_name": "团子宠物",
        "legal_kind": "company",
        "licence_no": f"91110{new_id().int % 10**13:013d}",
        "service_phone": "4008001234",
        "payees": [
            {"rail": "alipay", "payee_no": "2088111122223333"},
            {"rail": "wechatpay", "payee_no": "1900000001"},
            {"rail": "bankcard", "payee_no": "880000000001"},
        ],
    }
    return known | changes


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any


@dataclass
class World:
    """Everything a test of signing needs; ``shop`` is a merchant's key, ``operator`` ours."""

    db: Database
    clock: TestClock
    deps: Deps
    client: TestClient[web.Request, web.Application]
    sandboxes: dict[str, Sandbox]
    urls: dict[str, str]
    operator: str
    notify: Unsealer
    fulfillment: Unsealer
    keys_dir: Path
    shop: str = ""
    merchant_id: UUID = field(default_factory=new_id)
    store_id: str = ""
    plan_id: str = ""

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        idempotency_key: str = "",
        tenant: UUID | None = None,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {key or self.shop}"}
        headers |= {} if tenant is None else {"Tenant-Id": str(tenant)}
        if method == "POST":
            headers["Idempotency-Key"] = idempotency_key or new_id().hex
        async with self.client.request(method, path, json=body, headers=headers) as answer:
            raw = await answer.read()
            is_json = "json" in (answer.content_type or "")
            content = await answer.json(content_type=None) if is_json and raw else raw
            return Answer(answer.status, content, answer.headers)

    async def ok(self, method: str, path: str, body: Any = None, **how: Any) -> Any:
        answer = await self.call(method, path, body, **how)
        assert answer.status < 300, answer.body
        return answer.body

    async def sandbox(self, name: str, method: str, path: str, body: Any) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.urls[name]}{path}", json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def pass_time(self, **delta: float) -> None:
        """Move our clock and the providers', and let everything due happen."""
        self.clock.advance(**delta)
        for name in self.sandboxes:
            await self.sandbox(
                name, "PUT", "/_sandbox/clock", {"now": self.clock.now().isoformat()}
            )
        await self.settle()

    async def settle(self) -> None:
        """Let providers send what they have to say, and run our jobs until nothing is due."""
        for sandbox in self.sandboxes.values():
            await sandbox.timeline.release(self.clock.now(), wait_s=5)
        for job in JOBS:
            if isinstance(job, Due):
                await self._run(job)

    async def _run(self, job: Due[Deps]) -> None:
        for _ in range(50):
            async with self.db.connection() as conn:
                due_at = await conn.fetchval(job.next_due)
            if due_at is None or due_at > self.clock.now():
                return
            await job.run(self.deps)
        raise AssertionError(f"{job.name} never comes to rest")

    async def open_shop(self, **merchant: Any) -> None:
        body = merchant_body(merchant_id=str(self.merchant_id), **merchant)
        await self.ok("POST", "/v1/merchants", body, key=self.operator)
        path = f"/v1/merchants/{self.merchant_id}/approval"
        await self.ok("POST", path, {"reason": "资料齐全"}, key=self.operator)
        self.shop = await self.key_for(self.merchant_id)
        store = {"name": "朝阳店", "city": "北京市", "address": "朝阳路8号"}
        self.store_id = (await self.ok("POST", "/v1/stores", store))["store_id"]
        self.plan_id = await self.publish(plan_body())

    async def key_for(self, merchant_id: UUID, *scopes: str) -> str:
        async with self.db.transaction() as conn:
            return await issue_key(
                conn, tenant_id=merchant_id, scopes=[*scopes] or ["*"], name="shop", now=NOON
            )

    async def publish(self, body: dict[str, Any]) -> str:
        plan = await self.ok("POST", "/v1/plans", body)
        await self.ok("POST", f"/v1/plans/{plan['plan_id']}/versions/1/publication")
        return str(plan["plan_id"])

    def application_body(self, rail: str = "alipay", **changes: Any) -> dict[str, Any]:
        person, pet = an_applicant(), a_pet()
        customer = {name: getattr(person, name) for name in person.__dataclass_fields__}
        customer |= changes.pop("customer", {})
        known = {
            "store_id": self.store_id,
            "plan_id": self.plan_id,
            "plan_version": 1,
            "charge_day": 15,
            "rail": rail,
            "customer": customer,
            "pet": {name: getattr(pet, name) for name in pet.__dataclass_fields__}
            | {"born_on": pet.born_on.isoformat(), "allergies": []},
        }
        return known | changes

    async def applied(self, rail: str = "alipay", **changes: Any) -> str:
        body = self.application_body(rail, **changes)
        application = await self.ok("POST", "/v1/applications", body)
        return str(application["application_id"])

    async def consent(self, application_id: str, *, substitutes: bool = True) -> Any:
        kinds = ("personal_data", "face_check", "credit_enquiry", "substitutes")
        consents = [
            {
                "kind": kind,
                "text_version": "2026-11",
                "agreed": kind != "substitutes" or substitutes,
                "shown_ms": 5000,
            }
            for kind in kinds
        ]
        path = f"/v1/applications/{application_id}/consents"
        return await self.ok("POST", path, {"consents": consents})

    async def identify(self, application_id: str, *, id_number: str = ADULT) -> Any:
        await self.ok("POST", f"/v1/applications/{application_id}/identity")
        await self.sandbox(
            "faceid", "POST", f"/_sandbox/people/{id_number}/detect", {"passed": True}
        )
        return await self.ok("POST", f"/v1/applications/{application_id}/identity/result")

    async def previewed(self, rail: str = "alipay", **changes: Any) -> tuple[str, Any]:
        application_id = await self.applied(rail, **changes)
        await self.consent(application_id)
        await self.identify(application_id)
        await self.ok("POST", f"/v1/applications/{application_id}/credit")
        preview = await self.ok("POST", f"/v1/applications/{application_id}/preview")
        return application_id, preview

    async def begin_signature(self, application_id: str, preview: Any) -> Any:
        shown = dict.fromkeys(preview["key_clauses"], 9000)
        body = {"clauses_shown_ms": shown, "device": "iPhone15,2", "ip": "203.0.113.7"}
        return await self.ok("POST", f"/v1/applications/{application_id}/signature", body)

    async def sign(self, application_id: str, preview: Any, **proof: Any) -> None:
        await self.begin_signature(application_id, preview)
        proof = {"video_ref": "v-1", "device": "iPhone15,2", **proof}
        await self.sandbox("esign", "POST", "/_sandbox/signers/13800138000/sign", proof)
        await self.settle()

    async def signed(self, rail: str = "alipay", **changes: Any) -> str:
        application_id, preview = await self.previewed(rail, **changes)
        await self.sign(application_id, preview)
        return application_id

    async def invited(self, application_id: str) -> Any:
        body = {"agreed": True, "screen_version": "w-1", "shown_ms": 6000}
        return await self.ok("POST", f"/v1/applications/{application_id}/mandate", body)

    async def grant(self, application_id: str, invitation: Any, *, payer: str = "") -> None:
        if invitation["path"].startswith("https://card."):
            await self.sandbox(
                "bankcard",
                "POST",
                f"/_sandbox/users/{payer or 'U1000001'}/sign",
                {"sign_token": invitation["sign_str"], "sms_code": "246810"},
            )
        elif invitation["sign_str"]:
            await self.sandbox(
                "alipay",
                "POST",
                f"/_sandbox/users/{payer or '2088000000000001'}/sign",
                {"sign_str": invitation["sign_str"]},
            )
        else:
            await self.sandbox(
                "wechatpay",
                "POST",
                f"/_sandbox/users/{payer or 'oWx0000000000000000000000001'}/sign",
                {"extra_data": invitation["extra_data"]},
            )
        await self.settle()

    async def agreement(self, rail: str = "alipay", **changes: Any) -> Any:
        """Sign a customer from beginning to end, as the mini-program's gateway does."""
        application_id = await self.signed(rail, **changes)
        await self.grant(application_id, await self.invited(application_id))
        application = await self.ok("GET", f"/v1/applications/{application_id}")
        assert application["state"] == "completed", application
        return await self.ok("GET", f"/v1/agreements/{application['agreement_id']}")

    async def said(self) -> list[str]:
        """Return the subjects told since the last time, in order."""
        async with self.db.transaction() as conn:
            rows = await conn.fetch(
                "SELECT subject FROM outbox WHERE published_at IS NULL ORDER BY seq"
            )
            await conn.execute("UPDATE outbox SET published_at = now()")
        return [row["subject"].removeprefix("signing.") for row in rows]

    async def mandate_state(self, agreement_id: str) -> str:
        async with self.db.connection() as conn:
            return str(
                await conn.fetchval(
                    "SELECT state FROM mandates WHERE agreement_id = $1 "
                    "ORDER BY serial DESC LIMIT 1",
                    UUID(agreement_id),
                )
            )


@asynccontextmanager
async def signing_world(db: Database, keys_dir: Path) -> AsyncIterator[World]:
    """Serve signing from *db* with four providers, on one test clock that stands at noon."""
    clock = TestClock(NOON)
    async with AsyncExitStack() as stack:
        app = web.Application()
        server = TestServer(app)
        port = free_port()
        ours = f"http://127.0.0.1:{port}"
        sandboxes = _sandboxes(keys_dir, ours)
        urls = {name: await _serve(stack, sandbox) for name, sandbox in sandboxes.items()}
        notify, fulfillment = new_key_pair(), new_key_pair()
        settings = SigningSettings(
            dsn="postgresql://unused",
            alipay_gateway_url=f"{urls['alipay']}/gateway.do",
            wechatpay_url=urls["wechatpay"],
            bankcard_url=urls["bankcard"],
            esign_url=urls["esign"],
            faceid_url=urls["faceid"],
            tsa_url=urls["tsa"],
            keys_dir=keys_dir,
            public_url=ours,
            field_keys=f"1:{new_field_key()}",
            index_key=new_field_key(),
            notify_public_key=notify[1],
            fulfillment_public_key=fulfillment[1],
        )
        deps = await stack.enter_async_context(open_deps(settings, db, clock))
        add_api(SERVICE.api, app, deps, limits=Limits(per_key_per_s=10_000, per_key_burst=10_000))
        server = TestServer(app, port=port)
        client = await stack.enter_async_context(TestClient(server))
        async with db.transaction() as conn:
            operator = await issue_key(
                conn, tenant_id=None, scopes=["*"], name="operator", now=NOON
            )
        yield World(
            db=db,
            clock=clock,
            deps=deps,
            client=client,
            sandboxes=sandboxes,
            urls=urls,
            operator=operator,
            notify=Unsealer(notify[0]),
            fulfillment=Unsealer(fulfillment[0]),
            keys_dir=keys_dir,
        )


def _sandboxes(keys_dir: Path, ours: str) -> dict[str, Sandbox]:
    start = NOON - timedelta(seconds=0)
    return {
        "alipay": AlipaySandbox(
            Options(keys=keys_dir, now=start, extra={"app_gateway": f"{ours}/webhooks/alipay"})
        ),
        "wechatpay": WechatPaySandbox(
            Options(
                keys=keys_dir,
                now=start,
                extra={"contract_url": f"{ours}/webhooks/wechatpay/contracts"},
            )
        ),
        "bankcard": CardSandbox(Options(keys=keys_dir, now=start)),
        "esign": ESign(Options(keys=keys_dir, now=start)),
        "faceid": FaceId(Options(keys=keys_dir, now=start)),
        "tsa": Tsa(Options(keys=keys_dir, now=start)),
    }


async def _serve(stack: AsyncExitStack, sandbox: Sandbox) -> str:
    runner = web.AppRunner(sandbox.app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def make_keys(directory: Path) -> Path:
    keys.make(directory)
    return directory
