"""
The bare whole chain, one process per role: ``python -m deploy.bench.bare_chain``.

``billing`` charges and takes notifications, ``wallet`` books, ``fulfillment`` writes shipments,
``notify`` writes messages; each reads its batches behind an inbox and relays its outbox.  It
reads ``BARE_ROLE``, ``BARE_DSN``, ``BARE_NATS_URL``, ``BARE_PORT``, and for billing
``BARE_RAIL_URL`` and ``BARE_KEYS_DIR``.
"""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import aiohttp
import nats
import orjson
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as ServerAckPolicy
from nats.js.api import ConsumerConfig

from deploy.bench import bare_charges
from deploy.bench.bare_charges import BATCH, BareRail, announce, charge_batch
from deploy.sandbox import keys
from shared import bus
from shared.db import Connection, Database
from shared.ids import new_id

ROLES: Final = ("billing", "wallet", "fulfillment", "notify")
FUNDED: Final = "wallet.bare.funded.v1"
HELD: Final = "wallet.bare.held.v1"
PLANNED: Final = "fulfillment.bare.planned.v1"

COMMON_TABLES: Final = """
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id uuid NOT NULL,
    subject text NOT NULL, aggregate_id text NOT NULL, occurred_at timestamptz NOT NULL,
    body bytea NOT NULL, published_at timestamptz);
CREATE INDEX outbox_unpublished ON outbox (seq) WHERE published_at IS NULL;
CREATE TABLE inbox (
    consumer text NOT NULL, event_id uuid NOT NULL, PRIMARY KEY (consumer, event_id));
"""
TABLES: Final = {
    "billing": bare_charges.BARE_TABLES
    + "CREATE TABLE notifications (notify_id text PRIMARY KEY, body bytea NOT NULL);"
    + "CREATE TABLE shipments_seen (instalment_id uuid PRIMARY KEY);",
    "wallet": """
CREATE TABLE transfers (
    transfer_id uuid PRIMARY KEY, debit text NOT NULL, credit text NOT NULL,
    amount_fen bigint NOT NULL, occurred_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE holds (instalment_id uuid PRIMARY KEY, amount_fen bigint NOT NULL);
CREATE TABLE balances (owner text PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 70);
""",
    "fulfillment": """
CREATE TABLE shipments (
    instalment_id uuid PRIMARY KEY, customer_id uuid NOT NULL, ship_on date NOT NULL);
""",
    "notify": """
CREATE TABLE messages (
    message_id uuid PRIMARY KEY, instalment_id uuid NOT NULL UNIQUE, customer_id uuid NOT NULL,
    facts bytea NOT NULL, due_at timestamptz NOT NULL DEFAULT now());
""",
}

Told = dict[str, Any]
Apply = Callable[[Connection, Sequence[Told]], Awaitable[None]]


async def _book(conn: Connection, told: Sequence[Told]) -> None:
    customers = [one["customer_id"] for one in told]
    amounts = [one["amount_fen"] for one in told]
    for debit in ("rail:alipay", "wallet:principal"):
        await conn.execute(
            """
            INSERT INTO transfers (transfer_id, debit, credit, amount_fen)
            SELECT n.id, $3, n.credit, n.amount
              FROM unnest($1::uuid[], $2::text[], $4::bigint[]) AS n (id, credit, amount)
            """,
            [new_id() for _ in told],
            customers,
            debit,
            amounts,
        )
    await conn.execute(
        "INSERT INTO holds SELECT * FROM unnest($1::uuid[], $2::bigint[])",
        [one["instalment_id"] for one in told],
        amounts,
    )
    for purse in ("principal", "held", "ledger"):
        await conn.execute(
            """
            INSERT INTO balances AS b
            SELECT n.owner || $3, n.change FROM unnest($1::text[], $2::bigint[])
                AS n (owner, change) ORDER BY 1
            ON CONFLICT (owner) DO UPDATE SET balance = b.balance + EXCLUDED.balance
            """,
            customers,
            amounts,
            purse,
        )
    for subject in (FUNDED, HELD):
        await announce(conn, subject, [one | {"event_id": str(new_id())} for one in told])


async def _plan(conn: Connection, told: Sequence[Told]) -> None:
    await conn.execute(
        "INSERT INTO shipments SELECT *, current_date + 2 FROM unnest($1::uuid[], $2::uuid[])",
        [one["instalment_id"] for one in told],
        [one["customer_id"] for one in told],
    )
    await announce(conn, PLANNED, [one | {"event_id": str(new_id())} for one in told])


async def _note(conn: Connection, told: Sequence[Told]) -> None:
    await conn.execute(
        "INSERT INTO shipments_seen SELECT unnest($1::uuid[])",
        [one["instalment_id"] for one in told],
    )


async def _queue(conn: Connection, told: Sequence[Told]) -> None:
    await conn.execute(
        """
        INSERT INTO messages (message_id, instalment_id, customer_id, facts)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[])
        """,
        [new_id() for _ in told],
        [one["instalment_id"] for one in told],
        [one["customer_id"] for one in told],
        [orjson.dumps(one) for one in told],
    )


HEARS: Final[dict[str, tuple[str, Apply]]] = {
    "billing": (PLANNED, _note),
    "wallet": (bare_charges.COLLECTED, _book),
    "fulfillment": (FUNDED, _plan),
    "notify": (bare_charges.COLLECTED, _queue),
}


def consumer(role: str) -> tuple[str, ConsumerConfig]:
    """Return the stream that *role* reads, and its place in it."""
    subject, _ = HEARS[role]
    config = ConsumerConfig(
        durable_name=role,
        filter_subject=subject,
        ack_policy=ServerAckPolicy.EXPLICIT,
        max_ack_pending=8 * BATCH,
    )
    return subject.partition(".")[0], config


def listening(db: Database, url: str, role: str) -> NatsBroker:
    """Return a broker that applies *role*'s batches; the caller starts and stops it."""
    bus._cover_fetch()  # noqa: SLF001 - without it batches stall, ours and bare alike
    broker = NatsBroker(url, ack_policy=AckPolicy.NACK_ON_ERROR, logger=None)
    stream, config = consumer(role)
    subject, apply = HEARS[role]

    async def raw_bodies(message: NatsMessage) -> list[bytes]:
        return [raw.data for raw in message.raw_message]  # type: ignore[attr-defined]

    @broker.subscriber(
        subject,
        stream=JStream(stream, declare=False),
        durable=role,
        pull_sub=PullSub(batch_size=BATCH, timeout=5.0, batch=True),
        config=config,
        decoder=raw_bodies,
    )
    async def consume(bodies: list[bytes]) -> None:
        told = [orjson.loads(body) for body in bodies]
        async with db.transaction() as conn:
            rows = await conn.fetch(
                """
                INSERT INTO inbox SELECT $1, unnest($2::uuid[])
                ON CONFLICT DO NOTHING RETURNING event_id
                """,
                role,
                [one["event_id"] for one in told],
            )
            fresh = {str(row["event_id"]) for row in rows}
            await apply(conn, [one for one in told if one["event_id"] in fresh])

    return broker


async def relay(db: Database, js: JetStreamContext) -> None:
    """Publish what the outbox holds, for ever."""
    bell = db.committed.subscribe()
    while True:
        bell.clear()
        async with db.connection() as conn:
            rows = await conn.fetch(
                """
                SELECT seq, event_id, subject, body FROM outbox
                 WHERE published_at IS NULL ORDER BY seq LIMIT $1
                """,
                BATCH,
            )
            stored = [
                await js.publish_async(
                    row["subject"], row["body"], headers={"Nats-Msg-Id": str(row["event_id"])}
                )
                for row in rows
            ]
            await asyncio.gather(*stored)
            if rows:
                await conn.execute(
                    "UPDATE outbox SET published_at = now() WHERE seq = ANY($1::bigint[])",
                    [row["seq"] for row in rows],
                )
                continue
        await bell.wait()


def notifications(db: Database, keys_dir: Path) -> Callable[[web.Request], Any]:
    """Return the handler that verifies, keeps and acknowledges the rail's notifications."""
    key: Any = serialization.load_pem_public_key(keys.public_pem(keys_dir, "alipay").encode())

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        sign = base64.b64decode(fields["sign"])
        left_out = {"sign", "sign_type"}
        text = "&".join(f"{k}={v}" for k, v in sorted(fields.items()) if k not in left_out and v)
        key.verify(sign, text.encode(), PKCS1v15(), hashes.SHA256())
        async with db.connection() as conn:
            await conn.execute(
                "INSERT INTO notifications VALUES ($1, $2) ON CONFLICT DO NOTHING",
                fields["notify_id"],
                body,
            )
        return web.Response(text="success")

    return take


async def main(role: str) -> None:
    """Run one role until killed."""
    env = os.environ
    db = await Database.open(env["BARE_DSN"], schema=role, name=f"bare-{role}")
    client = await nats.connect(env["BARE_NATS_URL"])
    broker = listening(db, env["BARE_NATS_URL"], role)
    await broker.start()
    url = f"http://127.0.0.1:{env['BARE_PORT']}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session:
        app = web.Application()
        running: list[asyncio.Task[None]] = []

        async def healthz(_: web.Request) -> web.Response:
            return web.Response(text="ok")

        async def go(_: web.Request) -> web.Response:
            running.append(asyncio.create_task(charge()))
            return web.Response(text="ok")

        async def charge() -> None:
            while await charge_batch(db, rail):
                pass

        app.router.add_get("/healthz", healthz)
        if role == "billing":
            keys_dir = Path(env["BARE_KEYS_DIR"])
            rail = BareRail.open(session, env["BARE_RAIL_URL"], keys_dir, f"{url}/notify")
            app.router.add_post("/go", go)
            app.router.add_post("/notify", notifications(db, keys_dir))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(env["BARE_PORT"])).start()
        await relay(db, client.jetstream(timeout=5))


if __name__ == "__main__":
    asyncio.run(main(os.environ["BARE_ROLE"]))
