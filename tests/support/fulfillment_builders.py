"""Fulfillment with its real providers' simulators, fed by hand and driven by a test clock."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from deploy.processes import free_port
from deploy.sandbox.jushuitan import Jushuitan as JushuitanSimulator
from deploy.sandbox.kit import Options
from deploy.sandbox.kuaidi100 import Kuaidi100 as Kuaidi100Simulator
from services.fulfillment.consumers import CONSUMERS
from services.fulfillment.deps import Deps
from services.fulfillment.domain.contents import Sku
from services.fulfillment.domain.shipment import Shipment, shipment_id_for, shipment_no
from services.fulfillment.gateways import jushuitan, kuaidi100
from services.fulfillment.jobs import JOBS
from services.fulfillment.routes import api
from services.fulfillment.store import catalogue, invariants, shipments
from services.fulfillment.usecases.keep_catalogue import add_substitute
from services.signing.contract import (
    AgreementCancelled,
    AgreementSigned,
    AgreementTerminated,
    BundleItem,
    CustomerRegistered,
    PetRegistered,
    PlanPublished,
    Rail,
    SignedInstalment,
    StageBundle,
)
from services.wallet.contract import InstalmentFunded
from shared.bus import Bus, durable
from shared.calendar import at_in_china
from shared.clock import TestClock
from shared.db import Database
from shared.events import Event
from shared.ids import derived_id, new_id
from shared.jobs import Due
from shared.sealing import FieldCipher, Unsealer, new_field_key, new_key_pair, seal
from tests.sandbox.harness import Simulator, running

TEN = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
"""Monday the second of March, ten in the morning in China."""
MERCHANT = derived_id("merchant", 1)
CUSTOMER = derived_id("customer", 1)
PET = derived_id("pet", 1)
PLAN = derived_id("plan", 1)
AGREEMENT = derived_id("agreement", 1)
PRIVATE_KEY, PUBLIC_KEY = new_key_pair()
SALT = "test-salt"

CONTACT = {
    "name": "王小明",
    "phone": "13800138000",
    "province": "上海市",
    "city": "上海市",
    "district": "浦东新区",
    "address": "世纪大道 1 号",
}

SKUS = (
    Sku("YOUNG", "幼猫粮", 5000, "warehouse", ("salmon",), (), True),
    Sku("GROWING", "成长粮", 5200, "warehouse", ("salmon",), (), True),
    Sku("ADULT", "成猫粮", 5500, "warehouse", ("chicken",), ("chicken",), True),
    Sku("LITTER", "猫砂", 1500, "warehouse", (), (), True),
    Sku("ADULT-FISH", "鱼肉成猫粮", 5400, "warehouse", ("cod",), (), True),
    Sku("ADULT-GOLD", "金装成猫粮", 9900, "warehouse", ("cod",), (), True),
)


@dataclass(frozen=True)
class Told:
    """One event waiting in the outbox."""

    subject: str
    body: dict[str, Any]


@dataclass
class FulfillmentForTests:
    """Fulfillment without its bus, between simulators that move with its clock."""

    db: Database
    clock: TestClock
    deps: Deps
    erp: Simulator
    tracker: Simulator
    url: str
    http: aiohttp.ClientSession
    jobs: list[Due[Deps]] = field(
        default_factory=lambda: [job for job in JOBS if isinstance(job, Due)]
    )

    async def hear(self, *events: Event) -> None:
        """Apply events of one class as one batch, exactly as the bus would."""
        bus = Bus("fulfillment", CONSUMERS, db=self.db, clock=self.clock, deps=self.deps)
        await bus.apply(durable("fulfillment", type(events[0])), events)

    async def forget_what_was_heard(self) -> None:
        async with self.db.transaction() as conn:
            await conn.execute("DELETE FROM inbox")

    async def stock_the_catalogue(self) -> None:
        async with self.db.transaction() as conn:
            for sku in SKUS:
                await catalogue.add_sku(conn, MERCHANT, sku, now=self.clock.now())

    async def allow_substitute(self, sku: str, by: str) -> None:
        async with self.db.transaction() as conn:
            await add_substitute(conn, MERCHANT, sku=sku, by=by, now=self.clock.now())

    async def sign(self, **pet: Any) -> None:
        """Let a customer sign for a pet, as signing would tell it."""
        await self.stock_the_catalogue()
        await self.hear(a_plan())
        await self.hear(a_customer())
        await self.hear(a_pet(**pet))
        await self.hear(a_signing(signed_at=self.clock.now()))
        await self.run_due()

    async def next_due_at(self) -> datetime | None:
        async with self.db.connection() as conn:
            moments = [await conn.fetchval(job.next_due) for job in self.jobs]
        return min((moment for moment in moments if moment), default=None)

    async def run_due(self, deps: Deps | None = None) -> None:
        """Run every job until nothing is due at this moment."""
        for _ in range(50):
            due_at = await self.next_due_at()
            if due_at is None or due_at > self.clock.now():
                return
            for job in self.jobs:
                async with self.db.connection() as conn:
                    moment = await conn.fetchval(job.next_due)
                if moment is not None and moment <= self.clock.now():
                    await job.run(deps or self.deps)
        raise AssertionError("Something stays due at this moment.")

    async def move_to(self, moment: datetime, deps: Deps | None = None) -> None:
        """Live until *moment*, from one due moment to the next."""
        while True:
            await self.run_due(deps)
            due = [await self.next_due_at(), *map(_due_of, (self.erp, self.tracker))]
            step = min((one for one in due if one and one <= moment), default=moment)
            step = max(step, self.clock.now())
            quiet = step == moment == self.clock.now()
            self.clock.set(step)
            for simulator in (self.erp, self.tracker):
                await simulator.advance(seconds=(step - simulator.now).total_seconds())
            await self.run_due(deps)
            if quiet:
                return

    async def shipment(self, seq: int = 1) -> Shipment:
        async with self.db.connection() as conn:
            found = await shipments.find(conn, MERCHANT, shipment_of(seq))
        assert found is not None
        return found

    async def skus_of(self, seq: int = 1) -> list[str]:
        async with self.db.connection() as conn:
            rows = await conn.fetch(
                """
                SELECT i.sku FROM shipment_items i
                  JOIN shipments s USING (merchant_id, shipment_id, revision)
                 WHERE i.shipment_id = $1 ORDER BY i.position
                """,
                shipment_of(seq),
            )
        return [row["sku"] for row in rows]

    async def told(self, subject: str = "fulfillment.%") -> list[Told]:
        async with self.db.connection() as conn:
            rows = await conn.fetch(
                """
                SELECT subject, convert_from(body, 'UTF8')::jsonb AS body
                  FROM outbox WHERE subject LIKE $1 ORDER BY seq
                """,
                subject,
            )
        return [Told(row["subject"], row["body"]) for row in rows]

    async def subjects(self) -> list[str]:
        """Return what was told, shortened: ``shipment.planned``."""
        return [one.subject.split(".", 1)[1].rsplit(".", 1)[0] for one in await self.told()]

    async def violations(self) -> list[tuple[str, UUID]]:
        async with self.db.connection() as conn:
            return await invariants.violations(conn)


def _due_of(simulator: Simulator) -> datetime | None:
    return simulator.sandbox.timeline.next_due_at()


@asynccontextmanager
async def fulfilling(db: Database) -> AsyncIterator[FulfillmentForTests]:
    """Run fulfillment on *db*, with the warehouse and the carriers it talks to."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    clock = TestClock(TEN)
    no_limits = {"jst_calls_per_second": "0", "jst_calls_per_minute": "0"}
    erp_options = Options(now=TEN, extra={"jst_push_url": f"{url}/webhooks/jushuitan"} | no_limits)
    async with (
        running(JushuitanSimulator, erp_options) as erp,
        running(Kuaidi100Simulator, Options(now=TEN)) as tracker,
        aiohttp.ClientSession() as http,
    ):
        deps = Deps(
            db=db,
            clock=clock,
            warehouse=jushuitan.Jushuitan(
                http, erp_account(erp), clock, per_second=0, per_minute=0
            ),
            carrier=kuaidi100.Kuaidi100(http, tracker_account(tracker)),
            unsealer=Unsealer(PRIVATE_KEY),
            cipher=FieldCipher({"1": new_field_key()}, current="1"),
            public_url=url,
        )
        app = web.Application()
        api.add_to(app, deps, clock=TestClock(TEN))
        async with TestServer(app, port=port):
            yield FulfillmentForTests(db, clock, deps, erp, tracker, url, http)


def erp_account(erp: Simulator) -> jushuitan.Account:
    return jushuitan.Account(
        url=erp.url("").rstrip("/"),
        app_key="sandbox-jst-app",
        app_secret="sandbox-jst-secret",
        token="sandbox-jst-token",
        shop_id=1001,
    )


def tracker_account(tracker: Simulator) -> kuaidi100.Account:
    return kuaidi100.Account(
        url=tracker.url("").rstrip("/"),
        key="sandbox-kd-key",
        customer="sandbox-kd-customer",
        salt=SALT,
    )


def china(month: int, day: int, hour: int = 0, minute: int = 0, *, year: int = 2026) -> datetime:
    return at_in_china(date(year, month, day), hour, minute)


def instalment_of(seq: int, agreement_id: UUID = AGREEMENT) -> UUID:
    return derived_id("instalment", agreement_id, seq)


def shipment_of(seq: int, agreement_id: UUID = AGREEMENT) -> UUID:
    return shipment_id_for(instalment_of(seq, agreement_id))


def number_of(seq: int) -> str:
    return shipment_no(shipment_of(seq))


def _event(**more: Any) -> dict[str, Any]:
    return {"event_id": new_id(), "occurred_at": TEN, "merchant_id": MERCHANT} | more


def a_plan(**changes: Any) -> PlanPublished:
    bundles = tuple(
        StageBundle(
            stage=sku.lower(),
            items=(BundleItem(sku=sku, quantity=1), BundleItem(sku="LITTER", quantity=2)),
        )
        for sku in ("YOUNG", "GROWING", "ADULT")
    )
    fields = {
        "plan_id": PLAN,
        "version": 1,
        "name": "幼猫月付",
        "species": "cat",
        "periods": 12,
        "monthly_fen": 29800,
        "auto_ship": True,
        "bundle_fen": 16000,
        "bundles": bundles,
    }
    return PlanPublished(**_event(**(fields | changes)))


def a_customer(**changes: Any) -> CustomerRegistered:
    fields = {
        "customer_id": CUSTOMER,
        "sealed_for_notify": "",
        "sealed_for_fulfillment": seal(PUBLIC_KEY, CONTACT),
    }
    return CustomerRegistered(**_event(**(fields | changes)))


def a_pet(**changes: Any) -> PetRegistered:
    fields = {
        "customer_id": CUSTOMER,
        "pet_id": PET,
        "species": "cat",
        "size": "",
        "born_on": date(2024, 1, 10),
        "allergies": (),
    }
    return PetRegistered(**_event(**(fields | changes)))


def a_signing(**changes: Any) -> AgreementSigned:
    fields = {
        "agreement_id": AGREEMENT,
        "agreement_no": "YF20260302",
        "store_id": derived_id("store", 1),
        "customer_id": CUSTOMER,
        "pet_id": PET,
        "plan_id": PLAN,
        "plan_version": 1,
        "plan_name": "幼猫月付",
        "rail": Rail.ALIPAY,
        "charge_day": 10,
        "periods": 12,
        "total_fen": 29800 * 12,
        "hold_fen": 16000,
        "auto_ship": True,
        "instalments": (SignedInstalment(seq=1, due_on=date(2026, 3, 10), amount_fen=29800),),
        "substitutes_agreed": True,
        "signed_at": TEN,
        "cooling_off_ends_at": TEN + timedelta(hours=48),
    }
    return AgreementSigned(**_event(**(fields | changes)))


def a_funding(seq: int = 1, **changes: Any) -> InstalmentFunded:
    fields = {
        "instalment_id": instalment_of(seq, changes.get("agreement_id", AGREEMENT)),
        "agreement_id": AGREEMENT,
        "customer_id": CUSTOMER,
        "pet_id": PET,
        "seq": seq,
        "periods": 12,
        "amount_fen": 29800,
        "hold_id": derived_id("hold", seq),
        "hold_fen": 16000,
    }
    return InstalmentFunded(**_event(**(fields | changes)))


def a_termination(**changes: Any) -> AgreementTerminated:
    fields = {"agreement_id": AGREEMENT, "customer_id": CUSTOMER, "reason": "wish"}
    return AgreementTerminated(**_event(**(fields | changes)))


def a_cancellation(**changes: Any) -> AgreementCancelled:
    fields = {"agreement_id": AGREEMENT, "customer_id": CUSTOMER}
    return AgreementCancelled(**_event(**(fields | changes)))


class Crash(BaseException):
    """The process dies here."""


class DyingWarehouse:
    """A warehouse that is called by a process which dies before or after one of its calls."""

    def __init__(self, warehouse: Any, *, method: str, after: bool) -> None:
        self._warehouse = warehouse
        self._method = method
        self._after = after

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        real: Callable[..., Awaitable[Any]] = getattr(self._warehouse, name)
        if name != self._method:
            return real

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._after:
                await real(*args, **kwargs)
            raise Crash

        return call
