"""Both simulators over real HTTP, our clients, and a listener that hears their notifications."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from deploy.sandbox import keys
from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.kit import Options
from deploy.sandbox.wechatpay import WechatPaySandbox
from tests.rails.support import AlipayWorld, Listener, WechatWorld, running

START = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)  # 10:00 in China


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    keys.make(directory)
    return directory


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    heard = Listener()
    async with running(heard.app) as heard.base_url:
        yield heard


@pytest.fixture
async def alipay(keys_dir, http, listener) -> AsyncIterator[AlipayWorld]:
    gateway = listener.url("/app-gateway")
    sandbox = AlipaySandbox(Options(keys=keys_dir, now=START, extra={"app_gateway": gateway}))
    async with running(sandbox.app) as base_url:
        yield AlipayWorld(sandbox, base_url, http, listener, keys_dir)


@pytest.fixture
async def wechat(keys_dir, http, listener) -> AsyncIterator[WechatWorld]:
    extra = {"contract_url": listener.url("/template")}
    sandbox = WechatPaySandbox(Options(keys=keys_dir, now=START, extra=extra))
    async with running(sandbox.app) as base_url:
        yield WechatWorld(sandbox, base_url, http, listener, keys_dir)
