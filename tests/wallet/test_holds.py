"""What is held is spent when the parcel leaves, or freed when it will not come; never both."""

import asyncio

import pytest

from services.wallet.domain.accounts import Purse
from services.wallet.domain.errors import HoldClosedOtherwise, HoldUnknown
from shared.db import Database
from shared.ids import derived_id
from tests.support.wallet_builders import (
    WalletForTests,
    a_collection,
    a_dispatch,
    a_shipment_cancelled,
)


@pytest.fixture
def wallet(wallet_db: Database) -> WalletForTests:
    return WalletForTests(wallet_db)


async def test_a_parcel_that_left_is_shared(wallet):
    await wallet.hear(a_collection())

    await wallet.hear(a_dispatch())

    assert await wallet.purse(Purse.HELD) == 0
    assert await wallet.purse(Purse.PRINCIPAL) == 4900
    assert await wallet.balance("platform:fee") == 300
    assert await wallet.balance("supplier:warehouse:payable") == 9000
    assert await wallet.balance("merchant:payable") == 5700
    (captured,) = await wallet.told("wallet.hold.captured.v1")
    assert captured.body["amount_fen"] == 15000
    await wallet.assert_books_agree()


async def test_a_cancelled_parcel_frees_its_money(wallet):
    await wallet.hear(a_collection())

    await wallet.hear(a_shipment_cancelled())

    assert await wallet.purse(Purse.HELD) == 0
    assert await wallet.purse(Purse.PRINCIPAL) == 19900
    (released,) = await wallet.told("wallet.hold.released.v1")
    assert released.body["amount_fen"] == 15000
    assert await wallet.told("wallet.refund.requested.v1") == []
    await wallet.assert_books_agree()


@pytest.mark.parametrize("make", [a_dispatch, a_shipment_cancelled])
async def test_the_end_of_a_hold_heard_twice_is_booked_once(wallet, make):
    await wallet.hear(a_collection())

    await wallet.hear(make(), make())
    await wallet.hear(make())
    await wallet.forget_what_was_heard()
    await wallet.hear(make())

    assert len(await wallet.told("wallet.hold.%")) == 2  # placed, and one end
    await wallet.assert_books_agree()


@pytest.mark.parametrize("make", [a_dispatch, a_shipment_cancelled])
async def test_the_end_of_a_hold_before_its_money_comes_again(wallet, make):
    with pytest.raises(HoldUnknown):
        await wallet.hear(make())

    await wallet.hear(a_collection())
    await wallet.hear(make())

    assert await wallet.purse(Purse.HELD) == 0
    await wallet.assert_books_agree()


@pytest.mark.parametrize(
    ("first", "second"),
    [(a_dispatch, a_shipment_cancelled), (a_shipment_cancelled, a_dispatch)],
)
async def test_a_parcel_that_left_and_did_not_is_for_a_person(wallet, first, second):
    await wallet.hear(a_collection())
    await wallet.hear(first())

    with pytest.raises(HoldClosedOtherwise):
        await wallet.hear(second())

    await wallet.assert_books_agree()


async def test_another_parcel_for_the_same_period_is_for_a_person(wallet):
    await wallet.hear(a_collection())
    await wallet.hear(a_dispatch())

    with pytest.raises(HoldClosedOtherwise):
        await wallet.hear(a_dispatch(shipment_id=derived_id("shipment", "second")))

    await wallet.assert_books_agree()


async def test_a_parcel_of_a_foreign_merchant_finds_no_hold(wallet):
    await wallet.hear(a_collection())

    with pytest.raises(HoldUnknown):
        await wallet.hear(a_dispatch(merchant_id=derived_id("merchant", 2)))

    assert await wallet.purse(Purse.HELD) == 15000


async def test_many_parcels_of_several_agreements_leave_in_one_batch(wallet):
    agreements = [derived_id("agreement", number) for number in range(4)]
    paid = [a_collection(seq, agreement_id=a) for a in agreements for seq in (1, 2, 3)]
    await wallet.hear(*paid)

    left = [a_dispatch(seq, agreement_id=a) for a in agreements for seq in (1, 2, 3)]
    await wallet.hear(*left)

    assert await wallet.purse(Purse.HELD) == 0
    assert await wallet.balance("platform:fee") == 12 * 300
    await wallet.assert_books_agree()


async def test_a_bundle_that_costs_nothing_leaves_without_moving_money(wallet):
    await wallet.hear(a_collection(hold_fen=0))

    await wallet.hear(a_dispatch())

    assert await wallet.balance("merchant:payable") == 0
    assert len(await wallet.told("wallet.hold.captured.v1")) == 1
    await wallet.assert_books_agree()


async def test_of_a_dispatch_and_a_cancellation_at_once_exactly_one_wins(wallet):
    for seq in range(1, 9):
        await wallet.hear(a_collection(seq))
        ends = [a_dispatch(seq), a_shipment_cancelled(seq), a_dispatch(seq)]

        answers = await asyncio.gather(*(wallet.hear(e) for e in ends), return_exceptions=True)

        refused = [answer for answer in answers if answer is not None]
        assert all(isinstance(answer, HoldClosedOtherwise) for answer in refused), refused
        assert len(refused) in {1, 2}
    assert await wallet.purse(Purse.HELD) == 0
    ends_told = await wallet.told("wallet.hold.captured.v1")
    ends_told += await wallet.told("wallet.hold.released.v1")
    assert len(ends_told) == 8
    await wallet.assert_books_agree()
