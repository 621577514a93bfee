"""All that comes from outside: database, clock, keys, rails and providers."""

import base64
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.signing.contract import Rail
from services.signing.domain.schedule import Offers
from services.signing.gateways.alipay import AlipayMandates
from services.signing.gateways.bankcard import CardMandates
from services.signing.gateways.esign import ESign
from services.signing.gateways.faceid import FaceId
from services.signing.gateways.mandate_rail import MandateRail
from services.signing.gateways.time_stamper import Rfc3161Stamper, TimeStamper
from services.signing.gateways.vault import Vault
from services.signing.gateways.wechatpay import WechatMandates
from services.signing.settings import SigningSettings
from services.signing.store.quotes import QuoteBook
from shared.clock import Clock
from shared.db import Database
from shared.rails.alipay import AlipayClient, AlipayConfig
from shared.rails.card import CardClient, CardConfig
from shared.rails.permissions import offered, override
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.wechatpay import WechatPayClient, WechatPayConfig
from shared.sealing import FieldCipher

CONNECTIONS: Final = 64
"""Calls to providers under way at once."""


@dataclass(frozen=True)
class Deps:
    """What use cases need from outside."""

    db: Database
    clock: Clock
    vault: Vault
    alipay: AlipayClient
    alipay_mandates: AlipayMandates
    wechat_mandates: WechatMandates
    card_mandates: CardMandates
    rails: Mapping[Rail, MandateRail]
    offers: Offers
    faceid: FaceId
    esign: ESign
    quotes: QuoteBook
    quote_url_base: str
    time_stamper: TimeStamper | None = None
    """None: no authority is configured, and statements wait for one."""
    evidence_key: Ed25519PrivateKey | None = None
    """What evidence is signed with; None: none can be exported."""


@asynccontextmanager
async def open_deps(settings: SigningSettings, db: Database, clock: Clock) -> AsyncIterator[Deps]:
    """
    Read the keys and open connections to the providers; closes them at the end.

    Raises:
        ValueError: A key is not one, or a real provider stands beside a test clock.
        OSError: A key is missing.
    """
    settings.require_sandbox(
        settings.alipay_gateway_url,
        settings.wechatpay_url,
        *filter(None, [settings.bankcard_url, settings.tsa_url]),
        settings.esign_url,
        settings.faceid_url,
    )
    secrets: dict[str, str] = orjson.loads((settings.keys_dir / "secrets.json").read_bytes())
    async with contextlib.AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        alipay = _alipay(settings, session, secrets, stack)
        wechat = _wechatpay(settings, session, secrets, stack)
        alipay_mandates = AlipayMandates(
            alipay, notify_url=f"{settings.public_url}/webhooks/alipay"
        )
        wechat_mandates = WechatMandates(
            wechat,
            plan_id=secrets["wechat_plan_id"],
            notify_url=f"{settings.public_url}/webhooks/wechatpay/contracts",
        )
        card_mandates = CardMandates(
            _bankcard(settings, session, secrets, stack),
            notify_url=f"{settings.public_url}/webhooks/bankcard/contracts",
        )
        yield Deps(
            db=db,
            clock=clock,
            quotes=QuoteBook(db),
            quote_url_base=settings.quote_url_base,
            vault=_vault(settings),
            time_stamper=_time_stamper(settings, session),
            evidence_key=_evidence_key(settings),
            alipay=alipay,
            alipay_mandates=alipay_mandates,
            wechat_mandates=wechat_mandates,
            card_mandates=card_mandates,
            rails={
                Rail.ALIPAY: alipay_mandates,
                Rail.WECHATPAY: wechat_mandates,
                Rail.BANKCARD: card_mandates,
            },
            offers=_offers(settings),
            faceid=FaceId(
                session,
                clock,
                url=settings.faceid_url,
                secret_id=secrets["faceid_secret_id"],
                secret_key=secrets["faceid_secret_key"],
                rule_id=settings.faceid_rule_id,
            ),
            esign=ESign(
                session,
                clock,
                url=settings.esign_url,
                app_id=secrets["esign_app_id"],
                secret=secrets["esign_app_secret"],
                notify_url=f"{settings.public_url}/webhooks/esign",
            ),
        )


def _offers(settings: SigningSettings) -> Offers:
    rows = override(settings.rail_permissions)
    return {rail: offered(rail.value, settings.rail_products, rows) for rail in Rail}


def _vault(settings: SigningSettings) -> Vault:
    pairs = settings.field_keys.get_secret_value().split(",")
    keys = {version.strip(): key for version, _, key in (pair.partition(":") for pair in pairs)}
    return Vault(
        FieldCipher(keys, current=list(keys)[-1]),
        index_key=base64.b64decode(settings.index_key.get_secret_value()),
        notify_public_key=settings.notify_public_key,
        fulfillment_public_key=settings.fulfillment_public_key,
    )


def _time_stamper(settings: SigningSettings, session: aiohttp.ClientSession) -> TimeStamper | None:
    if not settings.tsa_url:
        return None
    roots = (settings.keys_dir / settings.tsa_roots).read_bytes()
    return Rfc3161Stamper(session, url=settings.tsa_url, roots=roots)


def _evidence_key(settings: SigningSettings) -> Ed25519PrivateKey | None:
    file = settings.keys_dir / "evidence.pem"
    if not file.exists():
        return None
    key = load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{file} is no Ed25519 key.")  # noqa: TRY004 - a setting, not a type
    return key


def _alipay(
    settings: SigningSettings,
    session: aiohttp.ClientSession,
    secrets: Mapping[str, str],
    stack: contextlib.AsyncExitStack,
) -> AlipayClient:
    signer = RsaSigner(_text(settings.keys_dir, "alipay-app.pem"))
    stack.callback(signer.close)
    return AlipayClient(
        session,
        AlipayConfig(settings.alipay_gateway_url, secrets["alipay_app_id"]),
        signer,
        RsaVerifier(_text(settings.keys_dir, "alipay.pub.pem")),
    )


def _wechatpay(
    settings: SigningSettings,
    session: aiohttp.ClientSession,
    secrets: Mapping[str, str],
    stack: contextlib.AsyncExitStack,
) -> WechatPayClient:
    signer = RsaSigner(_text(settings.keys_dir, "wechat-merchant.pem"))
    stack.callback(signer.close)
    config = WechatPayConfig(
        base_url=settings.wechatpay_url,
        mchid=secrets["wechat_mchid"],
        appid=secrets["wechat_appid"],
        merchant_serial=secrets["wechat_merchant_serial"],
        apiv2_key=secrets["wechat_apiv2_key"],
        apiv3_key=secrets["wechat_apiv3_key"],
    )
    platform = RsaVerifier(_text(settings.keys_dir, "wechat-platform.pub.pem"))
    return WechatPayClient(session, config, signer, {secrets["wechat_platform_serial"]: platform})


def _bankcard(
    settings: SigningSettings,
    session: aiohttp.ClientSession,
    secrets: Mapping[str, str],
    stack: contextlib.AsyncExitStack,
) -> CardClient:
    signer = RsaSigner(_text(settings.keys_dir, "card-merchant.pem"))
    stack.callback(signer.close)
    return CardClient(
        session,
        CardConfig(settings.bankcard_url, secrets["card_merchant_no"]),
        signer,
        RsaVerifier(_text(settings.keys_dir, "card-aggregator.pub.pem")),
    )


def _text(directory: Path, name: str) -> str:
    return (directory / name).read_text(encoding="utf-8")
