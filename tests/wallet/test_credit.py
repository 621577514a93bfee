"""A charge that was collected is credited and held once, however its event comes."""

import asyncio

import asyncpg
import pytest

from services.signing.contract import Rail
from services.wallet.domain.accounts import Purse
from services.wallet.domain.errors import BookedOtherwise
from services.wallet.store import ledgers
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.wallet_builders import (
    AGREEMENT,
    CUSTOMER,
    MERCHANT,
    WalletForTests,
    a_collection,
    a_signing,
)


@pytest.fixture
def wallet(wallet_db: Database) -> WalletForTests:
    return WalletForTests(wallet_db)


async def test_a_collection_is_credited_held_and_told(wallet):
    await wallet.hear(a_collection())

    assert await wallet.balance("rail:alipay") == 19900
    assert await wallet.purse(Purse.PRINCIPAL) == 4900
    assert await wallet.purse(Purse.HELD) == 15000
    funded, placed = await wallet.told()
    assert funded.subject == "wallet.instalment.funded.v1"
    assert funded.body["hold_id"] == placed.body["hold_id"]
    assert funded.body["hold_fen"] == 15000
    assert placed.subject == "wallet.hold.placed.v1"
    assert placed.body["amount_fen"] == 15000
    await wallet.assert_books_agree()


async def test_without_auto_ship_nothing_is_held(wallet):
    await wallet.hear(a_collection(auto_ship=False, hold_fen=0))

    assert await wallet.purse(Purse.PRINCIPAL) == 19900
    (funded,) = await wallet.told()
    assert funded.body["hold_id"] is None
    await wallet.assert_books_agree()


async def test_a_free_bundle_is_held_too_so_that_it_is_shipped(wallet):
    await wallet.hear(a_collection(hold_fen=0))

    funded, placed = await wallet.told()
    assert funded.body["hold_id"] == placed.body["hold_id"]
    assert placed.body["amount_fen"] == 0
    await wallet.assert_books_agree()


async def test_a_collection_heard_twice_is_booked_once(wallet):
    event = a_collection()

    await wallet.hear(event, event)
    await wallet.hear(event)
    await wallet.forget_what_was_heard()
    await wallet.hear(event)

    assert await wallet.balance("rail:alipay") == 19900
    assert len(await wallet.told("wallet.instalment.funded.v1")) == 1
    await wallet.assert_books_agree()


async def test_the_same_money_told_under_another_event_id_is_booked_once(wallet):
    await wallet.hear(a_collection(), a_collection(), a_collection(2))
    await wallet.hear(a_collection())

    assert await wallet.balance("rail:alipay") == 2 * 19900
    await wallet.assert_books_agree()


@pytest.mark.parametrize("other", [{"trade_no": "other"}, {"amount_fen": 1}])
async def test_other_money_for_the_same_instalment_is_a_conflict(wallet, other):
    await wallet.hear(a_collection())

    with pytest.raises(BookedOtherwise):
        await wallet.hear(a_collection(2), a_collection(**other))

    assert await wallet.balance("rail:alipay") == 19900
    await wallet.assert_books_agree()


async def test_two_trades_for_one_instalment_in_one_batch_are_a_conflict(wallet):
    with pytest.raises(BookedOtherwise):
        await wallet.hear(a_collection(), a_collection(trade_no="other"))

    assert await wallet.told() == []


async def test_a_batch_of_many_merchants_rails_and_agreements(wallet):
    events = [
        a_collection(
            seq,
            agreement_id=derived_id("agreement", merchant, customer),
            merchant_id=derived_id("merchant", merchant),
            customer_id=derived_id("customer", merchant, customer),
            rail=rail,
        )
        for merchant in range(2)
        for customer, rail in enumerate([Rail.ALIPAY, Rail.WECHATPAY, Rail.ALIPAY])
        for seq in (1, 2)
    ]

    await wallet.hear(*events)

    for merchant in range(2):
        of = derived_id("merchant", merchant)
        assert await wallet.balance("rail:alipay", of) == 4 * 19900
        assert await wallet.balance("rail:wechatpay", of) == 2 * 19900
    await wallet.assert_books_agree()


async def test_signing_before_or_after_the_money_opens_one_ledger(wallet):
    await wallet.hear(a_signing())
    await wallet.hear(a_collection())
    await wallet.hear(a_signing())

    async with wallet.db.connection() as conn:
        ledger = await ledgers.get(conn, MERCHANT, AGREEMENT)
    assert ledger is not None
    assert (ledger.periods, ledger.periods_paid, ledger.periods_left) == (12, 1, 11)
    assert ledger.credited_fen == 19900


async def test_two_consumers_book_overlapping_batches_once_and_without_deadlock(wallet):
    """Redelivery gives the same events to another process under another inbox claim."""
    events = [
        a_collection(seq, agreement_id=derived_id("agreement", number))
        for number in range(10)
        for seq in range(1, 6)
    ]
    again = [event.model_copy(update={"event_id": new_id()}) for event in reversed(events)]
    parts = [events[:30], events[20:], again[:30], again[20:]]

    await asyncio.gather(*(wallet.hear(*part) for part in parts))

    assert await wallet.balance("rail:alipay") == 50 * 19900
    assert len(await wallet.told("wallet.hold.placed.v1")) == 50
    await wallet.assert_books_agree()


async def test_transfers_are_never_changed(wallet):
    await wallet.hear(a_collection())
    async with wallet.db.connection() as conn:
        for statement in (
            "UPDATE transfers SET amount_fen = 1",
            "DELETE FROM transfers",
            "TRUNCATE transfers",
        ):
            with pytest.raises(asyncpg.PostgresError):
                await conn.execute(statement)


async def test_the_database_refuses_a_wallet_below_zero(wallet):
    await wallet.hear(a_collection())
    async with wallet.db.connection() as conn:
        with pytest.raises(asyncpg.CheckViolationError):
            await conn.execute(
                "UPDATE accounts SET balance_fen = -1 WHERE code LIKE $1", f"wallet:{CUSTOMER}:%"
            )
