"""What the rails' tests share: a listener, and one world per rail with a signed customer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from deploy.sandbox import keys
from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.kit import Sandbox
from deploy.sandbox.wechatpay import WechatPaySandbox
from shared.calendar import CHINA
from shared.rails import alipay_calls, wechatpay_calls
from shared.rails.alipay import AlipayClient, AlipayConfig
from shared.rails.outcome import Outcome
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.transport import Timeouts
from shared.rails.wechatpay import WechatPayClient, WechatPayConfig

BUYER = "2088000000000001"
OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[str]:
    """Serve *app* on a free port; yield its base URL."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield url
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], bool], *, within_s: float = 5) -> None:
    """Wait until *condition* holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


class Listener:
    """Our side of notifications: keeps each, answers from ``answers`` or as each rail likes it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[web.Response] = []
        self.base_url = ""
        self.app = web.Application()
        self.app.router.add_post("/{path:.*}", self._hear)

    def url(self, path: str) -> str:
        return self.base_url + path

    def bodies(self, path: str) -> list[bytes]:
        return [body for at, _, body in self.heard if at == path]

    async def _hear(self, request: web.Request) -> web.Response:
        self.heard.append((request.path, dict(request.headers), await request.read()))
        if self.answers:
            return self.answers.pop(0)
        if request.content_type == "text/xml":
            return web.Response(text="<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>")
        return web.Response(text="success")


class RailWorld:
    """A simulator with its control endpoints."""

    def __init__(
        self, sandbox: Sandbox, url: str, http: aiohttp.ClientSession, listener: Listener
    ) -> None:
        self.base = sandbox
        self.url = url
        self.http = http
        self.listener = listener

    async def ask(self, method: str, path: str, doc: Any = None) -> tuple[int, Any]:
        async with self.http.request(method, f"{self.url}/_sandbox{path}", json=doc) as answer:
            return answer.status, await answer.json()

    async def faulty(self, account: str, *steps: dict[str, Any]) -> None:
        status, _ = await self.ask("PUT", f"/faults/{account}", {"steps": list(steps)})
        assert status == 200

    async def move_to(self, now: datetime) -> None:
        status, state = await self.ask("PUT", "/clock", {"now": now.isoformat()})
        assert (status, state["busy"]) == (200, False), state

    async def move_on(self, **delta: float) -> None:
        await self.move_to(self.base.now() + timedelta(**delta))

    async def in_china(self, day: str, hour: int = 10) -> None:
        await self.move_to(datetime.fromisoformat(day).replace(hour=hour, tzinfo=CHINA))

    async def quiet(self) -> None:
        await until(lambda: not self.base.timeline.busy())

    async def books(self) -> Any:
        return (await self.ask("GET", "/books"))[1]


class AlipayWorld(RailWorld):
    """The simulated Alipay and our client for it."""

    def __init__(
        self,
        sandbox: AlipaySandbox,
        url: str,
        http: aiohttp.ClientSession,
        listener: Listener,
        directory: Path,
    ) -> None:
        super().__init__(sandbox, url, http, listener)
        self.client = AlipayClient(
            http,
            AlipayConfig(f"{url}/gateway.do", keys.secret(directory, "alipay_app_id"), FAST),
            RsaSigner(keys.private_pem(directory, "alipay-app")),
            RsaVerifier(keys.public_pem(directory, "alipay")),
        )

    async def sign(self, number: str = "AG0001", **rule: Any) -> dict[str, Any]:
        """Let the customer sign; first deduction on 8 January 2026, 88 yuan at most."""
        limits = {"execute_day": date(2026, 1, 8), "single_amount_fen": 8800, **rule}
        page = alipay_calls.SignPage(
            external_agreement_no=number,
            sign_scene="INDUSTRY|SUPERMARKET",
            product_code="CYCLE_PAY_AUTH",
            personal_product_code="CYCLE_PAY_AUTH_P",
            period_rule=alipay_calls.PeriodRule(**limits),
        )
        text = await alipay_calls.sign_page_string(
            self.client, page, notify_url=self.listener.url("/signed")
        )
        _, answer = await self.ask("POST", f"/users/{BUYER}/sign", {"sign_str": text})
        return dict(answer)

    async def charge(
        self, number: str, agreement_no: str, amount_fen: int = 8800, path: str = "/paid"
    ) -> Outcome:
        order = alipay_calls.Withholding(
            out_trade_no=number,
            amount_fen=amount_fen,
            subject="宠粮月付第1期",
            agreement_no=agreement_no,
            product_code="CYCLE_PAY_AUTH",
        )
        return await alipay_calls.withhold(self.client, order, notify_url=self.listener.url(path))


class WechatWorld(RailWorld):
    """The simulated WeChat Pay and our client for it."""

    def __init__(
        self,
        sandbox: WechatPaySandbox,
        url: str,
        http: aiohttp.ClientSession,
        listener: Listener,
        directory: Path,
    ) -> None:
        super().__init__(sandbox, url, http, listener)
        serial = keys.secret(directory, "wechat_platform_serial")
        config = WechatPayConfig(
            base_url=url,
            mchid=keys.secret(directory, "wechat_mchid"),
            appid=keys.secret(directory, "wechat_appid"),
            merchant_serial=keys.secret(directory, "wechat_merchant_serial"),
            apiv2_key=keys.secret(directory, "wechat_apiv2_key"),
            apiv3_key=keys.secret(directory, "wechat_apiv3_key"),
            timeouts=FAST,
        )
        self.client = WechatPayClient(
            http,
            config,
            RsaSigner(keys.private_pem(directory, "wechat-merchant")),
            {serial: RsaVerifier(keys.public_pem(directory, "wechat-platform"))},
        )

    async def sign(self, code: str = "AG0001", **changes: str) -> dict[str, Any]:
        contract = wechatpay_calls.Contract(
            contract_code=code,
            plan_id="130001",
            request_serial=1000 + len(list(self.base.books.all("contracts"))),
            display_account="宠物月付",
        )
        extra = wechatpay_calls.sign_extra_data(
            self.client, contract, notify_url=self.listener.url("/signed")
        )
        doc = {"extra_data": extra | changes}
        _, answer = await self.ask("POST", f"/users/{OPENID}/sign", doc)
        return dict(answer)

    async def charge(self, number: str, contract_id: str, amount_fen: int = 8800) -> Outcome:
        order = wechatpay_calls.Deduction(
            out_trade_no=number,
            amount_fen=amount_fen,
            description="宠粮月付第1期",
            contract_id=contract_id,
        )
        return await wechatpay_calls.apply_deduction(
            self.client, order, notify_url=self.listener.url("/paid")
        )

    async def notice(self, contract_id: str, amount_fen: int = 8800) -> Outcome:
        return await wechatpay_calls.send_prenotice(
            self.client, contract_id=contract_id, amount_fen=amount_fen
        )


FAST = Timeouts(connect_s=1, total_s=1)
