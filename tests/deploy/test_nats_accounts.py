"""Only billing says `billing.>`; nobody reads what is not theirs."""

import asyncio
from contextlib import asynccontextmanager

import nats
import pytest
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig

from deploy.nats.accounts import BOOTSTRAP, Hears
from tests.support import servers

HEARS = {"wallet": [Hears("billing", "wallet__billing_charge_collected_v1")]}
COLLECTED = "billing.charge.collected.v1"
THEIRS = "notify__billing_charge_collected_v1"
ANSWERS_WITHIN_S = 1.0


@pytest.fixture(scope="module")
def guarded():
    with servers.nats(hears=HEARS) as server:
        yield server


@asynccontextmanager
async def user(server, name, *, inbox=None):
    """A client as this service, and the list of what the server refused it."""
    refused = []

    async def complain(error):
        refused.append(str(error))

    client = await nats.connect(
        server.url,
        nkeys_seed_str=server.seeds[name],
        inbox_prefix=(inbox or f"_INBOX_{name}").encode(),
        error_cb=complain,
    )
    try:
        yield client, refused
    finally:
        await client.close()


@pytest.fixture
async def stream(guarded):
    """The stream of billing and its consumers, as they are before a service starts."""
    async with user(guarded, BOOTSTRAP) as (client, _):
        js = client.jetstream()
        await js.add_stream(StreamConfig(name="billing", subjects=["billing.>"]))
        for durable in (
            "wallet__billing_charge_collected_v1",
            "notify__billing_charge_collected_v1",
        ):
            await js.add_consumer(
                "billing",
                ConsumerConfig(
                    durable_name=durable,
                    filter_subject=COLLECTED,
                    ack_policy=AckPolicy.EXPLICIT,
                ),
            )
        yield js
        await js.delete_stream("billing")


async def said_in(js):
    return (await js.stream_info("billing")).state.messages


async def test_billing_publishes_its_own_events(guarded, stream):
    async with user(guarded, "billing") as (client, refused):
        answer = await client.jetstream().publish(COLLECTED, b"{}", timeout=5)

    assert answer.stream == "billing"
    assert refused == []


async def test_wallet_cannot_publish_an_event_of_billing(guarded, stream):
    async with user(guarded, "wallet") as (client, refused):
        with pytest.raises(NatsError):
            await client.jetstream().publish(COLLECTED, b"{}", timeout=ANSWERS_WITHIN_S)

    assert any("permissions violation" in one.lower() for one in refused)
    assert await said_in(stream) == 0


async def test_wallet_reads_and_settles_through_its_own_consumer(guarded, stream):
    await stream.publish(COLLECTED, b"{}")
    async with user(guarded, "wallet") as (client, refused):
        js = client.jetstream()
        mine = await js.pull_subscribe_bind(HEARS["wallet"][0].durable, stream="billing")
        (message,) = await mine.fetch(1, timeout=5)
        await message.ack_sync()

        assert (await mine.consumer_info()).num_ack_pending == 0
    assert refused == []


async def test_wallet_cannot_take_from_the_consumer_of_notify(guarded, stream):
    await stream.publish(COLLECTED, b"{}")
    async with user(guarded, "wallet") as (client, refused):
        theirs = await client.jetstream().pull_subscribe_bind(THEIRS, stream="billing")
        with pytest.raises((NatsError, TimeoutError)):
            await theirs.fetch(1, timeout=ANSWERS_WITHIN_S)

    assert any("permissions violation" in one.lower() for one in refused)
    info = await stream.consumer_info("billing", THEIRS)
    assert info.num_pending == 1


@pytest.mark.parametrize("subject", ["_INBOX_billing.>", "_INBOX.>", "billing.>", ">"])
async def test_wallet_cannot_listen_to_what_others_are_told(guarded, stream, subject):
    async with user(guarded, "wallet") as (client, refused):
        heard = await client.subscribe(subject)
        await client.flush()
        await stream.publish(COLLECTED, b"{}")
        with pytest.raises((NatsError, TimeoutError)):
            await heard.next_msg(timeout=0.2)

    assert any("permissions violation" in one.lower() for one in refused)


@pytest.mark.parametrize("what", ["$JS.API.STREAM.DELETE.billing", "$JS.API.STREAM.PURGE.billing"])
async def test_a_service_cannot_remove_a_stream(guarded, stream, what):
    async with user(guarded, "billing") as (client, refused):
        with pytest.raises((NatsError, TimeoutError)):
            await client.request(what, b"", timeout=ANSWERS_WITHIN_S)

    assert await said_in(stream) == 0
    assert any("permissions violation" in one.lower() for one in refused)


async def test_a_service_answers_a_question_put_to_it(guarded):
    async with user(guarded, "wallet") as (wallet, _), user(guarded, "fulfillment") as (asker, _):

        async def answer(question):
            await question.respond(b"yes")

        await wallet.subscribe("ask.wallet.hold", cb=answer)
        await wallet.flush()

        assert (await asker.request("ask.wallet.hold", b"?", timeout=5)).data == b"yes"


async def test_a_stranger_is_not_admitted(guarded):
    async def ignore(_):
        return None

    with pytest.raises((NatsError, TimeoutError, asyncio.TimeoutError)):
        await nats.connect(
            guarded.url,
            allow_reconnect=False,
            max_reconnect_attempts=0,
            connect_timeout=1,
            error_cb=ignore,
        )
