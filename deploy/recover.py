"""
What brings the platform back when its memory was lost: ``deploy/runbooks/backup-and-restore.md``.

* ``python -m deploy.recover streams``: JetStream lost its streams.  Declares them anew and lets
  every service publish again what some reader has not heard.  Services may run.
* ``python -m deploy.recover messages --since INSTANT``: PostgreSQL was restored as of then.
  Notify learns from its stream what went out since.  While notify is down, with notify's
  environment, and before streams are declared anew.
* ``python -m deploy.recover charges --since INSTANT``: billing learns from the rails what they
  took since.  While billing is down, with billing's environment.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib import import_module
from os import environ
from pathlib import Path
from typing import Final

import aiohttp
import nats
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from deploy import streams
from deploy.audit import auditor
from deploy.platform import instant
from deploy.running import NoPlatform, RunningPlatform
from deploy.topology import present
from services.billing import deps as billing
from services.billing.settings import BillingSettings
from services.billing.usecases.find_lost_charges import Found, find_lost_charges
from services.notify import deps as notify
from services.notify.contract import MessageAccepted, MessageUnknown
from services.notify.settings import NotifySettings
from services.notify.usecases.adopt_sent import remember_sent
from shared.bus import durable
from shared.calendar import day_in_china
from shared.db import Connection, Database
from shared.events import Event
from shared.service import clock_of

BATCH: Final = 500
WAIT_S: Final = 5.0
AHEAD: Final = timedelta(days=2)
"""How far beyond today charges may have been made before their day: customers pay early."""


async def recover_streams(running: RunningPlatform) -> dict[str, int]:
    """
    Declare streams and consumers, and publish again what somebody has not heard.

    Repeats safely: readers apply each event once.  Returns how many events by subject.

    Raises:
        aiohttp.ClientError: A service does not answer.
    """
    await streams.declare(running.nats_url, nkey_seed=running.nats_bootstrap_seed)
    async with auditor(running.auditor_dsn) as conn:
        first = await first_unheard(conn)
    counts: dict[str, int] = {}
    headers = {"Authorization": f"Bearer {running.operator_key}"}
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
        for (publisher, subject), seq in first.items():
            url = f"{running.services[publisher]}/ops/outbox/replay"
            body = {"subject": subject, "since_seq": seq - 1}
            async with session.post(url, json=body) as answer:
                counts[subject] = (await answer.json())["events"]
    return counts


async def first_unheard(conn: Connection) -> dict[tuple[str, str], int]:
    """Return the first event of each subject that was published and not applied everywhere."""
    first: dict[tuple[str, str], int] = {}
    for service in present():
        for on in import_module(f"services.{service}.consumers").CONSUMERS:
            publisher, subject = on.event.publisher(), on.event.subject
            seq = await conn.fetchval(
                f"""
                SELECT min(o.seq) FROM {publisher}.outbox o
                 WHERE o.subject = $1 AND o.published_at IS NOT NULL
                   AND NOT EXISTS (SELECT FROM {service}.inbox i
                                    WHERE i.consumer = $2 AND i.event_id = o.event_id)
                   AND NOT EXISTS (SELECT FROM {service}.dead_letters d
                                    WHERE d.consumer = $2 AND d.event_id = o.event_id::text)
                """,  # noqa: S608 - our own names
                subject,
                durable(service, on.event),
            )
            if seq is not None:
                key = publisher, subject
                first[key] = min(seq, first.get(key, seq))
    return first


Told = MessageAccepted | MessageUnknown


async def sent_since(nats_url: str, *, nkey_seed: str | None, since: datetime) -> list[Told]:
    """Return what notify's stream tells of messages that went out, or may have, since then."""
    client = await nats.connect(
        nats_url, nkeys_seed_str=nkey_seed, inbox_prefix=b"_INBOX_bootstrap"
    )
    try:
        found = [
            event.model_validate_json(body)
            for event in (MessageAccepted, MessageUnknown)
            for body in await _all_of(client.jetstream(timeout=10), event)
        ]
        return [one for one in found if one.occurred_at >= since]
    finally:
        await client.close()


async def _all_of(js: JetStreamContext, event: type[Event]) -> list[bytes]:
    subscription = await js.pull_subscribe(
        event.subject,
        stream=event.publisher(),
        config=ConsumerConfig(
            ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, inactive_threshold=60
        ),
    )
    left = (await subscription.consumer_info()).num_pending or 0
    found: list[bytes] = []
    while left > 0:
        messages = await subscription.fetch(min(BATCH, left), timeout=WAIT_S)
        left -= len(messages)
        found += [one.data for one in messages]
    return found


async def remember_messages(told: Sequence[Told]) -> int:
    """Let notify know what was sent; return how much of it it had forgotten."""
    settings = NotifySettings()
    clock = await clock_of(settings.clock_url)
    db = await Database.open(settings.dsn.get_secret_value(), schema="notify", name="recover")
    try:
        async with notify.open_deps(settings, db, clock) as deps:
            fresh = [
                await remember_sent(deps, told[first : first + BATCH])
                for first in range(0, len(told), BATCH)
            ]
        return sum(fresh)
    finally:
        await db.close()


async def find_charges(*, since: datetime) -> Found:
    """Let billing find at the rails what it forgot of charges since then."""
    settings = BillingSettings()
    clock = await clock_of(settings.clock_url)
    db = await Database.open(settings.dsn.get_secret_value(), schema="billing", name="recover")
    try:
        async with billing.open_deps(settings, db, clock) as deps:
            return await find_lost_charges(
                deps,
                since=day_in_china(since) - AHEAD,
                until=day_in_china(clock.now()) + AHEAD,
            )
    finally:
        await db.close()


async def _run(what: str, *, since: datetime | None, platform: Path | None) -> str:
    if what == "streams":
        counts = await recover_streams(RunningPlatform.read(platform))
        return f"published again: {sum(counts.values())} events of {len(counts)} subjects"
    if since is None:
        raise ValueError("--since says from when the backup is")
    if what == "messages":
        sent = await sent_since(
            environ["NATS_URL"], nkey_seed=environ.get("BOOTSTRAP_NATS_NKEY_SEED"), since=since
        )
        forgotten = await remember_messages(sent)
        return f"{len(sent)} messages went out since then, {forgotten} were forgotten"
    found = await find_charges(since=since)
    if found.unclear:
        raise ValueError(f"{found.unclear} instalments are unclear: run this again ({found})")
    return f"{found.charges} forgotten charges of {found.instalments} instalments"


def main() -> None:
    """Recover what is named on the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("what", choices=("streams", "messages", "charges"))
    parser.add_argument("--since", type=instant, help="when the backup was taken")
    parser.add_argument("--platform", type=Path, help="a platform.json; the newest by default")
    given = parser.parse_args()
    try:
        print(asyncio.run(_run(given.what, since=given.since, platform=given.platform)))
    except (NoPlatform, ValueError, KeyError, OSError, aiohttp.ClientError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
