"""Billing with real rails' simulators, a real database, and time that a test moves."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp import web

from deploy.processes import free_port
from deploy.sandbox import keys
from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.card_aggregator import CardSandbox
from deploy.sandbox.kit import Options, Sandbox
from deploy.sandbox.wechatpay import WechatPaySandbox
from services.billing.consumers import CONSUMERS
from services.billing.contract import NoticeRequested
from services.billing.deps import Deps, open_deps
from services.billing.domain.attempt import Attempt
from services.billing.domain.instalment import Instalment
from services.billing.jobs import JOBS
from services.billing.routes import api
from services.billing.settings import BillingSettings
from services.billing.store import attempts, instalments
from services.notify.contract import MessageAccepted, MessageDelivered
from services.signing.contract import AgreementActivated, Rail
from shared.bus import Bus, durable
from shared.clock import TestClock
from shared.db import Database
from shared.events import Event
from shared.ids import derived_id, new_id
from shared.jobs import Due
from tests.support.billing_builders import (
    MERCHANT,
    SIGNED_AT,
    a_mandate,
    a_merchant,
    a_signing,
)
from tests.support.waiting import until

BUYER = "2088000000000001"
OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
CARD_USER = "U1000001"
PAYERS = {Rail.ALIPAY: BUYER, Rail.WECHATPAY: OPENID, Rail.BANKCARD: CARD_USER}
STEPS_MAX = 3000


@dataclass
class BillingWorld:
    """One billing process without its transport; notices are proven unless ``silent``."""

    deps: Deps
    clock: TestClock
    alipay: Sandbox
    wechat: Sandbox
    card: Sandbox
    urls: dict[str, str]
    base_url: str
    http: aiohttp.ClientSession
    bus: Bus[Deps]
    silent: Callable[[NoticeRequested, str], bool] = lambda _notice, _channel: False
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _seen: int = 0

    @property
    def db(self) -> Database:
        return self.deps.db

    async def hear(self, *events: Event) -> None:
        await self.bus.apply(durable("billing", type(events[0])), events)

    async def forget_what_was_heard(self) -> None:
        async with self.db.transaction() as conn:
            await conn.execute("DELETE FROM inbox")

    async def signed(
        self,
        n: int = 1,
        *,
        rail: Rail = Rail.ALIPAY,
        active: bool = True,
        payer: str = "",
        product: str = "",
        **terms: Any,
    ) -> UUID:
        """Sign agreement number *n*, its mandate at the simulated rail included."""
        signing = a_signing(n, rail=rail, **terms)
        payer = payer or PAYERS[rail]
        no = self._sign_at_rail(
            n, rail, payer, next(one.due_on for one in signing.instalments if one.seq)
        )
        await self.hear(a_merchant(n=signing.merchant_id))
        named = {"product": product} if product else {}
        await self.hear(a_mandate(n, rail=rail, rail_agreement_no=no, payer_no=payer, **named))
        await self.hear(signing)
        if active:
            await self.live_until(signing.cooling_off_ends_at)
            await self.hear(
                AgreementActivated(
                    event_id=new_id(),
                    occurred_at=self.clock.now(),
                    agreement_id=signing.agreement_id,
                    merchant_id=signing.merchant_id,
                    customer_id=signing.customer_id,
                )
            )
        return signing.agreement_id

    def _sign_at_rail(self, n: int, rail: Rail, payer: str, first: date) -> str:
        if rail is Rail.ALIPAY:
            assert isinstance(self.alipay, AlipaySandbox)
            row = self.alipay.bank.sign(
                payer,
                {"app_id": self.deps.alipay.config.app_id},
                {
                    "product_code": "CYCLE_PAY_AUTH",
                    "personal_product_code": "CYCLE_PAY_AUTH_P",
                    "sign_scene": "INDUSTRY|SUPERMARKET",
                    "external_agreement_no": f"AG{n:08d}",
                    "period_rule_params": {
                        "period_type": "MONTH",
                        "period": 1,
                        "execute_time": first.isoformat(),
                        "single_amount": "300.00",
                    },
                },
            )
            return str(row["agreement_no"])
        if rail is Rail.BANKCARD:
            assert isinstance(self.card, CardSandbox)
            terms = {"external_no": f"AG{n:08d}", "user_no": payer, "ceiling_fen": 30000}
            token = self.card.bank.invite(terms | {"notify_url": ""})
            return str(self.card.bank.sign(payer, token, "246810")["contract_no"])
        assert isinstance(self.wechat, WechatPaySandbox)
        row = self.wechat.bank.sign(
            payer,
            {
                "request_serial": str(1000 + n),
                "contract_code": f"AG{n:08d}",
                "mch_id": self.deps.wechatpay.config.mchid,
                "appid": self.deps.wechatpay.config.appid,
                "plan_id": "130001",
                "contract_display_account": "pet",
                "notify_url": "",
            },
        )
        return str(row["contract_id"])

    async def ask(self, rail: str, method: str, path: str, doc: Any = None) -> Any:
        async with self.http.request(
            method, f"{self.urls[rail]}/_sandbox{path}", json=doc
        ) as answer:
            body = await answer.json()
            assert answer.status < 400, body
            return body

    async def faulty(self, rail: str, *steps: dict[str, Any], account: str = "*") -> None:
        await self.ask(rail, "PUT", f"/faults/{account}", {"steps": list(steps)})

    async def books(self, rail: str) -> Any:
        return (await self.ask(rail, "GET", "/books"))["summary"]

    async def live_until(self, target: datetime) -> None:
        """Move from one due moment to the next, working off each, as the platform would."""
        for _ in range(STEPS_MAX):
            await self.work()
            due = [moment for moment in await self._due() if moment <= target]
            await self._set(max(self.clock.now(), min(due, default=target)))
            if not due:
                await self.work()
                return
        raise AssertionError(f"time stands still at {self.clock.now()}: {await self._due()}")

    async def live(self, **delta: float) -> None:
        await self.live_until(self.clock.now() + timedelta(**delta))

    async def work(self) -> None:
        """Do what is due now, until nothing is."""
        for _ in range(200):
            done = 0
            for job in JOBS:
                if isinstance(job, Due) and await self._is_due(job):
                    done += 1
                    await job.run(self.deps)
            done += await self._notify()
            await self._rails_quiet()
            if not done:
                return
        raise AssertionError("there is always something due")

    async def _is_due(self, job: Due[Deps]) -> bool:
        async with self.db.connection() as conn:
            at = await conn.fetchval(job.next_due)
        return at is not None and at <= self.clock.now()

    async def _due(self) -> list[datetime]:
        found = [sim.timeline.next_due_at() for sim in (self.alipay, self.wechat, self.card)]
        async with self.db.connection() as conn:
            found += [await conn.fetchval(job.next_due) for job in JOBS if isinstance(job, Due)]
        return [moment for moment in found if moment is not None]

    async def _set(self, now: datetime) -> None:
        self.clock.set(now)
        for rail in self.urls:
            await self.ask(rail, "PUT", "/clock", {"now": now.isoformat()})
        await self._rails_quiet()

    async def _rails_quiet(self) -> None:
        sims = (self.alipay, self.wechat, self.card)
        await until(lambda: not any(sim.timeline.busy() for sim in sims))

    async def _notify(self) -> int:
        """Play notify: send what was asked for and prove it, except where ``silent``."""
        async with self.db.connection() as conn:
            rows = await conn.fetch(
                "SELECT seq, subject, body FROM outbox WHERE seq > $1 ORDER BY seq", self._seen
            )
        for row in rows:
            self._seen = row["seq"]
            self.told.append((row["subject"], json.loads(row["body"])))
            if row["subject"] == NoticeRequested.subject:
                await self._prove(NoticeRequested.model_validate_json(row["body"]))
        return len(rows)

    async def _prove(self, notice: NoticeRequested) -> None:
        now = self.clock.now()
        for channel in notice.channels:
            if self.silent(notice, channel):
                continue
            common: dict[str, Any] = {
                "occurred_at": now,
                "message_id": derived_id("message", notice.notice_id, channel),
                "cause": f"notice.{notice.kind}",
                "cause_id": notice.notice_id,
                "merchant_id": notice.merchant_id,
                "customer_id": notice.customer_id,
                "channel": channel,
                "provider": "test",
            }
            await self.hear(MessageDelivered(event_id=new_id(), delivered_at=now, **common))
            await self.hear(
                MessageAccepted(
                    event_id=new_id(), provider_message_id="1", accepted_at=now, **common
                )
            )

    def said(self, event: type[Event]) -> list[dict[str, Any]]:
        """Return the bodies of all events of this class so far."""
        return [body for subject, body in self.told if subject == event.subject]

    async def instalments(self, agreement_id: UUID) -> list[Instalment]:
        async with self.db.connection() as conn:
            return await instalments.of_agreement(conn, agreement_id)

    async def instalment(self, agreement_id: UUID, seq: int = 1) -> Instalment:
        return (await self.instalments(agreement_id))[seq - 1]

    async def attempts(self, instalment: Instalment) -> list[Attempt]:
        async with self.db.connection() as conn:
            return await attempts.of_instalment(conn, instalment.instalment_id)


@asynccontextmanager
async def serving(app: web.Application, port: int = 0) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def billing_world(db: Database, keys_dir: Path) -> AsyncIterator[BillingWorld]:
    """Start the simulators and billing's endpoints, all at the moment of signing."""
    async with AsyncExitStack() as stack:
        clock = TestClock(SIGNED_AT)
        alipay = AlipaySandbox(Options(keys=keys_dir, now=SIGNED_AT))
        wechat = WechatPaySandbox(Options(keys=keys_dir, now=SIGNED_AT))
        card = CardSandbox(Options(keys=keys_dir, now=SIGNED_AT))
        urls = {
            "alipay": await stack.enter_async_context(serving(alipay.app)),
            "wechatpay": await stack.enter_async_context(serving(wechat.app)),
            "bankcard": await stack.enter_async_context(serving(card.app)),
        }
        port = free_port()
        settings = BillingSettings(
            dsn="postgresql://unused",
            clock_url="http://127.0.0.1/clock",
            alipay_gateway_url=f"{urls['alipay']}/gateway.do",
            wechatpay_url=urls["wechatpay"],
            bankcard_url=urls["bankcard"],
            keys_dir=keys_dir,
            public_url=f"http://127.0.0.1:{port}",
        )
        deps = await stack.enter_async_context(open_deps(settings, db, clock))
        app = web.Application()
        api.add_to(app, deps, clock=clock)
        base_url = await stack.enter_async_context(serving(app, port))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        bus = Bus("billing", CONSUMERS, db=db, clock=clock, deps=deps)
        yield BillingWorld(deps, clock, alipay, wechat, card, urls, base_url, http, bus)


__all__ = ["MERCHANT", "BillingWorld", "billing_world", "keys"]
