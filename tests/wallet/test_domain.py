"""What wallet decides: shares, holds, settlements, and on which side money stands."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wallet.contract.states import EndedAs, HoldState, TransferKind
from services.wallet.domain import accounts
from services.wallet.domain.accounts import Purse, Side, normal_side
from services.wallet.domain.errors import HoldClosedOtherwise
from services.wallet.domain.hold import Hold, amount_to_hold, capture, release
from services.wallet.domain.ledger import Ledger, settle, without
from services.wallet.domain.shares import split_sale
from services.wallet.domain.transfer import Transfer, changes
from shared.ids import derived_id
from tests.support.wallet_builders import AGREEMENT, CUSTOMER, MERCHANT, NOON, an_instalment

SHIPMENT = derived_id("shipment", 1)
fen = st.integers(min_value=0, max_value=10**12)


def a_hold(**changed) -> Hold:
    hold = Hold(
        merchant_id=MERCHANT,
        hold_id=derived_id("hold", 1),
        instalment_id=an_instalment(1),
        agreement_id=AGREEMENT,
        customer_id=CUSTOMER,
        amount_fen=15000,
        placed_at=NOON,
    )
    return replace(hold, **changed)


def a_ledger(**changed) -> Ledger:
    ledger = Ledger(
        merchant_id=MERCHANT,
        agreement_id=AGREEMENT,
        customer_id=CUSTOMER,
        rail="alipay",
        periods=12,
        periods_paid=2,
        credited_fen=39800,
    )
    return replace(ledger, **changed)


@given(fen, fen, st.integers(min_value=0, max_value=1000))
def test_shares_add_up_to_the_whole(amount_fen, supply_cost_fen, fee_per_mille):
    shares = split_sale(amount_fen, supply_cost_fen=supply_cost_fen, fee_per_mille=fee_per_mille)

    assert shares.fee_fen + shares.supply_fen + shares.merchant_fen == amount_fen
    assert min(shares.fee_fen, shares.supply_fen, shares.merchant_fen) >= 0
    assert shares.supply_fen <= supply_cost_fen


def test_a_parcel_is_shared_fee_first_then_supplier_then_merchant():
    shares = split_sale(15000, supply_cost_fen=9000, fee_per_mille=20)

    assert (shares.fee_fen, shares.supply_fen, shares.merchant_fen) == (300, 9000, 5700)


def test_a_supplier_dearer_than_the_parcel_gets_what_the_fee_leaves():
    shares = split_sale(15000, supply_cost_fen=20000, fee_per_mille=20)

    assert (shares.fee_fen, shares.supply_fen, shares.merchant_fen) == (300, 14700, 0)


@pytest.mark.parametrize(("amount", "cost", "fee"), [(-1, 0, 0), (1, -1, 0), (1, 0, 1001)])
def test_a_share_of_nonsense_is_refused(amount, cost, fee):
    with pytest.raises(ValueError, match="Cannot split"):
        split_sale(amount, supply_cost_fen=cost, fee_per_mille=fee)


def test_no_more_is_held_than_came_in():
    assert amount_to_hold(15000, amount_fen=19900) == 15000
    assert amount_to_hold(25000, amount_fen=19900) == 19900
    assert amount_to_hold(-1, amount_fen=19900) == 0


def test_a_captured_hold_stays_captured_and_no_other_end_is_possible():
    captured = capture(a_hold(), SHIPMENT, amount_fen=15000, now=NOON)

    assert captured.state is HoldState.CAPTURED
    assert captured.freed_fen == 0
    assert capture(captured, SHIPMENT, amount_fen=15000, now=NOON) == captured
    with pytest.raises(HoldClosedOtherwise):
        release(captured, SHIPMENT, now=NOON)
    with pytest.raises(HoldClosedOtherwise):
        capture(captured, derived_id("shipment", 2), amount_fen=15000, now=NOON)


def test_a_released_hold_stays_released():
    released = release(a_hold(), SHIPMENT, now=NOON)

    assert released.freed_fen == 15000
    assert release(released, SHIPMENT, now=NOON) == released
    with pytest.raises(HoldClosedOtherwise):
        capture(released, SHIPMENT, amount_fen=15000, now=NOON)
    with pytest.raises(HoldClosedOtherwise):
        release(released, derived_id("shipment", 2), now=NOON)


def test_what_a_part_capture_leaves_is_free():
    captured = capture(a_hold(), SHIPMENT, amount_fen=10000, now=NOON)
    ledger = without(a_ledger(held_fen=15000, open_holds=1), captured)

    assert captured.freed_fen == 5000
    assert (ledger.held_fen, ledger.captured_fen, ledger.unspent_fen) == (0, 10000, 29800)


@pytest.mark.parametrize("amount_fen", [-1, 15001])
def test_no_more_is_captured_than_is_held(amount_fen):
    with pytest.raises(ValueError, match="Cannot capture"):
        capture(a_hold(), SHIPMENT, amount_fen=amount_fen, now=NOON)


def test_only_an_ended_agreement_without_open_holds_is_settled():
    ended = {"ended_as": EndedAs.TERMINATED, "ended_at": NOON}

    assert settle(a_ledger(), now=NOON) is None
    assert settle(a_ledger(**ended, held_fen=100, open_holds=1), now=NOON) is None
    assert settle(a_ledger(**ended, captured_fen=39800), now=NOON) is None
    assert settle(a_ledger(**ended, open_holds=1), now=NOON) is None


@given(st.integers(1, 10**9), fen, fen)
def test_a_settlement_takes_out_all_that_is_unspent(unspent_fen, spent_fen, penalty_due_fen):
    ledger = a_ledger(
        credited_fen=unspent_fen + spent_fen,
        captured_fen=spent_fen,
        ended_as=EndedAs.TERMINATED,
        ended_at=NOON,
        penalty_due_fen=penalty_due_fen,
    )

    settled = settle(ledger, now=NOON)

    assert settled is not None
    refund_fen = settled.refund.amount_fen if settled.refund else 0
    assert settled.penalty_fen + refund_fen == unspent_fen
    assert settled.penalty_fen == min(penalty_due_fen, unspent_fen)
    assert settled.ledger.unspent_fen == 0
    assert settle(settled.ledger, now=NOON) is None


def test_money_that_comes_later_makes_the_next_settlement_and_pays_no_penalty_twice():
    ended = a_ledger(ended_as=EndedAs.TERMINATED, ended_at=NOON, penalty_due_fen=1000)
    first = settle(ended, now=NOON)
    assert first is not None
    later = settle(replace(first.ledger, credited_fen=39800 + 19900), now=NOON)

    assert later is not None
    assert later.refund is not None
    assert (later.penalty_fen, later.refund.amount_fen, later.refund.seq) == (0, 19900, 2)
    assert later.settlement_id != first.settlement_id


def test_an_ended_agreement_has_no_periods_left():
    assert a_ledger().periods_left == 10
    assert a_ledger(ended_as=EndedAs.CANCELLED, ended_at=NOON).periods_left == 0


@pytest.mark.parametrize(
    ("code", "side"),
    [
        ("rail:alipay", Side.DEBIT),
        ("rail_fee:alipay", Side.DEBIT),
        ("supervised", Side.DEBIT),
        ("merchant:advance", Side.DEBIT),
        ("merchant:promotion", Side.DEBIT),
        ("points:issued", Side.DEBIT),
        ("refund:alipay", Side.CREDIT),
        ("merchant:payable", Side.CREDIT),
        ("merchant:guarantee", Side.CREDIT),
        ("platform:fee", Side.CREDIT),
        (accounts.supplier("warehouse"), Side.CREDIT),
        (accounts.wallet(CUSTOMER, Purse.HELD), Side.CREDIT),
    ],
)
def test_each_account_has_its_side(code, side):
    assert normal_side(code) is side


CODES = ["rail:alipay", "refund:alipay", "merchant:payable", accounts.wallet(CUSTOMER, Purse.HELD)]


@given(st.lists(st.tuples(st.permutations(CODES), st.integers(1, 10**9)), max_size=20))
def test_transfers_leave_debits_and_credits_equal(moves):
    transfers = [
        Transfer(
            merchant_id=MERCHANT,
            cause_id=an_instalment(number),
            kind=TransferKind.COLLECTED,
            debit_account=codes[0],
            credit_account=codes[1],
            amount_fen=amount_fen,
            customer_id=CUSTOMER,
            agreement_id=AGREEMENT,
            occurred_at=NOON,
        )
        for number, (codes, amount_fen) in enumerate(moves)
    ]

    by_account = changes(transfers)

    sides = dict.fromkeys(Side, 0)
    for (_, code), change_fen in by_account.items():
        sides[normal_side(code)] += change_fen
    assert sides[Side.DEBIT] == sides[Side.CREDIT]
