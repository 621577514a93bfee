"""The debit gate: each leg by itself, and no charge without all of them."""

from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.agreement import AgreementState
from services.billing.domain.debit_gate import (
    ChargedBefore,
    GateFacts,
    MerchantFacts,
    Refusal,
    refusals,
)
from services.billing.domain.gate_action import GateAction, action
from services.billing.domain.instalment import InstalmentState
from services.billing.domain.mandate import MandateState
from services.billing.domain.notices import NoticeKind, Proof
from shared.calendar import at_in_china
from shared.ids import new_id
from shared.rails.permissions import WECHAT_24H, WECHAT_PRENOTICE
from tests.support.billing_builders import (
    AMOUNT_FEN,
    FIRST_DUE,
    PAYEES,
    a_mandate_record,
    an_agreement,
    an_instalment,
    open_gate,
    proofs_for,
)

GATE = open_gate()
assert GATE.permission is not None
NOW = GATE.now
LATE = at_in_china(FIRST_DUE, 18)
YESTERDAY = FIRST_DUE - timedelta(days=1)


def without(kind: NoticeKind) -> tuple[Proof, ...]:
    return tuple(proof for proof in GATE.proofs if proof.kind is not kind)


def undelivered() -> tuple[Proof, ...]:
    return tuple(replace(proof, delivered_at=None) for proof in GATE.proofs)


def one_channel_late() -> tuple[Proof, ...]:
    late = NOW - timedelta(hours=47, minutes=59)
    return tuple(
        replace(proof, accepted_at=late)
        if (proof.kind, proof.channel) == (NoticeKind.REMINDER, "sms")
        else proof
        for proof in GATE.proofs
    )


LEGS: dict[Refusal, dict[str, Any]] = {
    Refusal.AGREEMENT_ENDED: {"agreement": an_agreement(state=AgreementState.TERMINATED)},
    Refusal.AGREEMENT_COOLING_OFF: {"agreement": an_agreement(state=AgreementState.COOLING_OFF)},
    Refusal.AGREEMENT_PAUSED: {"agreement": an_agreement(state=AgreementState.PAUSED)},
    Refusal.TOO_SOON_AFTER_SIGNING: {
        "agreement": an_agreement(signed_at=NOW - timedelta(hours=167, minutes=59))
    },
    Refusal.INSTALMENT_SETTLED: {"instalment": an_instalment(state=InstalmentState.PAID)},
    Refusal.DOWN_PAYMENT: {"instalment": replace(an_instalment(), seq=0)},
    Refusal.NOTHING_TO_CHARGE: {"instalment": replace(an_instalment(), amount_fen=0)},
    Refusal.ATTEMPT_UNCLEAR: {"open_elsewhere": True},
    Refusal.TRIES_USED_UP: {"instalment": an_instalment(auto_tries=3, first_tried_at=NOW)},
    Refusal.MANDATE_MISSING: {"mandate": None},
    Refusal.MANDATE_NOT_ACTIVE: {"mandate": a_mandate_record(state=MandateState.REVOKED)},
    Refusal.MANDATE_CEILING: {"mandate": a_mandate_record(ceiling_fen=AMOUNT_FEN - 1)},
    Refusal.PAYEE_FOREIGN: {"mandate": a_mandate_record(payee_no="2088999999999999")},
    Refusal.RAIL_CEILING: {"permission": replace(GATE.permission, per_charge_fen=AMOUNT_FEN - 1)},
    Refusal.NOTICE_120H_MISSING: {"proofs": without(NoticeKind.ADVANCE)},
    Refusal.NOTICE_48H_MISSING: {"proofs": one_channel_late()},
    Refusal.NOTICE_UNDELIVERED: {"proofs": undelivered()},
    Refusal.NOTICE_OF_RAIL_MISSING: {"permission": WECHAT_PRENOTICE},
    Refusal.DAY_NOT_COME: {"instalment": an_instalment(charge_on=FIRST_DUE + timedelta(days=1))},
    Refusal.DAY_PASSED: {"instalment": an_instalment(charge_on=FIRST_DUE - timedelta(days=2))},
    Refusal.PLAN_ELSEWHERE: {"agreement": an_agreement(plan_on=FIRST_DUE - timedelta(days=1))},
    Refusal.RAIL_HOURS: {
        "permission": replace(
            GATE.permission, charge_hours=replace(GATE.permission.charge_hours, first=22)
        )
    },
    Refusal.OUTSIDE_HOURS: {"now": LATE},
    Refusal.CHARGED_TODAY: {"charged_today": True},
    Refusal.RAIL_ORDER_OPEN: {
        "permission": replace(GATE.permission, one_order_at_a_time=True),
        "charges": [ChargedBefore(new_id(), YESTERDAY, 1, open_since=NOW - timedelta(hours=20))],
    },
    Refusal.RAIL_DAY_CEILING: {
        "permission": replace(GATE.permission, per_day_fen=AMOUNT_FEN),
        "charges": [ChargedBefore(new_id(), FIRST_DUE, 1)],
    },
    Refusal.RAIL_MONTH_CEILING: {
        "permission": replace(GATE.permission, per_month_fen=AMOUNT_FEN),
        "charges": [ChargedBefore(new_id(), YESTERDAY, 1)],
    },
    Refusal.PREVIOUS_UNFULFILLED: {"late_since": FIRST_DUE - timedelta(days=8)},
    Refusal.ON_HOLD: {"agreement": an_agreement(holds=("pet_claim",))},
    Refusal.RISK_PAUSED: {"agreement": an_agreement(flagged_at=NOW)},
    Refusal.MERCHANT_INELIGIBLE: {
        "merchant": MerchantFacts(eligible=False, guarantee_sufficient=True, payees=PAYEES)
    },
    Refusal.GUARANTEE_SHORT: {
        "merchant": MerchantFacts(eligible=True, guarantee_sufficient=False, payees=PAYEES)
    },
    Refusal.RAIL_RESTING: {"rail_resting": True},
}


def test_the_gate_is_open_when_every_leg_stands():
    assert refusals(GATE) == ()
    assert action(()) is GateAction.CHARGE


def test_every_leg_is_tested_here():
    assert set(LEGS) == set(Refusal)


@pytest.mark.parametrize("leg", Refusal)
def test_one_failing_leg_is_named_alone(leg):
    facts = open_gate(**({"now": NOW} | LEGS[leg]))

    assert refusals(facts) == (leg,)
    assert action([leg]) is not GateAction.CHARGE


@given(st.sets(st.sampled_from(list(Refusal)), min_size=1))
def test_no_charge_without_all_legs(legs):
    changes: dict[str, Any] = {"now": NOW}
    for leg in sorted(legs):
        changes |= LEGS[leg]
    standing = {name for leg in legs for name in LEGS[leg]}

    found = refusals(open_gate(**changes))

    assert found
    assert standing <= {one.name for one in fields(GateFacts)}
    assert action(found) is not GateAction.CHARGE


def test_wechat_charges_only_two_to_eight_days_after_its_own_notice():
    instalment = an_instalment()
    for days, allowed in ((1, False), (2, True), (8, True), (9, False)):
        facts = open_gate(
            permission=WECHAT_PRENOTICE, proofs=proofs_for(instalment, rail_days=days)
        )
        assert (Refusal.NOTICE_OF_RAIL_MISSING not in refusals(facts)) is allowed


def test_a_notice_exactly_120_and_48_hours_before_is_enough():
    exact = tuple(
        replace(
            proof,
            accepted_at=NOW - timedelta(hours=120 if proof.kind is NoticeKind.ADVANCE else 48),
        )
        for proof in GATE.proofs
    )

    assert refusals(open_gate(proofs=exact)) == ()


def test_a_mandate_is_good_on_its_last_day_and_not_after():
    assert refusals(open_gate(mandate=a_mandate_record(valid_until=FIRST_DUE))) == ()
    gone = a_mandate_record(valid_until=date(2027, 3, 11))
    assert refusals(open_gate(mandate=gone)) == (Refusal.MANDATE_NOT_ACTIVE,)


def test_ceilings_of_a_rail_count_what_may_have_been_charged_of_the_same_contract():
    def found(*charges: ChargedBefore, amount_fen: int = AMOUNT_FEN) -> set[Refusal]:
        instalment = an_instalment(amount_fen=amount_fen)
        mandate = a_mandate_record(ceiling_fen=10**9)
        return set(
            refusals(
                open_gate(
                    permission=replace(WECHAT_24H, per_charge_fen=None),
                    instalment=instalment,
                    mandate=mandate,
                    charges=charges,
                )
            )
        )

    def earlier(day: date, amount_fen: int) -> ChargedBefore:
        return ChargedBefore(new_id(), day, amount_fen)

    last_month = FIRST_DUE.replace(day=1) - timedelta(days=1)
    assert found(earlier(last_month, 10**9)) == set()
    assert found(earlier(YESTERDAY, 250_000)) == set()
    assert found(earlier(FIRST_DUE, 1)) == {Refusal.RAIL_DAY_CEILING}  # one success a day
    assert found(amount_fen=250_001) == {Refusal.RAIL_DAY_CEILING}
    assert found(earlier(YESTERDAY, 7_500_000)) == {Refusal.RAIL_MONTH_CEILING}
