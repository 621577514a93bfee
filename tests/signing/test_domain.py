"""Decisions of signing, without a loop or a database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.contract import LegalKind, Payee, Rail
from services.signing.contract.termination import EndReason, not_yet_due_fen, penalty
from services.signing.domain import mandate as mandating
from services.signing.domain.agreement import Agreement, AgreementState
from services.signing.domain.credit_tiers import Answer, CreditVerdict, judge, threshold_for
from services.signing.domain.errors import (
    AmountAboveRail,
    ChargeDayNotOnRail,
    PlanInvalid,
    RailNotForMerchant,
)
from services.signing.domain.evidence import Entry, first_broken, next_entry
from services.signing.domain.mandate import Ended, Granted, Mandate, MandateState
from services.signing.domain.merchant import Merchant, MerchantState, payee_of
from services.signing.domain.plan import LegalType
from services.signing.domain.schedule import (
    FIRST_CHARGE_AFTER,
    first_due_on,
    require_chargeable,
    schedule,
)
from shared.calendar import at_in_china
from shared.ids import new_id
from tests.support.signing_builders import NOON
from tests.support.signing_plans import a_plan, plain

MOMENTS = st.integers(0, 7 * 366 * 86_400).map(lambda s: NOON + timedelta(seconds=s))


@given(signed_at=MOMENTS, day=st.integers(1, 31))
def test_the_first_charge_is_the_first_possible_one(signed_at, day):
    first = first_due_on(signed_at, charge_day=day)

    assert at_in_china(first, 9) >= signed_at + FIRST_CHARGE_AFTER
    assert first.day == day or (first + timedelta(days=1)).day == 1
    assert at_in_china(first, 9) - signed_at < timedelta(days=39)


@given(
    now=MOMENTS, day=st.integers(1, 31), periods=st.integers(1, 24), total=st.integers(24, 10**7)
)
def test_a_schedule_has_one_charge_in_each_month_and_adds_up(now, day, periods, total):
    lines = schedule(plain(total, periods), charge_day=day, now=now)

    assert sum(line.amount_fen for line in lines) == total
    months = [line.due_on.year * 12 + line.due_on.month for line in lines]
    assert all(after - before == 1 for before, after in pairwise(months))
    for line in lines:
        assert line.due_on.day == day or (line.due_on + timedelta(days=1)).day == 1


def test_the_31st_clamps_and_never_drifts():
    now = datetime(2028, 1, 10, tzinfo=UTC)
    lines = schedule(plain(400, 4), charge_day=31, now=now)

    assert [str(line.due_on) for line in lines] == [
        "2028-01-31",
        "2028-02-29",
        "2028-03-31",
        "2028-04-30",
    ]


@pytest.mark.parametrize("day", [29, 30, 31])
def test_alipay_does_not_charge_on_the_last_days(day):
    with pytest.raises(ChargeDayNotOnRail) as refused:
        require_chargeable(Rail.ALIPAY, charge_day=day, amounts_fen=[100])
    assert refused.value.facts["allowed_days"] == list(range(1, 29))
    require_chargeable(Rail.WECHATPAY, charge_day=day, amounts_fen=[50_000])


def test_wechat_charges_at_most_500_yuan():
    with pytest.raises(AmountAboveRail):
        require_chargeable(Rail.WECHATPAY, charge_day=1, amounts_fen=[50_001])


def test_wechat_does_not_admit_individual_businesses():
    merchant = Merchant(
        merchant_id=new_id(),
        state=MerchantState.APPROVED,
        legal_name="团子宠物店",
        display_name="团子",
        legal_kind=LegalKind.INDIVIDUAL_BUSINESS,
        licence_no="92110000000000001X",
        service_phone="4008001234",
        payees=[Payee(rail=Rail.WECHATPAY, payee_no="1"), Payee(rail=Rail.ALIPAY, payee_no="2")],
        created_at=NOON,
    )

    assert payee_of(merchant, Rail.ALIPAY).payee_no == "2"
    with pytest.raises(RailNotForMerchant):
        payee_of(merchant, Rail.WECHATPAY)


def test_a_plan_asks_for_one_threshold():
    sale = {"legal_type": LegalType.INSTALMENT_SALE}
    assert threshold_for(a_plan(periods=24)) == 550
    assert threshold_for(a_plan(periods=12, **sale)) == 650
    with pytest.raises(PlanInvalid):
        threshold_for(a_plan(periods=13, **sale))
    assert [judge(answer) for answer in Answer] == [
        CreditVerdict.ACCEPTED,
        CreditVerdict.REVIEW,
        CreditVerdict.REVIEW,
    ]


def a_mandate(**changes):
    known = Mandate(
        mandate_id=new_id(),
        merchant_id=new_id(),
        application_id=new_id(),
        agreement_id=new_id(),
        rail=Rail.ALIPAY,
        product="alipay_cycle",
        external_no="YF2027030100000001M1",
        payer_no="2088",
        payee_no="2088",
        ceiling_fen=29900,
        first_due_on=date(2027, 3, 15),
        total_fen=358800,
        periods=12,
        state=MandateState.PENDING,
    )
    return replace(known, **changes)


GRANT = Granted(at=NOON, rail_agreement_no="2027", payer_no="2088", valid_until=None)
END = Ended(at=NOON + timedelta(hours=1))
LATER = NOON + timedelta(hours=2)


def hear_all(mandate, *told):
    for one in told:
        mandate = mandating.hear(mandate, one, now=LATER)
    return mandate


def test_the_newest_time_decides_whatever_the_order():
    assert hear_all(a_mandate(), GRANT, END).state is MandateState.REVOKED
    assert hear_all(a_mandate(), END, GRANT).state is MandateState.REVOKED
    assert hear_all(a_mandate(), GRANT, END, GRANT, END).state is MandateState.REVOKED
    again = replace(GRANT, at=NOON + timedelta(minutes=90))
    assert hear_all(a_mandate(), GRANT, END, again).state is MandateState.CLOSING


def test_hearing_again_changes_nothing():
    once = hear_all(a_mandate(), GRANT)
    assert hear_all(once, GRANT) == once
    ended = hear_all(once, END)
    assert hear_all(ended, END) == ended


def test_a_closing_mandate_is_closed_when_the_rail_says_so():
    closing = mandating.close(hear_all(a_mandate(), GRANT), now=LATER)
    assert closing.state is MandateState.CLOSING
    waits = []
    for _ in range(7):
        tried = mandating.tried(closing, now=LATER)
        assert tried.due_at is not None
        waits.append(tried.due_at - LATER)
        closing = tried
    assert waits[0] == timedelta(minutes=1)
    assert sum(waits, timedelta()) < timedelta(hours=24)
    assert hear_all(closing, END).state is MandateState.CLOSED


def an_agreement(**changes):
    known = Agreement(
        agreement_id=new_id(),
        agreement_no="YF2027030100000001",
        merchant_id=new_id(),
        store_id=new_id(),
        application_id=new_id(),
        customer_id=new_id(),
        pet_id=new_id(),
        plan_id=new_id(),
        plan_version=1,
        plan_name="安心月付",
        rail=Rail.ALIPAY,
        charge_day=15,
        periods=12,
        total_fen=120_000,
        hold_fen=0,
        auto_ship=False,
        instalments=schedule(plain(120_000, 12), charge_day=15, now=NOON),
        document_sha256="",
        state=AgreementState.ACTIVE,
        signed_at=NOON,
        cooling_off_ends_at=NOON + timedelta(hours=48),
    )
    return replace(known, **changes)


@given(loss_fen=st.integers(0, 200_000), months=st.integers(0, 11))
def test_a_penalty_is_never_above_either_leg(loss_fen, months):
    agreement = an_agreement()
    today = agreement.instalments[months].due_on
    unpaid_fen = not_yet_due_fen(agreement.instalments, paid=(), today=today)
    charged = penalty(
        EndReason.CUSTOMER_WISH, cooling_off=False, unpaid_fen=unpaid_fen, loss_fen=loss_fen
    ).due_fen

    assert charged <= (11 - months) * 1_000
    assert charged <= loss_fen * 1.3
    assert loss_fen or charged == 0


@pytest.mark.parametrize("reason", [one for one in EndReason if one is not EndReason.CUSTOMER_WISH])
def test_only_the_customers_own_wish_costs_anything(reason):
    costs = {"unpaid_fen": 10**6, "loss_fen": 10**6}
    assert penalty(reason, cooling_off=False, **costs).due_fen == 0
    assert penalty(EndReason.CUSTOMER_WISH, cooling_off=True, **costs).due_fen == 0
    assert penalty(EndReason.CUSTOMER_WISH, cooling_off=False, **costs).due_fen == 10**5


def a_chain(length):
    entries: list[Entry] = []
    application_id = new_id()
    for n in range(length):
        entries.append(
            next_entry(
                entries[-1] if entries else None,
                application_id=application_id,
                kind="step",
                occurred_at=NOON + timedelta(seconds=n),
                actor="customer",
                payload={"b": n, "a": "猫"},
            )
        )
    return entries


def test_a_whole_chain_is_whole():
    chain = a_chain(4)
    assert first_broken(chain) is None
    assert chain[0].payload == '{"a":"猫","b":0}'


@pytest.mark.parametrize(
    "change",
    [
        {"payload": '{"a":"狗","b":1}'},
        {"actor": "merchant"},
        {"occurred_at": NOON},
        {"kind": "other"},
        {"prev_hash": "0" * 64},
    ],
)
def test_any_change_of_an_entry_is_found(change):
    chain = a_chain(4)
    chain[1] = replace(chain[1], **change)
    assert first_broken(chain) == 2


def test_a_missing_entry_is_found():
    chain = a_chain(4)
    del chain[2]
    assert first_broken(chain) == 3
