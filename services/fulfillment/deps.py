"""What fulfillment needs from outside: database, time, warehouse, carriers, keys."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from services.fulfillment.gateways import jushuitan, kuaidi100
from services.fulfillment.gateways.carrier import Carrier
from services.fulfillment.gateways.warehouse import Warehouse
from services.fulfillment.settings import FulfillmentSettings
from shared.clock import Clock
from shared.db import Database
from shared.sealing import FieldCipher, Unsealer


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything a use case may ask for; *public_url* is where carriers call us."""

    db: Database
    clock: Clock
    warehouse: Warehouse
    carrier: Carrier
    unsealer: Unsealer
    cipher: FieldCipher
    public_url: str


@asynccontextmanager
async def open_deps(
    settings: FulfillmentSettings, db: Database, clock: Clock
) -> AsyncIterator[Deps]:
    """Yield the dependencies; refuses real providers under a test clock."""
    settings.require_sandbox(settings.jst_url, settings.kuaidi100_url)
    known = orjson.loads((settings.keys_dir / "secrets.json").read_bytes())
    async with aiohttp.ClientSession() as session:
        yield Deps(
            db=db,
            clock=clock,
            warehouse=_warehouse(settings, known, session, clock),
            carrier=_carrier(settings, known, session),
            unsealer=Unsealer(settings.private_key.get_secret_value()),
            cipher=field_cipher(settings.field_keys.get_secret_value()),
            public_url=settings.public_url.rstrip("/"),
        )


def field_cipher(text: str) -> FieldCipher:
    """Return the cipher for keys written ``version:base64``, comma-separated, newest last."""
    keys = dict(one.strip().split(":", 1) for one in text.split(","))
    return FieldCipher(keys, current=list(keys)[-1])


def _warehouse(
    settings: FulfillmentSettings,
    known: Mapping[str, Any],
    session: aiohttp.ClientSession,
    clock: Clock,
) -> Warehouse:
    account = jushuitan.Account(
        url=settings.jst_url.rstrip("/"),
        app_key=known["jst_app_key"],
        app_secret=known["jst_app_secret"],
        token=known["jst_access_token"],
        shop_id=settings.jushuitan_shop_id,
    )
    return jushuitan.Jushuitan(
        session,
        account,
        clock,
        per_second=settings.jushuitan_calls_per_second,
        per_minute=settings.jushuitan_calls_per_minute,
    )


def _carrier(
    settings: FulfillmentSettings, known: Mapping[str, Any], session: aiohttp.ClientSession
) -> Carrier:
    account = kuaidi100.Account(
        url=settings.kuaidi100_url.rstrip("/"),
        key=known["kuaidi100_key"],
        customer=known["kuaidi100_customer"],
        salt=known["kuaidi100_salt"],
    )
    return kuaidi100.Kuaidi100(session, account)
