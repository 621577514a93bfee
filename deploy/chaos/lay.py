"""Customers who have signed, as signing keeps them and tells of them."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from deploy.chaos.cast import EXTRA_FEN, EXTRA_STEPS, MERCHANT, PLAN, SIGNED_AT, Customer, due_dates
from deploy.chaos.rails import external_no
from deploy.platform import Platform
from services.signing.contract import (
    AgreementActivated,
    AgreementSigned,
    CustomerRegistered,
    MandateGranted,
    PetRegistered,
    Rail,
    SignedInstalment,
)
from services.signing.domain.evidence import Entry, next_entry
from shared import outbox
from shared.bus import BATCH
from shared.calendar import day_in_china
from shared.db import Connection, Database
from shared.events import Event
from shared.sealing import seal

WAIT_S: Final = 600.0
ACTIVE_AT: Final = SIGNED_AT + timedelta(hours=48)
ENDS: Final = {
    "alipay": date(2115, 2, 1),
    "wechatpay": day_in_china(SIGNED_AT + timedelta(days=3650)),
}
"""When the mandates end, as the rails say it."""
CEILING_FEN: Final = PLAN.monthly_fen + EXTRA_FEN * EXTRA_STEPS
BORN: Final = date(2022, 1, 1)
_PET: Final = json.dumps(
    {
        "name": "团子",
        "species": "cat",
        "breed": "狸花",
        "size": "medium",
        "born_on": BORN.isoformat(),
        "sex": "female",
        "allergies": [],
        "health": "",
    }
)
FACE: Final = "0" * 64
"""Stands where the hash of a signed document stands."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Where they signed."""

    store_id: UUID
    plan_id: UUID


@dataclass(frozen=True, slots=True)
class _Sealed:
    notify: str
    fulfillment: str


async def lay_customers(platform: Platform, shop: Shop, customers: Sequence[Customer]) -> None:
    """Write *customers* as signing would have, tell the others, and wait until all know them."""
    admin = await asyncpg.connect(platform.dsn("postgres"))
    db = await Database.open(platform.dsn("signing"), schema="signing", name="chaos", size=1)
    try:
        await _write(admin, shop, customers)
        for told in _TOLD:
            await _tell(db, [told(one, shop, platform) for one in customers])
        await until(admin, "SELECT count(*) FROM billing.agreements", len(customers))
        await _tell(db, [_activated(one) for one in customers])
        for waited in _ARRIVED:
            await until(admin, waited, len(customers))
    finally:
        await db.close()
        await admin.close()


_ARRIVED: Final = (
    "SELECT count(*) FROM billing.agreements WHERE state = 'active'",
    "SELECT count(*) FROM billing.mandates",
    "SELECT count(*) FROM fulfillment.agreements",
    "SELECT count(*) FROM fulfillment.recipients",
    "SELECT count(*) FROM notify.contacts",
    "SELECT count(*) FROM notify.agreements",
    "SELECT count(*) FROM wallet.ledgers",
)


async def until(conn: Connection, count: str, wanted: int) -> None:
    """
    Wait until *count*, a query of one number, has reached *wanted*.

    Raises:
        TimeoutError: It has not within ``WAIT_S``.
    """
    deadline = time.monotonic() + WAIT_S
    while (found := await conn.fetchval(count)) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count}: {found} of {wanted}")
        await asyncio.sleep(0.1)


async def _tell(db: Database, events: Sequence[Event]) -> None:
    for first in range(0, len(events), BATCH):
        async with db.transaction() as conn:
            await outbox.add(conn, *events[first : first + BATCH])


async def _write(conn: Connection, shop: Shop, customers: Sequence[Customer]) -> None:
    for table, row in _TABLES.items():
        rows = [row(one, shop) for one in customers]
        await _copy(conn, table, rows)
    dates = due_dates()
    await _copy(
        conn,
        "agreement_instalments",
        [
            {"agreement_id": one.id("agreement"), "seq": seq, "due_on": day,
             "amount_fen": one.amount_fen}
            for one in customers
            for seq, day in enumerate(dates, 1)
        ],
    )  # fmt: skip
    evidence = [_evidence(one) for one in customers]
    names = [field.name for field in fields(Entry)]
    await conn.copy_records_to_table(
        "evidence", schema_name="signing", columns=names, records=map(astuple, evidence)
    )


async def _copy(conn: Connection, table: str, rows: Sequence[dict[str, object]]) -> None:
    await conn.copy_records_to_table(
        table,
        schema_name="signing",
        columns=list(rows[0]),
        records=[tuple(row.values()) for row in rows],
    )


def _customer(one: Customer, _: Shop) -> dict[str, object]:
    return {
        "customer_id": one.id("customer"),
        "merchant_id": MERCHANT.merchant_id,
        "person": "",
        "id_index": f"chaos {one.number}",
        "phone_index": f"chaos {one.number}",
        "created_at": SIGNED_AT,
        "changed_at": SIGNED_AT,
    }


def _pet(one: Customer, _: Shop) -> dict[str, object]:
    return {
        "pet_id": one.id("pet"),
        "merchant_id": MERCHANT.merchant_id,
        "customer_id": one.id("customer"),
        "pet": _PET,
        "created_at": SIGNED_AT,
    }


def _application(one: Customer, shop: Shop) -> dict[str, object]:
    return {
        "application_id": one.id("application"),
        "merchant_id": MERCHANT.merchant_id,
        "store_id": shop.store_id,
        "plan_id": shop.plan_id,
        "plan_version": 1,
        "rail": one.rail,
        "charge_day": due_dates()[0].day,
        "state": "completed",
        "consented": True,
        "applicant": "",
        "payer_no": one.payer_no,
        "pet": _PET,
        "customer_id": one.id("customer"),
        "pet_id": one.id("pet"),
        "agreement_id": one.id("agreement"),
        "agreement_no": one.agreement_no,
        "started_at": SIGNED_AT,
        "expires_at": SIGNED_AT + timedelta(days=7),
        "step_since": SIGNED_AT,
    }


def _mandate(one: Customer, _: Shop) -> dict[str, object]:
    return {
        "mandate_id": one.id("mandate"),
        "merchant_id": MERCHANT.merchant_id,
        "application_id": one.id("application"),
        "agreement_id": one.id("agreement"),
        "rail": one.rail,
        "product": one.product,
        "external_no": external_no(one),
        "payer_no": one.payer_no,
        "payee_no": _payee_no(one.rail),
        "ceiling_fen": CEILING_FEN,
        "first_due_on": due_dates()[0],
        "total_fen": one.amount_fen * PLAN.periods,
        "periods": PLAN.periods,
        "state": "active",
        "rail_agreement_no": one.rail_agreement_no,
        "valid_until": ENDS[one.rail],
        "granted_at": SIGNED_AT,
        "created_at": SIGNED_AT,
    }


def _agreement(one: Customer, shop: Shop) -> dict[str, object]:
    return {
        "agreement_id": one.id("agreement"),
        "agreement_no": one.agreement_no,
        "merchant_id": MERCHANT.merchant_id,
        "store_id": shop.store_id,
        "application_id": one.id("application"),
        "customer_id": one.id("customer"),
        "pet_id": one.id("pet"),
        "plan_id": shop.plan_id,
        "plan_version": 1,
        "plan_name": PLAN.name,
        "rail": one.rail,
        "charge_day": due_dates()[0].day,
        "periods": PLAN.periods,
        "total_fen": one.amount_fen * PLAN.periods,
        "hold_fen": PLAN.bundle_fen,
        "auto_ship": True,
        "document_sha256": FACE,
        "state": "active",
        "signed_at": SIGNED_AT,
        "cooling_off_ends_at": ACTIVE_AT,
    }


_TABLES: Final[dict[str, Callable[[Customer, Shop], dict[str, object]]]] = {
    "customers": _customer,
    "pets": _pet,
    "applications": _application,
    "mandates": _mandate,
    "agreements": _agreement,
}
"""In an order in which each finds what it refers to."""


def _evidence(one: Customer) -> Entry:
    return next_entry(
        None,
        application_id=one.id("application"),
        kind="agreement_signed",
        occurred_at=SIGNED_AT.astimezone(UTC),
        actor="rail",
        payload={"agreement_no": one.agreement_no, "document_sha256": FACE},
    )


def _payee_no(rail: str) -> str:
    return next(
        str(payee["payee_no"]) for payee in MERCHANT.as_body()["payees"] if payee["rail"] == rail
    )


# What is told of them


def _registered(one: Customer, _: Shop, platform: Platform) -> Event:
    public = platform.secrets.sealing_public_keys
    account = "alipay_user_id" if one.rail == "alipay" else "wechat_openid"
    sealed = _Sealed(
        seal(
            public["notify"],
            {"phone": one.phone, "salutation": "王女士", account: one.payer_no},
        ),
        seal(
            public["fulfillment"],
            {"name": "王小明", "phone": one.phone, "province": "浙江省", "city": "杭州市",
             "district": "西湖区", "address": f"文三路{one.number}号"},
        ),
    )  # fmt: skip
    return CustomerRegistered(
        event_id=one.id("customer.registered"),
        occurred_at=SIGNED_AT,
        merchant_id=MERCHANT.merchant_id,
        customer_id=one.id("customer"),
        sealed_for_notify=sealed.notify,
        sealed_for_fulfillment=sealed.fulfillment,
    )


def _pet_registered(one: Customer, _: Shop, __: Platform) -> Event:
    return PetRegistered(
        event_id=one.id("pet.registered"),
        occurred_at=SIGNED_AT,
        merchant_id=MERCHANT.merchant_id,
        customer_id=one.id("customer"),
        pet_id=one.id("pet"),
        species="cat",
        size="medium",
        born_on=BORN,
    )


def _signed(one: Customer, shop: Shop, _: Platform) -> Event:
    return AgreementSigned(
        event_id=one.id("agreement.signed"),
        occurred_at=SIGNED_AT,
        agreement_id=one.id("agreement"),
        agreement_no=one.agreement_no,
        merchant_id=MERCHANT.merchant_id,
        store_id=shop.store_id,
        customer_id=one.id("customer"),
        pet_id=one.id("pet"),
        plan_id=shop.plan_id,
        plan_version=1,
        plan_name=PLAN.name,
        rail=Rail(one.rail),
        charge_day=due_dates()[0].day,
        periods=PLAN.periods,
        total_fen=one.amount_fen * PLAN.periods,
        hold_fen=PLAN.bundle_fen,
        auto_ship=True,
        instalments=tuple(
            SignedInstalment(seq=seq, due_on=day, amount_fen=one.amount_fen)
            for seq, day in enumerate(due_dates(), 1)
        ),
        signed_at=SIGNED_AT,
        cooling_off_ends_at=ACTIVE_AT,
    )


def _granted(one: Customer, _: Shop, __: Platform) -> Event:
    return MandateGranted(
        event_id=one.id("mandate.granted"),
        occurred_at=SIGNED_AT,
        mandate_id=one.id("mandate"),
        agreement_id=one.id("agreement"),
        merchant_id=MERCHANT.merchant_id,
        customer_id=one.id("customer"),
        rail=Rail(one.rail),
        product=one.product,
        rail_agreement_no=one.rail_agreement_no,
        payer_no=one.payer_no,
        payee_no=_payee_no(one.rail),
        ceiling_fen=CEILING_FEN,
        valid_until=ENDS[one.rail],
    )


def _activated(one: Customer) -> Event:
    return AgreementActivated(
        event_id=one.id("agreement.activated"),
        occurred_at=ACTIVE_AT,
        agreement_id=one.id("agreement"),
        merchant_id=MERCHANT.merchant_id,
        customer_id=one.id("customer"),
    )


_TOLD: Final[Sequence[Callable[[Customer, Shop, Platform], Event]]] = (
    _registered,
    _pet_registered,
    _signed,
    _granted,
)
