"""The one place where JetStream streams and consumers are made: before anything starts."""

from importlib import import_module
from importlib.util import find_spec
from typing import Final

import nats
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from deploy.topology import SERVICES
from shared.bus import consumer_config, durable

KEEP_S: Final = 14 * 24 * 3600
"""How long a stream keeps events; PostgreSQL keeps them for as long as the books."""


async def declare(
    nats_url: str, *, nkey_seed: str | None = None, replicas: int = 1
) -> dict[str, list[str]]:
    """
    Create or update every stream and every durable consumer; return their names.

    Running it again changes nothing.  A consumer made anew starts at the beginning
    of its stream, so a stream that was lost is filled again by replaying outboxes.
    """
    client = await nats.connect(
        nats_url, nkeys_seed_str=nkey_seed, inbox_prefix=b"_INBOX_bootstrap"
    )
    try:
        js = client.jetstream(timeout=10)
        for service in SERVICES:
            await _declare_stream(js, service, replicas=replicas)
        return {service: await _declare_consumers(js, service) for service in SERVICES}
    finally:
        await client.close()


async def _declare_stream(js: JetStreamContext, service: str, *, replicas: int) -> None:
    config = StreamConfig(
        name=service,
        subjects=[f"{service}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=KEEP_S,
        duplicate_window=120,
        num_replicas=replicas,
    )
    try:
        await js.stream_info(service)
    except NotFoundError:
        await js.add_stream(config)
    else:
        await js.update_stream(config)


async def _declare_consumers(js: JetStreamContext, service: str) -> list[str]:
    if (
        find_spec(f"services.{service}") is None
        or find_spec(f"services.{service}.consumers") is None
    ):
        return []
    subscriptions = import_module(f"services.{service}.consumers").CONSUMERS
    for on in subscriptions:
        await js.add_consumer(on.event.publisher(), consumer_config(service, on.event))
    return [durable(service, on.event) for on in subscriptions]
