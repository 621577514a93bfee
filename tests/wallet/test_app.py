"""The whole process: an event from the bus ends in the books, and its news on the bus."""

import nats
from nats.js.api import StreamConfig
from pydantic import SecretStr

from services.billing.contract import ChargeCollected
from services.wallet.app import SERVICE
from services.wallet.contract import InstalmentFunded
from services.wallet.settings import WalletSettings
from shared.bus import consumer_config, durable
from shared.service import running
from tests.support.waiting import until
from tests.support.wallet_builders import a_collection

STREAMS = ("signing", "billing", "wallet", "fulfillment")


async def test_a_collection_from_the_bus_is_funded_on_the_bus(databases, nats_server):
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    for stream in STREAMS:
        await js.add_stream(StreamConfig(name=stream, subjects=[f"{stream}.>"]))
    for on in SERVICE.consumers:
        await js.add_consumer(on.event.publisher(), consumer_config("wallet", on.event))
    heard: list[bytes] = []

    async def hear(message):
        heard.append(message.data)

    await client.subscribe(InstalmentFunded.subject, cb=hear)
    event = a_collection()
    async with databases.fresh_name("wallet") as name:
        dsn = SecretStr(databases.dsn(name, role="wallet"))
        secret = SecretStr("a secret of the tests only, long enough")
        settings = WalletSettings(dsn=dsn, nats_url=nats_server.url, port=0, index_key=secret)
        async with running(SERVICE, settings) as process:
            await js.publish(event.subject, event.model_dump_json().encode())
            await until(lambda: bool(heard), within_s=20, why="the instalment was not funded")
            await until(lambda: process.state_of_work()["waiting_for"] == [], within_s=20)

    assert InstalmentFunded.model_validate_json(heard[0]).instalment_id == event.instalment_id
    assert durable("wallet", ChargeCollected) == "wallet__billing_charge_collected_v1"
    for stream in STREAMS:
        await js.delete_stream(stream)
    await client.close()
