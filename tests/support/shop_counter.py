"""A shop's counter in tests: keys of several clerks, codes, a device that signs."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.wallet.domain.redemption_code import line_to_sign
from services.wallet.routes import api
from shared.api_keys import issue_key
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.wallet_builders import CUSTOMER, MERCHANT, NOON, WalletForTests

FOREIGN = derived_id("merchant", "foreign")
ALL_SCOPES = (
    "wallet:read",
    "wallet:code",
    "wallet:shop",
    "wallet:redeem",
    "wallet:return",
    "wallet:manage",
    "wallet:prove",
)


@dataclass(frozen=True)
class DeviceForTests:
    """A shop's device: signs what it accepts."""

    device_id: UUID
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode()

    def accept(self, code: str, amount_fen: int, at: datetime, /, **changes: Any) -> dict[str, Any]:
        """Return the signed line of a code accepted offline; *changes* come after signing."""
        line: dict[str, Any] = {"code": code, "amount_fen": amount_fen, "category": "food"}
        signed = line_to_sign(
            self.device_id, **line, service_code=None, accepted_at=at.replace(microsecond=0)
        )
        line["accepted_at"] = at.isoformat()
        line["signature"] = base64.b64encode(self.key.sign(signed)).decode()
        return line | changes


@dataclass
class Counter:
    """A merchant's counter over HTTP, and the wallet behind it."""

    client: TestClient[web.Request, web.Application]
    wallet: WalletForTests
    keys: dict[str, str]

    async def send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        who: str = "all",
        key: str | None = None,
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        headers["Idempotency-Key"] = key or str(new_id())
        answer = await self.client.request(method, path, json=body, headers=headers)
        return answer.status, await answer.json()

    async def post(self, path: str, body: dict[str, Any], **how: Any) -> tuple[int, Any]:
        return await self.send("POST", path, body, **how)

    async def get(self, path: str, **how: Any) -> tuple[int, Any]:
        return await self.send("GET", path, **how)

    async def code(self, customer_id: UUID = CUSTOMER, **body: Any) -> str:
        status, made = await self.post(f"/v1/customers/{customer_id}/redemption-codes", body)
        assert status == 201, made
        return str(made["code"])

    async def redeem(self, code: str, amount_fen: int, **how: Any) -> tuple[int, Any]:
        body = {"code": code, "amount_fen": amount_fen, "category": "food"}
        return await self.post("/v1/redemptions", body, **how)

    async def give_back(self, redemption_id: str, **how: Any) -> tuple[int, Any]:
        amount_fen = how.pop("amount_fen", None)
        body = {"reason": "不合适", "amount_fen": amount_fen}
        return await self.post(f"/v1/redemptions/{redemption_id}/return", body, **how)

    async def device(self) -> DeviceForTests:
        device = DeviceForTests(new_id())
        body = {"name": "前台", "public_key": device.public_key}
        status, _ = await self.send("PUT", f"/v1/redemption-devices/{device.device_id}", body)
        assert status == 200
        return device

    async def upload(
        self, device: DeviceForTests, *lines: dict[str, Any], **how: Any
    ) -> list[dict[str, Any]]:
        path = f"/v1/redemption-devices/{device.device_id}/uploads"
        status, body = await self.post(path, {"lines": list(lines)}, **how)
        assert status == 200, body
        found: list[dict[str, Any]] = body["lines"]
        return found

    async def refusals(self) -> list[tuple[str, str]]:
        _, body = await self.get("/v1/redemption-refusals?limit=200")
        return [(row["action"], row["code"]) for row in body["items"]]

    async def all_balances(self) -> dict[str, int]:
        async with self.wallet.db.connection() as conn:
            rows = await conn.fetch("SELECT merchant_id, code, balance_fen FROM accounts")
        return {f"{row['merchant_id']} {row['code']}": row["balance_fen"] for row in rows}


@asynccontextmanager
async def a_counter(db: Database) -> AsyncIterator[Counter]:
    """Lend a counter; keys: all, foreign, clerk (no returns), terminal (nothing), reader."""
    wallet = WalletForTests(db)
    scopes = {
        "all": (MERCHANT, ALL_SCOPES),
        "foreign": (FOREIGN, ALL_SCOPES),
        "clerk": (MERCHANT, ("wallet:shop", "wallet:redeem")),
        "terminal": (MERCHANT, ("wallet:shop",)),
        "reader": (MERCHANT, ("wallet:read",)),
    }
    async with db.transaction() as conn:
        keys = {
            name: await issue_key(conn, tenant_id=tenant, scopes=list(may), name=name, now=NOON)
            for name, (tenant, may) in scopes.items()
        }
    app = web.Application()
    api.add_to(app, wallet.deps, clock=wallet.clock)
    async with TestClient(TestServer(app)) as client:
        yield Counter(client, wallet, keys)
