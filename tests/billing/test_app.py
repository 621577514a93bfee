"""The whole process: a signed agreement from the bus is billed."""

import nats
from nats.js.api import StreamConfig
from pydantic import SecretStr

from services.billing.app import SERVICE
from services.billing.settings import BillingSettings
from shared.bus import consumer_config
from shared.service import running
from tests.support.billing_builders import a_mandate, a_signing
from tests.support.waiting import until

STREAMS = ("signing", "billing", "wallet", "fulfillment", "notify")


async def test_a_signed_agreement_from_the_bus_becomes_rows(databases, nats_server, keys_dir):
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    for stream in STREAMS:
        await js.add_stream(StreamConfig(name=stream, subjects=[f"{stream}.>"]))
    for on in SERVICE.consumers:
        await js.add_consumer(on.event.publisher(), consumer_config("billing", on.event))
    async with databases.fresh_name("billing") as name:
        settings = BillingSettings(
            dsn=SecretStr(databases.dsn(name, role="billing")),
            nats_url=nats_server.url,
            port=0,
            keys_dir=keys_dir,
        )
        async with running(SERVICE, settings) as process:
            mandate, signing = a_mandate(), a_signing(periods=2)
            for event in (mandate, signing):
                await js.publish(event.subject, event.model_dump_json().encode())
            await until(lambda: process.bus.activity >= 2, within_s=20)
            async with process.db.connection() as conn:
                rows = await conn.fetchval("SELECT count(*) FROM instalments")

    assert rows == 2
    for stream in STREAMS:
        await js.delete_stream(stream)
    await client.close()
