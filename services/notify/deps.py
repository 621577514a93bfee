"""What notify needs from outside: database, time, providers of messages, keys, wording."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import aiohttp
import orjson

from services.notify.contract.states import Channel
from services.notify.domain.template import Template
from services.notify.domain.wording import TEMPLATES
from services.notify.gateways import aliyun_sms, wechat_message
from services.notify.gateways.alipay_message import AlipayMessages
from services.notify.gateways.sender import Sender
from services.notify.settings import NotifySettings
from services.notify.store import templates
from shared.clock import Clock
from shared.db import Database
from shared.rails.alipay import AlipayClient, AlipayConfig
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.sealing import FieldCipher, Unsealer, blind_index
from shared.settings import read_secret

TIMEOUT: Final = aiohttp.ClientTimeout(total=10, connect=3)

Book = Mapping[tuple[str, Channel], Template]
"""The newest approved templates, by key and channel."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens, locks and finds personal data, and what proves a provider's call."""

    unsealer: Unsealer
    cipher: FieldCipher
    index_key: bytes
    webhook_token: str
    wechat_push_token: str

    def index(self, value: str) -> str:
        """Return the blind index of a phone or an openid."""
        return blind_index(self.index_key, value)


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything a use case may ask for; *senders* by provider, best first on their channel."""

    db: Database
    clock: Clock
    senders: Mapping[str, Sender]
    templates: Book
    keys: Keys
    in_flight: int = 20

    @property
    def sms_providers(self) -> tuple[str, ...]:
        """Return the names of those that send SMS."""
        return tuple(s.name for s in self.senders.values() if s.channel is Channel.SMS)


@asynccontextmanager
async def open_deps(settings: NotifySettings, db: Database, clock: Clock) -> AsyncIterator[Deps]:
    """Write new templates, load keys, yield the dependencies; by test clock the sandbox only."""
    settings.require_sandbox(settings.sms_url, settings.wechat_url, settings.alipay_gateway_url)
    known = orjson.loads((settings.keys_dir / "secrets.json").read_bytes())
    async with aiohttp.ClientSession(
        timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        senders = _senders(settings, known, session, clock)
        yield Deps(
            db=db,
            clock=clock,
            senders={sender.name: sender for sender in senders},
            templates=await load_templates(db, clock, settings.template_codes),
            keys=Keys(
                unsealer=Unsealer(settings.private_key.get_secret_value()),
                cipher=_field_cipher(settings.field_keys.get_secret_value()),
                index_key=base64.b64decode(settings.index_key.get_secret_value()),
                webhook_token=settings.webhook_token.get_secret_value(),
                wechat_push_token=known["wechat_push_token"],
            ),
            in_flight=settings.in_flight,
        )


async def load_templates(db: Database, clock: Clock, codes: Mapping[str, str]) -> Book:
    """
    Add the wording of this release to the database and return what is approved there.

    *codes*, by ``provider:key``, replace those of the sandbox.
    """
    async with db.transaction() as conn:
        await templates.add_all(conn, TEMPLATES, now=clock.now())
        book = await templates.approved(conn)
    return {key: _with_codes(template, codes) for key, template in book.items()}


def _with_codes(template: Template, codes: Mapping[str, str]) -> Template:
    known = {
        provider: codes.get(f"{provider}:{template.key}", code)
        for provider, code in template.codes.items()
    }
    return replace(template, codes=known)


def _field_cipher(text: str) -> FieldCipher:
    keys = dict(one.strip().split(":", 1) for one in text.split(","))
    return FieldCipher(keys, current=list(keys)[-1])


def _senders(
    settings: NotifySettings,
    known: Mapping[str, str],
    session: aiohttp.ClientSession,
    clock: Clock,
) -> tuple[Sender, ...]:
    sms = aliyun_sms.Account(
        url=settings.sms_url,
        access_key_id=known["aliyun_access_key_id"],
        access_key_secret=known["aliyun_access_key_secret"],
        sign_name=settings.sms_sign,
    )
    wechat = wechat_message.Account(
        url=settings.wechat_url,
        app_id=known["wechat_appid"],
        secret=known["wechat_app_secret"],
        push_token=known["wechat_push_token"],
    )
    alipay = AlipayClient(
        session,
        AlipayConfig(settings.alipay_gateway_url, known["alipay_app_id"]),
        RsaSigner(read_secret(settings.keys_dir / "alipay-app.pem")),
        RsaVerifier(read_secret(settings.keys_dir / "alipay.pub.pem")),
    )
    return (
        aliyun_sms.AliyunSms(session, sms, clock),
        wechat_message.WeChatMessages(session, wechat, clock),
        AlipayMessages(alipay),
    )
