"""What billing needs from outside: its database, the time, the rails, and terms of business."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.billing.domain.dunning import FAST, PRESETS, Step
from services.billing.gateways.alipay import AlipayRail
from services.billing.gateways.alipay_bill import AlipayBills
from services.billing.gateways.bankcard import BankCardRail
from services.billing.gateways.bankcard_bill import BankCardBills
from services.billing.gateways.bill_source import BillSource
from services.billing.gateways.paced import paced
from services.billing.gateways.rail import Rail
from services.billing.gateways.wechatpay import NotifyUrls, WechatPayRail
from services.billing.gateways.wechatpay_bill import WechatPayBills
from services.billing.settings import BillingSettings
from shared.clock import Clock
from shared.db import Database
from shared.rails.alipay import AlipayClient, AlipayConfig
from shared.rails.card import CardClient, CardConfig
from shared.rails.permissions import PERMISSIONS, Permission, override
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.wechatpay import WechatPayClient, WechatPayConfig
from shared.settings import read_secret

CONNECTIONS: Final = 256
"""Connections kept open to both rails together."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator decided; see the settings of the same names."""

    pay_url_base: str = "https://pay.example.com/p/"
    ladder: tuple[Step, ...] = FAST
    dunning: str = "fast"
    in_flight: int = 64
    batch: int = 250
    lanes: int = 2


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything a use case may ask for; rails by name, permissions by (rail, product)."""

    db: Database
    clock: Clock
    rails: Mapping[str, Rail]
    alipay: AlipayClient
    wechatpay: WechatPayClient
    bankcard: CardClient
    permissions: Mapping[tuple[str, str], Permission] = field(default_factory=lambda: PERMISSIONS)
    terms: Terms = field(default_factory=Terms)
    evidence_key: Ed25519PrivateKey | None = None
    bills: Mapping[str, BillSource] = field(default_factory=dict)
    """Where each rail's bills come from; a rail without one is not reconciled."""


@asynccontextmanager
async def open_deps(settings: BillingSettings, db: Database, clock: Clock) -> AsyncIterator[Deps]:
    """Load the keys and yield the dependencies; under a test clock only the sandbox is called."""
    settings.require_sandbox(
        settings.alipay_gateway_url, settings.wechatpay_url, settings.bankcard_url
    )
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        permissions = override(settings.rail_permissions)
        alipay = _alipay(settings, session)
        wechatpay = _wechatpay(settings, session)
        bankcard = _bankcard(settings, session)
        hooks = settings.public_url.rstrip("/") + "/webhooks"
        rails: dict[str, Rail] = {
            "alipay": AlipayRail(
                alipay,
                notify_url=f"{hooks}/alipay",
                product_codes={
                    "alipay_cycle": settings.alipay_cycle_code,
                    "alipay_general": "GENERAL_WITHHOLDING",
                },
            ),
            "wechatpay": WechatPayRail(
                wechatpay,
                NotifyUrls(
                    deduction=f"{hooks}/wechatpay/papay",
                    payment=f"{hooks}/wechatpay/pay",
                    refund=f"{hooks}/wechatpay/refund",
                ),
            ),
            "bankcard": BankCardRail(bankcard, notify_url=f"{hooks}/bankcard"),
        }
        yield Deps(
            db=db,
            clock=clock,
            rails=paced(rails, permissions, share=settings.rail_share),
            alipay=alipay,
            wechatpay=wechatpay,
            bankcard=bankcard,
            permissions=permissions,
            terms=Terms(
                pay_url_base=settings.pay_url_base,
                ladder=PRESETS[settings.dunning],
                dunning=settings.dunning,
                in_flight=settings.in_flight,
                batch=settings.batch,
                lanes=settings.lanes,
            ),
            bills={
                "alipay": AlipayBills(alipay),
                "wechatpay": WechatPayBills(wechatpay),
                "bankcard": BankCardBills(bankcard),
            },
            evidence_key=_evidence_key(settings),
        )


def _evidence_key(settings: BillingSettings) -> Ed25519PrivateKey | None:
    """Return the key that signs evidence; without its file no evidence can be exported."""
    file = settings.keys_dir / "evidence.pem"
    if not file.exists():
        return None
    key = load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{file} is no Ed25519 key")  # noqa: TRY004 - a wrong setting
    return key


def _alipay(settings: BillingSettings, session: aiohttp.ClientSession) -> AlipayClient:
    keys = settings.keys_dir
    return AlipayClient(
        session,
        AlipayConfig(settings.alipay_gateway_url, _secrets(settings)["alipay_app_id"]),
        RsaSigner(read_secret(keys / "alipay-app.pem")),
        RsaVerifier(read_secret(keys / "alipay.pub.pem")),
    )


def _wechatpay(settings: BillingSettings, session: aiohttp.ClientSession) -> WechatPayClient:
    keys, secrets = settings.keys_dir, _secrets(settings)
    return WechatPayClient(
        session,
        WechatPayConfig(
            base_url=settings.wechatpay_url.rstrip("/"),
            mchid=secrets["wechat_mchid"],
            appid=secrets["wechat_appid"],
            merchant_serial=secrets["wechat_merchant_serial"],
            apiv2_key=secrets["wechat_apiv2_key"],
            apiv3_key=secrets["wechat_apiv3_key"],
        ),
        RsaSigner(read_secret(keys / "wechat-merchant.pem")),
        {
            secrets["wechat_platform_serial"]: RsaVerifier(
                read_secret(keys / "wechat-platform.pub.pem")
            )
        },
    )


def _bankcard(settings: BillingSettings, session: aiohttp.ClientSession) -> CardClient:
    keys = settings.keys_dir
    config = CardConfig(
        settings.bankcard_url, _secrets(settings)["card_merchant_no"], settings.bankcard_paths
    )
    return CardClient(
        session,
        config,
        RsaSigner(read_secret(keys / "card-merchant.pem")),
        RsaVerifier(read_secret(keys / "card-aggregator.pub.pem")),
    )


def _secrets(settings: BillingSettings) -> dict[str, str]:
    loaded: dict[str, str] = orjson.loads((settings.keys_dir / "secrets.json").read_bytes())
    return loaded
