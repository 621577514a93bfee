"""The whole process: money from the bus ends as a planned shipment on the bus."""

import nats
import orjson
import pytest
from nats.js.api import StreamConfig
from pydantic import SecretStr

from deploy.sandbox import keys
from services.fulfillment.app import SERVICE
from services.fulfillment.contract import ShipmentPlanned
from services.fulfillment.deps import field_cipher
from services.fulfillment.settings import FulfillmentSettings
from shared.bus import consumer_config
from shared.clock import SystemClock
from shared.sealing import new_field_key
from shared.service import running
from tests.support.fulfillment_builders import (
    PRIVATE_KEY,
    a_customer,
    a_funding,
    a_pet,
    a_plan,
    a_signing,
)
from tests.support.waiting import until

STREAMS = ("signing", "wallet", "fulfillment")


def settings_for(dsn, nats_url, keys_dir, **more):
    keys.make(keys_dir, bits=1024)
    return FulfillmentSettings(
        dsn=SecretStr(dsn),
        nats_url=nats_url,
        port=0,
        public_url="http://127.0.0.1:1",
        keys_dir=keys_dir,
        private_key=SecretStr(PRIVATE_KEY),
        field_keys=SecretStr(f"1:{new_field_key()}"),
        jst_url="http://127.0.0.1:9",
        kuaidi100_url="http://127.0.0.1:9",
        **more,
    )


async def test_money_from_the_bus_is_planned_on_the_bus(databases, nats_server, tmp_path):
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    for stream in STREAMS:
        await js.add_stream(StreamConfig(name=stream, subjects=[f"{stream}.>"]))
    for on in SERVICE.consumers:
        await js.add_consumer(on.event.publisher(), consumer_config("fulfillment", on.event))
    heard: list[bytes] = []

    async def hear(message):
        heard.append(message.data)

    await client.subscribe(ShipmentPlanned.subject, cb=hear)
    funded = a_funding()
    async with databases.fresh_name("fulfillment") as name:
        dsn = databases.dsn(name, role="fulfillment")
        async with running(SERVICE, settings_for(dsn, nats_server.url, tmp_path)) as process:
            # The money is told first: it comes again once the agreement is known.
            for event in (funded, a_signing(), a_pet(), a_customer(), a_plan()):
                await js.publish(event.subject, event.model_dump_json().encode())
            await until(lambda: bool(heard), within_s=20, why="the shipment was not planned")
            await until(lambda: process.state_of_work()["waiting_for"] == [], within_s=20)
            assert process.jobs.next_due_at is not None

    planned = ShipmentPlanned.model_validate_json(heard[0])
    assert planned.instalment_id == funded.instalment_id
    for stream in STREAMS:
        await js.delete_stream(stream)
    await client.close()


async def test_real_providers_are_not_called_under_a_test_clock(fulfillment_db, tmp_path):
    settings = settings_for("postgresql://", "nats://", tmp_path, clock_url="http://127.0.0.1:1")
    real = settings.model_copy(update={"jst_url": "https://openapi.jushuitan.com"})

    with pytest.raises(ValueError, match="test clock"):
        async with SERVICE.open_deps(real, fulfillment_db, SystemClock()):
            raise AssertionError("It was opened.")


def test_the_newest_field_key_is_current():
    cipher = field_cipher(f"1:{new_field_key()}, 2:{new_field_key()}")

    stored = cipher.encrypt("x", table="t", column="c", row=1)

    assert stored.startswith("2:")
    assert orjson.dumps(stored)
