"""The bare billing run: claim, sign, call, record and announce; it decides nothing."""

import asyncio
import base64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from deploy.sandbox import keys
from shared.db import Connection, Database, Row
from shared.ids import new_id

BATCH: Final = 500
IN_FLIGHT: Final = 64
METHOD: Final = "alipay.trade.pay"
ANSWER: Final = "alipay_trade_pay_response"
COLLECTED: Final = "billing.bare.collected.v1"

BARE_TABLES: Final = """
CREATE TABLE bare_due (
    due_id uuid PRIMARY KEY, agreement_no text NOT NULL, customer_id uuid NOT NULL,
    amount_fen bigint NOT NULL, status smallint NOT NULL, due_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX bare_due_open ON bare_due (due_at, due_id) WHERE status = 0;
CREATE TABLE bare_attempts (
    trade_no text PRIMARY KEY, due_id uuid NOT NULL, rail_trade_no text NOT NULL,
    amount_fen bigint NOT NULL, paid_at timestamptz NOT NULL);
"""

Paid = tuple[Row, str, str]
"""A due row, our trade number, the rail's."""


@dataclass
class BareRail:
    """Signs and posts to the gateway at *url*; *notify_url* is where it may tell of trades."""

    session: aiohttp.ClientSession
    url: str
    app_id: str
    key: Any
    threads: ThreadPoolExecutor
    notify_url: str

    @classmethod
    def open(
        cls, session: aiohttp.ClientSession, url: str, keys_dir: Path, notify_url: str
    ) -> "BareRail":
        """Load the key."""
        pem = keys.private_pem(keys_dir, "alipay-app").encode()
        key = serialization.load_pem_private_key(pem, password=None)
        app_id = keys.secret(keys_dir, "alipay_app_id")
        return cls(session, url, app_id, key, ThreadPoolExecutor(2), notify_url)

    async def charge(self, rows: Sequence[Row]) -> list[Paid]:
        """Charge each row, bounded in flight; any refusal ends the program."""
        forms = [self._form(row) for row in rows]
        signs = await self._sign([text.encode() for text, _, _ in forms])
        bound = asyncio.Semaphore(IN_FLIGHT)

        async def post(row: Row, fields: dict[str, str], trade_no: str, sign: str) -> Paid:
            async with (
                bound,
                self.session.post(self.url, data=urlencode(fields | {"sign": sign})) as answer,
            ):
                node = orjson.loads(await answer.read())[ANSWER]
            if node["code"] != "10000":
                raise RuntimeError(f"The rail refused: {node}")
            return row, trade_no, str(node["trade_no"])

        return list(
            await asyncio.gather(
                *(
                    post(row, fields, trade_no, sign)
                    for row, (_, fields, trade_no), sign in zip(rows, forms, signs, strict=True)
                )
            )
        )

    def _form(self, row: Row) -> tuple[str, dict[str, str], str]:
        trade_no = new_id().hex
        content = {
            "out_trade_no": trade_no,
            "total_amount": f"{row['amount_fen'] / 100:.2f}",
            "subject": "安心月付 第1期共12期",
            "product_code": "GENERAL_WITHHOLDING",
            "agreement_params": {"agreement_no": row["agreement_no"]},
            "timeout_express": "1h",
        }
        fields = {
            "app_id": self.app_id,
            "biz_content": orjson.dumps(content).decode(),
            "charset": "utf-8",
            "format": "JSON",
            "method": METHOD,
            "notify_url": self.notify_url,
            "sign_type": "RSA2",
            "timestamp": "2026-12-10 10:00:00",
            "version": "1.0",
        }
        return "&".join(f"{key}={value}" for key, value in fields.items()), fields, trade_no

    async def _sign(self, texts: list[bytes]) -> list[str]:
        loop, half = asyncio.get_running_loop(), len(texts) // 2
        parts = await asyncio.gather(
            *(
                loop.run_in_executor(self.threads, self._sign_many, part)
                for part in (texts[:half], texts[half:])
            )
        )
        return parts[0] + parts[1]

    def _sign_many(self, texts: list[bytes]) -> list[str]:
        return [
            base64.b64encode(self.key.sign(text, PKCS1v15(), hashes.SHA256())).decode()
            for text in texts
        ]


async def charge_batch(db: Database, rail: BareRail) -> int:
    """Claim, charge and record one batch; return how many rows it had."""
    async with db.connection() as conn:
        rows = await _claim(conn)
    if rows:
        paid = await rail.charge(rows)
        async with db.transaction() as conn:
            await _record(conn, paid)
    return len(rows)


async def _claim(conn: Connection) -> list[Row]:
    return await conn.fetch(
        """
        WITH c AS (SELECT due_id FROM bare_due WHERE status = 0 AND due_at <= now()
                    ORDER BY due_at, due_id LIMIT $1 FOR UPDATE SKIP LOCKED)
        UPDATE bare_due AS d SET status = 1 FROM c WHERE d.due_id = c.due_id
        RETURNING d.due_id, d.agreement_no, d.customer_id, d.amount_fen
        """,
        BATCH,
    )


async def _record(conn: Connection, paid: Sequence[Paid]) -> None:
    await conn.execute(
        """
        INSERT INTO bare_attempts
        SELECT *, now() FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[])
        """,
        [trade_no for _, trade_no, _ in paid],
        [row["due_id"] for row, _, _ in paid],
        [rail_trade_no for _, _, rail_trade_no in paid],
        [row["amount_fen"] for row, _, _ in paid],
    )
    await conn.execute(
        "UPDATE bare_due SET status = 2 WHERE due_id = ANY($1::uuid[])",
        [row["due_id"] for row, _, _ in paid],
    )
    await announce(conn, COLLECTED, [_collected(row, number, told) for row, number, told in paid])


def _collected(row: Row, trade_no: str, rail_trade_no: str) -> dict[str, object]:
    return {
        "event_id": new_id(),
        "instalment_id": str(row["due_id"]),
        "customer_id": str(row["customer_id"]),
        "amount_fen": row["amount_fen"],
        "trade_no": trade_no,
        "rail_trade_no": rail_trade_no,
        "agreement_no": row["agreement_no"],
    }


async def announce(conn: Connection, subject: str, events: Sequence[dict[str, object]]) -> None:
    """Write events into the outbox."""
    await conn.execute(
        """
        INSERT INTO outbox (event_id, subject, aggregate_id, occurred_at, body)
        SELECT n.id, $4, n.about, now(), n.body
          FROM unnest($1::uuid[], $2::text[], $3::bytea[]) AS n (id, about, body)
        """,
        [event["event_id"] for event in events],
        [event["customer_id"] for event in events],
        [orjson.dumps(event) for event in events],
        subject,
    )
