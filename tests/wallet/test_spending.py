"""Lots, shares and codes as pure rules: to the fen, in order, and the same way back."""

from datetime import UTC, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.wallet.contract.states import HoldState
from services.wallet.domain.accounts import Purse
from services.wallet.domain.hold import Hold, capture, release
from services.wallet.domain.ledger import Ledger
from services.wallet.domain.redemption_code import Code, read, write
from services.wallet.domain.redemption_errors import CodeForged, CodeUnreadable
from services.wallet.domain.shares import bonus_part, split_sale
from services.wallet.domain.spending import Credit, Part, draw, fee_of, give_back, lots_of
from shared.ids import derived_id
from tests.support.wallet_builders import AGREEMENT, CUSTOMER, MERCHANT, NOON

REDEMPTION = derived_id("redemption", 1)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
AMOUNTS = st.integers(1, 100_000)


def an_agreement(number: int) -> UUID:
    return derived_id("agreement", number)


def a_ledger(number: int, principal_fen: int, bonus_fen: int, *, spent_fen: int = 0) -> Ledger:
    return Ledger(
        merchant_id=MERCHANT,
        agreement_id=an_agreement(number),
        customer_id=CUSTOMER,
        credited_fen=principal_fen,
        bonus_credited_fen=bonus_fen,
        spent_fen=spent_fen,
    )


def a_credit(number: int, day: int, amount_fen: int, purse: Purse = Purse.PRINCIPAL) -> Credit:
    return Credit(
        an_agreement(number),
        derived_id("instalment", number, day, purse),
        purse,
        amount_fen,
        NOON + timedelta(days=day),
    )


def test_the_oldest_lot_is_used_first_and_freed_last():
    credits_ = [a_credit(1, day, 1000) for day in (3, 1, 2)]

    lots = lots_of([a_ledger(1, 3000, 0, spent_fen=1400)], credits_)

    assert [(lot.credited_at.day, lot.left_fen) for lot in lots] == [(2, 0), (3, 600), (4, 1000)]


def test_a_lot_of_an_agreement_that_may_not_be_spent_has_nothing_left():
    (lot,) = lots_of([], [a_credit(1, 1, 1000)])

    assert lot.left_fen == 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), AMOUNTS, st.booleans()), max_size=12),
    st.integers(1, 400_000),
    st.integers(0, 1000),
    st.data(),
)
def test_what_is_drawn_is_the_amount_bonus_first_and_goes_back_the_same_way(
    filled, amount_fen, per_mille, data
):
    credits_ = [
        a_credit(n, 10 * day + i, fen, Purse.BONUS if bonus else Purse.PRINCIPAL)
        for i, (n, day, fen, bonus) in enumerate(filled)
    ]

    def brought(number: int, purse: Purse) -> int:
        return sum(
            c.amount_fen
            for c in credits_
            if c.agreement_id == an_agreement(number) and c.purse is purse
        )

    books = [a_ledger(n, brought(n, Purse.PRINCIPAL), brought(n, Purse.BONUS)) for n in range(3)]
    lots = lots_of(books, credits_)
    bonus_fen = sum(lot.left_fen for lot in lots if lot.purse is Purse.BONUS)
    fee_fen = fee_of(amount_fen, per_mille=per_mille)

    parts = draw(lots, amount_fen, redemption_id=REDEMPTION, fee_fen=fee_fen)

    if amount_fen > sum(lot.left_fen for lot in lots):
        assert parts is None
        return
    assert parts is not None
    taken_bonus = sum(part.bonus_fen for part in parts)
    assert sum(part.principal_fen for part in parts) + taken_bonus == amount_fen
    assert taken_bonus == min(bonus_fen, amount_fen)
    assert sum(part.fee_fen for part in parts) == fee_fen
    assert all(0 <= part.fee_fen <= part.principal_fen + part.bonus_fen for part in parts)

    back_fen = data.draw(st.integers(1, amount_fen))
    back = give_back(parts, back_fen)
    principal_fen = amount_fen - taken_bonus
    assert sum(part.returned_principal_fen for part in back) == min(back_fen, principal_fen)
    assert sum(part.returned_bonus_fen for part in back) == max(0, back_fen - principal_fen)
    assert sum(part.returned_fee_fen for part in back) <= fee_fen
    whole = give_back(parts, amount_fen)
    assert [part.returned_fee_fen for part in whole] == [part.fee_fen for part in parts]


@pytest.mark.parametrize("amount_fen", [0, -1, 101])
def test_nothing_else_than_what_was_taken_goes_back(amount_fen):
    part = Part(AGREEMENT, derived_id("part"), 1, principal_fen=60, bonus_fen=40, fee_fen=2)

    with pytest.raises(ValueError, match="Cannot return"):
        give_back([part], amount_fen)


@given(AMOUNTS, st.integers(0, 50_000), st.integers(0, 1000), st.data())
def test_shares_paid_by_bonus_add_up_and_exceed_nothing(amount_fen, cost_fen, per_mille, data):
    shares = split_sale(amount_fen, supply_cost_fen=cost_fen, fee_per_mille=per_mille)
    bonus_fen = data.draw(st.integers(0, amount_fen))

    part = bonus_part(shares, bonus_fen)

    assert part.fee_fen + part.supply_fen + part.merchant_fen == bonus_fen
    assert 0 <= part.fee_fen <= shares.fee_fen
    assert 0 <= part.supply_fen <= shares.supply_fen
    assert 0 <= part.merchant_fen <= shares.merchant_fen


@given(st.integers(0, 1000), st.data())
def test_a_hold_spends_bonus_first_and_frees_principal_first(amount_fen, data):
    bonus_fen = data.draw(st.integers(0, amount_fen))
    spent_fen = data.draw(st.integers(0, amount_fen))
    hold = Hold(
        merchant_id=MERCHANT,
        hold_id=derived_id("hold"),
        instalment_id=derived_id("instalment"),
        agreement_id=AGREEMENT,
        customer_id=CUSTOMER,
        amount_fen=amount_fen,
        bonus_fen=bonus_fen,
        placed_at=NOON,
    )

    captured = capture(hold, derived_id("shipment"), amount_fen=spent_fen, now=NOON)
    released = release(hold, derived_id("shipment"), now=NOON)

    assert captured.state is HoldState.CAPTURED
    assert captured.captured_bonus_fen == min(bonus_fen, spent_fen)
    assert captured.captured_bonus_fen + captured.freed_bonus_fen == bonus_fen
    assert captured.freed_fen - captured.freed_bonus_fen <= amount_fen - bonus_fen
    assert released.freed_bonus_fen == bonus_fen


A_CODE = Code(
    merchant_id=MERCHANT,
    customer_id=CUSTOMER,
    code_id=derived_id("code"),
    max_amount_fen=500,
    offline_limit_fen=20_000,
    issued_at=NOON,
    expires_at=NOON + timedelta(minutes=5),
)


def test_a_code_says_what_was_written_into_it():
    text = write(A_CODE, KEY)

    assert read(text, KEY.public_key()) == A_CODE
    assert read(text, KEY.public_key()).issued_at.tzinfo is UTC
    assert len(text) == 186


@given(st.integers(4, 185), st.integers(0, 255))
def test_a_code_changed_in_any_place_is_no_code(place, byte):
    text = write(A_CODE, KEY)
    changed = text[:place] + chr(byte) + text[place + 1 :]

    if changed != text and read_or_none(changed) is not None:
        # The last letter carries four bits that mean nothing.
        assert place == len(text) - 1
        assert read(changed, KEY.public_key()) == A_CODE


def read_or_none(text: str) -> Code | None:
    try:
        return read(text, KEY.public_key())
    except (CodeForged, CodeUnreadable):
        return None


@given(st.text(max_size=300))
def test_no_text_is_a_code_by_chance(text):
    assert read_or_none(text) is None
    assert read_or_none("YF1." + text) is None


def test_a_code_of_another_key_is_forged():
    other = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))

    with pytest.raises(CodeForged):
        read(write(A_CODE, other), KEY.public_key())
