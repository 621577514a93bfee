"""Customers of the running platform, told to its services as signing would tell them."""

import asyncio
import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import asyncpg

from deploy.bench.due import AMOUNT_FEN, HOLD_FEN, MERCHANT, PERIODS
from deploy.bench.ground import NOW
from deploy.bench.rail import PAYEE, PAYER, agreement_no
from deploy.platform import Platform
from services.signing.contract import (
    AgreementActivated,
    AgreementSigned,
    BundleItem,
    CustomerRegistered,
    LegalKind,
    MandateGranted,
    MerchantApproved,
    Payee,
    PetRegistered,
    PlanPublished,
    Rail,
    SignedInstalment,
    StageBundle,
)
from shared import outbox
from shared.bus import BATCH
from shared.calendar import month_day
from shared.db import Database
from shared.events import Event
from shared.ids import derived_id, new_id
from shared.sealing import seal

PLAN: Final = derived_id("bench", "plan")
SIGNED_AT: Final = NOW - timedelta(days=30)
FIRST_DUE: Final = date(2027, 6, 10)
"""Far away, so that nothing is owed before the figure makes it due."""
WAIT_S: Final = 180.0


async def live(platform: Platform, count: int) -> None:
    """Let *count* customers have signed and be active everywhere; returns when they are."""
    sealed = (
        seal(
            platform.secrets.sealing_public_keys["notify"],
            {"phone": "13800138000", "salutation": "王女士", "alipay_user_id": PAYER},
        ),
        seal(
            platform.secrets.sealing_public_keys["fulfillment"],
            {"name": "王小明", "phone": "13800138000", "province": "北京市", "city": "北京市",
             "district": "朝阳区", "address": "幸福路1号"},
        ),
    )  # fmt: skip
    db = await Database.open(platform.dsn("signing"), schema="signing", name="bench", size=1)
    admin = await asyncpg.connect(platform.dsn("postgres"))
    try:
        await _tell(db, [_merchant(), _plan()])
        for kind in (_customer, _pet, _signed, _granted):
            await _tell(db, [kind(number, sealed) for number in range(count)])
        await until(admin, "SELECT count(*) FROM billing.agreements", count)
        await _tell(db, [_activated(number) for number in range(count)])
        for waited in _ARRIVED:
            await until(admin, waited, count)
    finally:
        await admin.close()
        await db.close()


_ARRIVED: Final = (
    "SELECT count(*) FROM billing.agreements WHERE state = 'active'",
    "SELECT count(*) FROM billing.mandates",
    "SELECT count(*) FROM fulfillment.agreements",
    "SELECT count(*) FROM fulfillment.recipients",
    "SELECT count(*) FROM notify.contacts",
    "SELECT count(*) FROM notify.agreements",
)


async def until(admin: "asyncpg.Connection[asyncpg.Record]", count: str, wanted: int) -> None:
    """
    Wait until *count*, a query of one number, has reached *wanted*.

    Raises:
        TimeoutError: It has not within ``WAIT_S``.
    """
    deadline = time.monotonic() + WAIT_S
    while (found := await admin.fetchval(count)) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{count}: {found} of {wanted}")
        await asyncio.sleep(0.05)


async def _tell(db: Database, events: Sequence[Event]) -> None:
    for first in range(0, len(events), BATCH):
        async with db.transaction() as conn:
            await outbox.add(conn, *events[first : first + BATCH])


def _merchant() -> MerchantApproved:
    return MerchantApproved(
        event_id=new_id(),
        occurred_at=SIGNED_AT,
        merchant_id=MERCHANT,
        display_name="团子宠物",
        legal_kind=LegalKind.COMPANY,
        service_phone="4008001234",
        payees=(Payee(rail=Rail.ALIPAY, payee_no=PAYEE),),
    )


def _plan() -> PlanPublished:
    item = BundleItem(sku="FOOD-A", quantity=2, name="成猫粮")
    return PlanPublished(
        event_id=new_id(),
        occurred_at=SIGNED_AT,
        merchant_id=MERCHANT,
        plan_id=PLAN,
        version=1,
        name="安心月付",
        species="cat",
        periods=PERIODS,
        monthly_fen=AMOUNT_FEN,
        auto_ship=True,
        bundle_fen=HOLD_FEN,
        bundles=(StageBundle(stage="adult", items=(item,)),),
    )


def _customer(number: int, sealed: tuple[str, str]) -> CustomerRegistered:
    return CustomerRegistered(
        event_id=new_id(),
        occurred_at=SIGNED_AT,
        merchant_id=MERCHANT,
        customer_id=derived_id("customer", number),
        sealed_for_notify=sealed[0],
        sealed_for_fulfillment=sealed[1],
    )


def _pet(number: int, _: tuple[str, str]) -> PetRegistered:
    return PetRegistered(
        event_id=new_id(),
        occurred_at=SIGNED_AT,
        merchant_id=MERCHANT,
        customer_id=derived_id("customer", number),
        pet_id=derived_id("pet", number),
        species="cat",
        size="medium",
        born_on=date(2022, 1, 1),
    )


def _signed(number: int, _: tuple[str, str]) -> AgreementSigned:
    lines = tuple(
        SignedInstalment(
            seq=seq, due_on=month_day(FIRST_DUE, seq - 1, day=10), amount_fen=AMOUNT_FEN
        )
        for seq in range(1, PERIODS + 1)
    )
    return AgreementSigned(
        event_id=new_id(),
        occurred_at=SIGNED_AT,
        agreement_id=derived_id("agreement", number),
        agreement_no=str(number),
        merchant_id=MERCHANT,
        store_id=derived_id("store", 1),
        customer_id=derived_id("customer", number),
        pet_id=derived_id("pet", number),
        plan_id=PLAN,
        plan_version=1,
        plan_name="安心月付",
        rail=Rail.ALIPAY,
        charge_day=10,
        periods=PERIODS,
        total_fen=AMOUNT_FEN * PERIODS,
        hold_fen=HOLD_FEN,
        auto_ship=True,
        instalments=lines,
        signed_at=SIGNED_AT,
        cooling_off_ends_at=SIGNED_AT + timedelta(hours=48),
    )


def _granted(number: int, _: tuple[str, str]) -> MandateGranted:
    return MandateGranted(
        event_id=new_id(),
        occurred_at=SIGNED_AT,
        mandate_id=derived_id("mandate", number),
        agreement_id=derived_id("agreement", number),
        merchant_id=MERCHANT,
        customer_id=derived_id("customer", number),
        rail=Rail.ALIPAY,
        product="alipay_general",
        rail_agreement_no=agreement_no(number),
        payer_no=PAYER,
        payee_no=PAYEE,
        ceiling_fen=100_000,
        valid_until=date(2030, 1, 1),
    )


def _activated(number: int) -> AgreementActivated:
    return AgreementActivated(
        event_id=new_id(),
        occurred_at=SIGNED_AT,
        agreement_id=derived_id("agreement", number),
        merchant_id=MERCHANT,
        customer_id=derived_id("customer", number),
    )
