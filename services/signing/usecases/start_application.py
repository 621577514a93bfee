"""A customer begins, agrees to what must be agreed to, or gives up."""

import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.signing.contract import Rail
from services.signing.deps import Deps
from services.signing.domain.application import (
    LIVES,
    Applicant,
    Application,
    ApplicationState,
    Pet,
    Step,
    require_consents,
    require_step,
)
from services.signing.domain.merchant import payee_of, require_approved
from services.signing.domain.resident_id import require_adult
from services.signing.domain.schedule import require_chargeable
from services.signing.store import applications, evidence, merchants, plans
from services.signing.store.applications import Consent
from services.signing.usecases.watch_deposits import require_deposit
from shared.calendar import day_in_china
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer wants to sign, and where."""

    merchant_id: UUID
    store_id: UUID
    plan_id: UUID
    plan_version: int
    rail: Rail
    charge_day: int
    applicant: Applicant
    pet: Pet


async def start_application(
    conn: Connection,
    deps: Deps,
    wish: Wish,
    *,
    application_id: UUID,
    agreement_id: UUID,
    actor: str,
    now: datetime,
) -> Application:
    """
    Begin an application; the same id again returns what stands.

    Raises:
        MerchantNotApproved, StoreUnknown, PlanUnknown: There is nothing to sign.
        GuaranteeShort: The merchant's deposit is below what is required.
        RailNotForMerchant, ChargeDayNotOnRail, AmountAboveRail: The rail would refuse it.
        IdNumberInvalid, TooYoung, PayerMissing: This person cannot sign.
    """
    merchant = await merchants.read(conn, wish.merchant_id)
    require_approved(merchant)
    await require_deposit(conn, wish.merchant_id)
    payee_of(merchant, wish.rail, offers=deps.offers)
    await merchants.read_store(conn, wish.store_id, merchant_id=wish.merchant_id)
    plan = await plans.read_published(
        conn, wish.plan_id, wish.plan_version, merchant_id=wish.merchant_id
    )
    require_chargeable(
        wish.rail,
        charge_day=wish.charge_day,
        amounts_fen=plan.amounts_fen,
        offers=deps.offers,
    )
    require_adult(wish.applicant.id_number, today=day_in_china(now))
    application = _application(
        wish, application_id=application_id, agreement_id=agreement_id, now=now
    )
    sealed = deps.vault.lock_applicant(wish.applicant, application_id)
    if not await applications.add(conn, application, applicant=sealed):
        return await applications.read(conn, application_id, merchant_id=wish.merchant_id)
    facts = {
        "plan_id": str(wish.plan_id),
        "plan_version": wish.plan_version,
        "rail": wish.rail.value,
        "charge_day": wish.charge_day,
    }
    await evidence.append(conn, application_id, "application_started", facts, actor=actor, now=now)
    return application


async def give_consents(
    conn: Connection,
    application_id: UUID,
    given: list[Consent],
    *,
    merchant_id: UUID,
    actor: str,
    now: datetime,
) -> Application:
    """
    Remember what the customer agreed to, each question by itself.

    Raises:
        ConsentMissing: One that is needed was not given; nothing is remembered then.
        StepNotNext: Identity has been proven already.
    """
    before = await applications.lock(conn, application_id, merchant_id=merchant_id)
    require_step(before, Step.CONSENTS, Step.IDENTITY)
    await applications.add_consents(conn, application_id, given, now=now)
    require_consents(await applications.consents(conn, application_id))
    after = replace(before, consented=True, step_since=now, expires_at=now + LIVES)
    await applications.save(conn, before, after, actor=actor, now=now)
    facts = {
        consent.kind.value: {
            "text_version": consent.text_version,
            "agreed": consent.agreed,
            "shown_ms": consent.shown_ms,
        }
        for consent in given
    }
    await evidence.append(conn, application_id, "consents_given", facts, actor=actor, now=now)
    return after


def _application(
    wish: Wish, *, application_id: UUID, agreement_id: UUID, now: datetime
) -> Application:
    return Application(
        application_id=application_id,
        merchant_id=wish.merchant_id,
        store_id=wish.store_id,
        plan_id=wish.plan_id,
        plan_version=wish.plan_version,
        rail=wish.rail,
        charge_day=wish.charge_day,
        state=ApplicationState.STARTED,
        consented=False,
        payer_no=wish.applicant.payer_no(wish.rail),
        pet=wish.pet,
        customer_id=None,
        pet_id=None,
        agreement_id=agreement_id,
        agreement_no=_agreement_no(agreement_id, now=now),
        started_at=now,
        expires_at=now + LIVES,
        step_since=now,
    )


def _agreement_no(agreement_id: UUID, *, now: datetime) -> str:
    """Return 24 letters and digits: the date in China and 70 bits that follow from the id."""
    digest = hashlib.sha256(agreement_id.bytes).digest()
    return f"YF{day_in_china(now):%Y%m%d}{base64.b32encode(digest).decode()[:14]}"
