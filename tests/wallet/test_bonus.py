"""Principal and bonus are kept apart: bonus goes first, comes back last, and lapses at the end."""

from typing import Any
from uuid import UUID

import pytest

from services.billing.contract import InstalmentGranted
from services.wallet.domain.accounts import Purse
from services.wallet.domain.errors import BookedOtherwise, GrantOfNothing
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.wallet_builders import (
    AGREEMENT,
    CUSTOMER,
    NOON,
    WalletForTests,
    a_cancellation,
    a_collection,
    a_dispatch,
    a_shipment_cancelled,
    a_termination,
    an_instalment,
)


def a_grant(seq: int = 1, **changes: Any) -> InstalmentGranted:
    agreement_id = changes.get("agreement_id", AGREEMENT)
    paid = a_collection(seq, agreement_id=agreement_id).model_dump()
    terms = {name: paid[name] for name in InstalmentGranted.model_fields if name in paid}
    more = {"event_id": new_id(), "amount_fen": 0, "bonus_fen": 19900, "granted_at": NOON}
    return InstalmentGranted(**(terms | more | changes))


@pytest.fixture
def wallet(wallet_db: Database) -> WalletForTests:
    return WalletForTests(wallet_db)


async def purses(wallet: WalletForTests, customer_id: UUID = CUSTOMER) -> tuple[int, int, int]:
    """Return principal, bonus, held."""
    principal, bonus, held = [
        await wallet.purse(purse, customer_id)
        for purse in (Purse.PRINCIPAL, Purse.BONUS, Purse.HELD)
    ]
    return principal, bonus, held


async def test_a_discount_reaches_the_wallet_as_bonus_and_is_held_first(wallet):
    await wallet.hear(a_collection(amount_fen=14900, bonus_fen=5000))

    assert await purses(wallet) == (4900, 0, 15000)
    assert await wallet.balance("rail:alipay") == 14900
    assert await wallet.balance("merchant:promotion") == 5000
    (told,) = await wallet.told("wallet.instalment.funded.v1")
    assert (told.body["amount_fen"], told.body["hold_fen"]) == (19900, 15000)
    await wallet.assert_books_agree()


async def test_a_free_month_is_funded_by_the_merchant_and_its_parcel_held(wallet):
    await wallet.hear(a_grant())

    assert await purses(wallet) == (0, 4900, 15000)
    assert await wallet.balance("merchant:promotion") == 19900
    (told,) = await wallet.told("wallet.instalment.funded.v1")
    assert told.body["hold_id"] is not None
    await wallet.assert_books_agree()


async def test_what_a_free_month_left_is_held_before_the_next_months_money(wallet):
    await wallet.hear(a_grant(1))

    await wallet.hear(a_collection(2))

    assert await purses(wallet) == (19900 - (15000 - 4900), 0, 30000)
    await wallet.assert_books_agree()


async def test_several_periods_in_one_batch_share_the_bonus_that_is_left(wallet):
    other = derived_id("agreement", "other")
    await wallet.hear(a_grant(1), a_grant(1, agreement_id=other, auto_ship=False))

    await wallet.hear(a_collection(2), a_collection(3), a_collection(2, agreement_id=other))

    assert await purses(wallet) == (2 * 19900 - 25100 + 19900, 4900, 15000 + 30000 + 15000)
    await wallet.assert_books_agree()


async def test_what_being_late_cost_is_the_merchants_and_never_in_the_wallet(wallet):
    await wallet.hear(a_collection(amount_fen=20200, penalty_fen=300))

    assert await purses(wallet) == (4900, 0, 15000)
    assert await wallet.balance("merchant:payable") == 300
    assert await wallet.balance("rail:alipay") == 20200
    await wallet.assert_books_agree()


async def test_a_down_payment_is_credited_and_is_no_period(wallet):
    await wallet.hear(a_collection(0, amount_fen=30000))
    await wallet.hear(a_collection(1))

    async with wallet.db.connection() as conn:
        paid = await conn.fetchval("SELECT periods_paid FROM ledgers")
    assert paid == 1
    assert await purses(wallet) == (34900, 0, 15000)
    await wallet.assert_books_agree()


async def test_those_who_earn_from_a_parcel_see_no_difference(wallet):
    await wallet.hear(a_collection(amount_fen=10000, bonus_fen=9900))

    await wallet.hear(a_dispatch())

    assert await purses(wallet) == (4900, 0, 0)
    assert await wallet.balance("platform:fee") == 300
    assert await wallet.balance("supplier:warehouse:payable") == 9000
    assert await wallet.balance("merchant:payable") == 5700
    await wallet.assert_books_agree()


async def test_a_cancelled_parcel_gives_back_what_was_taken_from_each_purse(wallet):
    await wallet.hear(a_collection(amount_fen=14900, bonus_fen=5000))

    await wallet.hear(a_shipment_cancelled())

    assert await purses(wallet) == (14900, 5000, 0)
    await wallet.assert_books_agree()


@pytest.mark.parametrize("end", [a_termination, a_cancellation])
async def test_at_the_end_principal_goes_back_and_bonus_lapses(wallet, end):
    await wallet.hear(a_collection(1, amount_fen=14900, bonus_fen=5000))
    await wallet.hear(a_grant(2, auto_ship=False))
    await wallet.hear(a_dispatch(1))

    await wallet.hear(end())

    assert await purses(wallet) == (0, 0, 0)
    assert await wallet.balance("merchant:promotion") == 5000
    (told,) = await wallet.told("wallet.refund.requested.v1")
    assert told.body["amount_fen"] == 4900
    await wallet.assert_books_agree()


async def test_bonus_that_comes_after_the_end_lapses_at_once(wallet):
    await wallet.hear(a_collection(1, auto_ship=False))
    await wallet.hear(a_termination())

    await wallet.hear(a_grant(2))
    await wallet.hear(a_collection(3, amount_fen=10000, bonus_fen=500))

    assert await purses(wallet) == (0, 0, 0)
    assert await wallet.balance("merchant:promotion") == 0
    asked = [told.body["amount_fen"] for told in await wallet.told("wallet.refund.requested.v1")]
    assert asked == [19900, 10000]
    await wallet.assert_books_agree()


async def test_an_agreement_that_only_ever_had_bonus_ends_without_a_refund(wallet):
    await wallet.hear(a_grant(auto_ship=False))

    await wallet.hear(a_termination(penalty_fen=100))

    assert await purses(wallet) == (0, 0, 0)
    assert await wallet.told("wallet.refund.requested.v1") == []
    await wallet.assert_books_agree()


@pytest.mark.parametrize(
    "make", [a_grant, lambda: a_collection(amount_fen=14900, bonus_fen=700, penalty_fen=200)]
)
async def test_what_is_heard_twice_is_credited_once(wallet, make):
    await wallet.hear(make(), make())
    await wallet.hear(make())
    before = await purses(wallet)
    await wallet.forget_what_was_heard()

    await wallet.hear(make())

    assert await purses(wallet) == before
    assert len(await wallet.told("wallet.instalment.funded.v1")) == 1
    await wallet.assert_books_agree()


async def test_another_bonus_for_the_same_instalment_is_for_a_person(wallet):
    await wallet.hear(a_collection(1, bonus_fen=100))
    await wallet.hear(a_grant(2))

    for other in (a_collection(1, bonus_fen=200), a_grant(2, bonus_fen=1)):
        with pytest.raises(BookedOtherwise):
            await wallet.hear(other)
    await wallet.assert_books_agree()


async def test_a_month_that_brings_nothing_is_refused(wallet):
    with pytest.raises(GrantOfNothing):
        await wallet.hear(a_grant(bonus_fen=0))

    assert await purses(wallet) == (0, 0, 0)


async def test_each_purse_can_be_traced_to_its_transfers(wallet):
    await wallet.hear(a_collection(amount_fen=14900, bonus_fen=5000, collected_at=NOON))
    wallet.clock.advance(days=1)
    await wallet.hear(a_dispatch())

    async with wallet.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT kind, amount_fen FROM transfers WHERE cause_id = $1", an_instalment(1)
        )
    booked = {row["kind"]: row["amount_fen"] for row in rows}
    assert (booked["collected"], booked["bonus_granted"]) == (14900, 5000)
    assert (booked["held"], booked["bonus_held"]) == (10000, 5000)
    assert sum(fen for kind, fen in booked.items() if kind.startswith("bonus_captured")) == 5000
    assert sum(fen for kind, fen in booked.items() if kind.startswith("captured")) == 10000
