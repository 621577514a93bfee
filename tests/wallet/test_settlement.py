"""What an ended agreement has not spent goes back, whenever it comes free."""

from uuid import UUID

import pytest

from services.signing.contract import Rail
from services.wallet.domain.accounts import Purse
from services.wallet.domain.errors import (
    BookedOtherwise,
    RefundExceedsRequest,
    SettlementUnknown,
)
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.wallet_builders import (
    AGREEMENT,
    MERCHANT,
    WalletForTests,
    a_cancellation,
    a_collection,
    a_dispatch,
    a_failed_refund,
    a_refund,
    a_shipment_cancelled,
    a_termination,
)


@pytest.fixture
def wallet(wallet_db: Database) -> WalletForTests:
    return WalletForTests(wallet_db)


async def requested(wallet: WalletForTests) -> list[tuple[UUID, int]]:
    told = await wallet.told("wallet.refund.requested.v1")
    return [(UUID(t.body["settlement_id"]), t.body["amount_fen"]) for t in told]


async def test_a_terminated_agreement_gives_back_what_is_unspent(wallet):
    await wallet.hear(a_collection(1), a_collection(2))
    await wallet.hear(a_dispatch(1), a_dispatch(2))

    await wallet.hear(a_termination())

    assert [amount for _, amount in await requested(wallet)] == [9800]
    assert await wallet.purse(Purse.PRINCIPAL) == 0
    assert await wallet.balance("refund:alipay") == 9800
    await wallet.assert_books_agree()


async def test_the_settlement_waits_for_the_last_parcel(wallet):
    await wallet.hear(a_collection(1), a_collection(2))
    await wallet.hear(a_termination())
    assert await requested(wallet) == []

    await wallet.hear(a_dispatch(1))
    assert await requested(wallet) == []
    await wallet.hear(a_shipment_cancelled(2))

    assert [amount for _, amount in await requested(wallet)] == [4900 + 19900]
    assert await wallet.purse(Purse.PRINCIPAL) == 0
    await wallet.assert_books_agree()


async def test_money_that_comes_after_the_end_goes_straight_back_and_ships_nothing(wallet):
    await wallet.hear(a_cancellation())

    await wallet.hear(a_collection())

    (funded,) = await wallet.told("wallet.instalment.funded.v1")
    assert funded.body["hold_id"] is None
    assert [amount for _, amount in await requested(wallet)] == [19900]
    await wallet.assert_books_agree()


async def test_late_money_makes_another_settlement(wallet):
    await wallet.hear(a_collection(1))
    await wallet.hear(a_termination())
    await wallet.hear(a_shipment_cancelled(1))
    await wallet.hear(a_collection(2), a_collection(3))

    asked = await requested(wallet)

    assert [amount for _, amount in asked] == [19900, 39800]
    assert len({settlement_id for settlement_id, _ in asked}) == 2
    await wallet.assert_books_agree()


async def test_an_end_heard_twice_settles_once(wallet):
    await wallet.hear(a_collection(auto_ship=False))

    for _ in range(2):
        await wallet.hear(a_termination(), a_termination())
        await wallet.hear(a_cancellation())
        await wallet.forget_what_was_heard()

    asked = await wallet.told("wallet.refund.requested.v1")
    assert [t.body["reason"] for t in asked] == ["terminated"]
    await wallet.assert_books_agree()


@pytest.mark.parametrize(
    ("penalty_fen", "payable_fen", "refunds"),
    [(0, 0, [19900]), (5000, 5000, [14900]), (19900, 19900, []), (30000, 19900, [])],
)
async def test_the_penalty_is_taken_first(wallet, penalty_fen, payable_fen, refunds):
    await wallet.hear(a_collection(auto_ship=False))

    await wallet.hear(a_termination(penalty_fen=penalty_fen))

    assert await wallet.balance("merchant:payable") == payable_fen
    assert [amount for _, amount in await requested(wallet)] == refunds
    await wallet.assert_books_agree()


async def test_a_penalty_larger_than_the_money_takes_the_rest_of_late_money(wallet):
    await wallet.hear(a_collection(1, auto_ship=False))
    await wallet.hear(a_termination(penalty_fen=30000))

    await wallet.hear(a_collection(2))

    assert await wallet.balance("merchant:payable") == 30000
    assert [amount for _, amount in await requested(wallet)] == [2 * 19900 - 30000]
    await wallet.assert_books_agree()


async def test_one_agreement_never_pays_for_another_of_the_same_customer(wallet):
    other = derived_id("agreement", 2)
    await wallet.hear(a_collection(1), a_collection(1, agreement_id=other))

    await wallet.hear(a_termination())
    await wallet.hear(a_shipment_cancelled(1))

    assert [amount for _, amount in await requested(wallet)] == [19900]
    assert await wallet.purse(Purse.PRINCIPAL) == 4900
    assert await wallet.purse(Purse.HELD) == 15000
    await wallet.assert_books_agree()


async def settled(wallet: WalletForTests) -> UUID:
    """Return the settlement of 19900 fen of an agreement that ended."""
    await wallet.hear(a_collection(auto_ship=False))
    await wallet.hear(a_termination())
    ((settlement_id, _),) = await requested(wallet)
    return settlement_id


async def test_a_refund_reaches_its_rail(wallet):
    settlement_id = await settled(wallet)

    await wallet.hear(a_refund(settlement_id, 19900))

    assert await wallet.balance("refund:alipay") == 0
    assert await wallet.balance("rail:alipay") == 0
    await wallet.assert_books_agree()


async def test_a_refund_in_parts_by_two_rails_is_booked_where_the_money_went(wallet):
    settlement_id = await settled(wallet)

    await wallet.hear(a_refund(settlement_id, 9900))
    await wallet.hear(a_refund(settlement_id, 10000, rail=Rail.WECHATPAY))

    assert await wallet.balance("refund:alipay") == 0
    assert await wallet.balance("rail:alipay") == 10000
    assert await wallet.balance("rail:wechatpay") == -10000
    await wallet.assert_books_agree()


async def test_a_refund_heard_twice_is_booked_once(wallet):
    settlement_id = await settled(wallet)
    refund = a_refund(settlement_id, 9900)

    await wallet.hear(refund)
    await wallet.forget_what_was_heard()
    await wallet.hear(refund.model_copy(update={"event_id": new_id()}))

    assert await wallet.balance("refund:alipay") == 10000
    with pytest.raises(BookedOtherwise):
        await wallet.hear(refund.model_copy(update={"event_id": new_id(), "amount_fen": 1}))
    await wallet.assert_books_agree()


async def test_more_than_was_asked_for_cannot_have_gone_back(wallet):
    settlement_id = await settled(wallet)
    await wallet.hear(a_refund(settlement_id, 19000))

    with pytest.raises(RefundExceedsRequest):
        await wallet.hear(a_refund(settlement_id, 901))

    assert await wallet.balance("refund:alipay") == 900
    await wallet.assert_books_agree()


async def test_a_refund_before_its_request_comes_again_and_one_without_request_is_not_ours(wallet):
    with pytest.raises(SettlementUnknown):
        await wallet.hear(a_refund(new_id(), 100))
    with pytest.raises(SettlementUnknown):
        await wallet.hear(a_failed_refund(new_id(), 100))

    await wallet.hear(a_refund(None, 100))
    await wallet.hear(a_failed_refund(None, 100))

    assert await wallet.balance("rail:alipay") == 0


async def test_a_failed_refund_keeps_its_money_for_a_person(wallet):
    settlement_id = await settled(wallet)

    await wallet.hear(a_failed_refund(settlement_id, 19900))
    await wallet.forget_what_was_heard()
    await wallet.hear(a_failed_refund(settlement_id, 19900))

    assert await wallet.balance("refund:alipay") == 19900
    async with wallet.db.connection() as conn:
        failure = await conn.fetchval(
            "SELECT failure FROM settlements WHERE merchant_id = $1 AND agreement_id = $2",
            MERCHANT,
            AGREEMENT,
        )
    assert failure == "closed"
    await wallet.assert_books_agree()
