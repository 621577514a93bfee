"""What billing hears and keeps, valid by default."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from services.billing.domain.agreement import Agreement, AgreementState
from services.billing.domain.attempt import Attempt, AttemptKind, AttemptState
from services.billing.domain.charge_calendar import charge_moment
from services.billing.domain.debit_gate import GateFacts, MerchantFacts
from services.billing.domain.instalment import Instalment, InstalmentState
from services.billing.domain.mandate import Mandate, MandateState
from services.billing.domain.notices import CHANNELS, NoticeKind, Proof
from services.billing.domain.trade_no import trade_no
from services.signing.contract import (
    AgreementSigned,
    LegalKind,
    MandateGranted,
    MerchantApproved,
    Payee,
    Rail,
    SignedInstalment,
)
from shared.calendar import month_day
from shared.ids import derived_id, new_id
from shared.rails.permissions import ALIPAY_CYCLE

SIGNED_AT = datetime(2027, 3, 1, 2, 0, tzinfo=UTC)  # 10:00 in China
FIRST_DUE = date(2027, 3, 12)
AMOUNT_FEN = 19900
MERCHANT = derived_id("merchant", 1)
PAYEES = {
    "alipay": "2088100000000001",
    "wechatpay": "1900000001",
    "bankcard": "880000000001",
}
PRODUCTS = {
    "alipay": "alipay_cycle",
    "wechatpay": "wechat_prenotice",
    "bankcard": "card_withholding",
}


def agreement_id(n: int = 1) -> UUID:
    return derived_id("agreement", n)


def a_signing(n: int = 1, **changes: Any) -> AgreementSigned:
    periods = changes.pop("periods", 3)
    first = changes.pop("first_due", FIRST_DUE)
    amount = changes.pop("amount_fen", AMOUNT_FEN)
    lines = tuple(
        SignedInstalment(seq=k + 1, due_on=month_day(first, k, day=first.day), amount_fen=amount)
        for k in range(periods)
    )
    fields: dict[str, Any] = {
        "event_id": derived_id("signed", n),
        "occurred_at": SIGNED_AT,
        "agreement_id": agreement_id(n),
        "agreement_no": f"AG{n:08d}",
        "merchant_id": MERCHANT,
        "store_id": derived_id("store", 1),
        "customer_id": derived_id("customer", n),
        "pet_id": derived_id("pet", n),
        "plan_id": derived_id("plan", 1),
        "plan_version": 1,
        "plan_name": "宠粮月付",
        "rail": Rail.ALIPAY,
        "charge_day": first.day,
        "periods": periods,
        "total_fen": periods * amount,
        "hold_fen": 12000,
        "auto_ship": True,
        "instalments": lines,
        "signed_at": SIGNED_AT,
        "cooling_off_ends_at": SIGNED_AT + timedelta(hours=48),
    }
    return AgreementSigned(**(fields | changes))


def a_mandate(n: int = 1, *, rail: Rail = Rail.ALIPAY, **changes: Any) -> MandateGranted:
    fields: dict[str, Any] = {
        "event_id": derived_id("granted", n),
        "occurred_at": SIGNED_AT,
        "mandate_id": derived_id("mandate", n),
        "agreement_id": agreement_id(n),
        "merchant_id": MERCHANT,
        "customer_id": derived_id("customer", n),
        "rail": rail,
        "product": PRODUCTS[rail],
        "rail_agreement_no": "20260000000000000001",
        "payer_no": "2088000000000001",
        "payee_no": PAYEES[rail],
        "ceiling_fen": 30000,
        "valid_until": date(2099, 1, 1),
    }
    return MandateGranted(**(fields | changes))


def a_merchant(*, n: UUID = MERCHANT) -> MerchantApproved:
    return MerchantApproved(
        event_id=derived_id("approved", n),
        occurred_at=SIGNED_AT,
        merchant_id=n,
        display_name="一只猫",
        legal_kind=LegalKind.COMPANY,
        service_phone="021-00000000",
        payees=tuple(Payee(rail=Rail(rail), payee_no=no) for rail, no in PAYEES.items()),
    )


def an_agreement(**changes: Any) -> Agreement:
    agreement = Agreement(
        agreement_id=agreement_id(),
        agreement_no="AG00000001",
        merchant_id=MERCHANT,
        customer_id=derived_id("customer", 1),
        pet_id=derived_id("pet", 1),
        plan_name="宠粮月付",
        rail="alipay",
        charge_day=12,
        periods=3,
        total_fen=3 * AMOUNT_FEN,
        hold_fen=12000,
        auto_ship=True,
        state=AgreementState.ACTIVE,
        signed_at=SIGNED_AT,
        plan_on=FIRST_DUE,
    )
    return replace(agreement, **changes)


def an_instalment(seq: int = 1, **changes: Any) -> Instalment:
    instalment_id = derived_id("instalment", agreement_id(), seq)
    due_on = month_day(FIRST_DUE, seq - 1, day=FIRST_DUE.day)
    charge_at = charge_moment(instalment_id, due_on)
    instalment = Instalment(
        instalment_id=instalment_id,
        agreement_id=agreement_id(),
        merchant_id=MERCHANT,
        customer_id=derived_id("customer", 1),
        seq=seq,
        periods=3,
        amount_fen=AMOUNT_FEN,
        due_on=due_on,
        charge_on=due_on,
        charge_at=charge_at,
        state=InstalmentState.NOTICED,
        pay_token=f"token-{seq}-{'x' * 20}",
        next_try_at=charge_at,
    )
    return replace(instalment, **changes)


def a_mandate_record(**changes: Any) -> Mandate:
    mandate = Mandate(
        mandate_id=derived_id("mandate", 1),
        agreement_id=agreement_id(),
        merchant_id=MERCHANT,
        customer_id=derived_id("customer", 1),
        rail="alipay",
        product="alipay_cycle",
        rail_agreement_no="20260000000000000001",
        payer_no="2088000000000001",
        payee_no=PAYEES["alipay"],
        ceiling_fen=30000,
        valid_until=date(2099, 1, 1),
        state=MandateState.ACTIVE,
        granted_at=SIGNED_AT,
    )
    return replace(mandate, **changes)


def proofs_for(instalment: Instalment, *, rail_days: int | None = None) -> list[Proof]:
    found = [
        Proof(kind, channel, instalment.charge_at - before, instalment.charge_at - before)
        for kind, before in (
            (NoticeKind.ADVANCE, timedelta(days=7)),
            (NoticeKind.REMINDER, timedelta(days=3)),
        )
        for channel in CHANNELS
    ]
    if rail_days is not None:
        told_at = instalment.charge_at - timedelta(days=rail_days)
        found.append(Proof(NoticeKind.RAIL, "rail", told_at, told_at))
    return found


def open_gate(**changes: Any) -> GateFacts:
    """Facts under which a charge may start."""
    instalment = changes.pop("instalment", an_instalment())
    fields: dict[str, Any] = {
        "now": instalment.charge_at,
        "instalment": instalment,
        "agreement": an_agreement(),
        "mandate": a_mandate_record(),
        "merchant": MerchantFacts(eligible=True, guarantee_sufficient=True, payees=PAYEES),
        "permission": replace(ALIPAY_CYCLE, per_charge_fen=None),
        "proofs": proofs_for(instalment),
    }
    return GateFacts(**(fields | changes))


def an_attempt(**changes: Any) -> Attempt:
    instalment = an_instalment()
    attempt = Attempt(
        attempt_id=new_id(),
        instalment_id=instalment.instalment_id,
        agreement_id=instalment.agreement_id,
        merchant_id=MERCHANT,
        customer_id=instalment.customer_id,
        attempt_no=1,
        trade_no=trade_no(instalment.agreement_id, 1, 1),
        kind=AttemptKind.AUTOMATIC,
        rail="alipay",
        product="alipay_cycle",
        amount_fen=AMOUNT_FEN,
        rail_agreement_no="20260000000000000001",
        payer_no="2088000000000001",
        payee_no=PAYEES["alipay"],
        description="宠粮月付 第1期共3期",
        state=AttemptState.SENT,
        on_day=instalment.charge_on,
        created_at=instalment.charge_at,
        expires_at=instalment.charge_at + timedelta(hours=1),
        query_at=instalment.charge_at + timedelta(minutes=1),
    )
    return replace(attempt, **changes)
