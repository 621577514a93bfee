"""What billing hears: twice, late, before what it depends on, and after its inbox was lost."""

from datetime import date, timedelta

import pytest

from services.billing.contract import ChargeCollected
from services.billing.domain.errors import AgreementUnknown, MandateUnknown
from services.billing.domain.instalment import InstalmentState
from services.billing.store import invariants, mandates, merchants
from services.fulfillment.contract import ShipmentCancelled, ShipmentDelivered, ShipmentPlanned
from services.signing.contract import (
    AgreementActivated,
    AgreementCancelled,
    MandateClosed,
    MandateRevoked,
    MerchantSuspended,
)
from services.wallet.contract import RefundRequested
from shared.ids import derived_id, new_id
from tests.support.billing_builders import (
    MERCHANT,
    SIGNED_AT,
    a_mandate,
    a_merchant,
    a_signing,
    agreement_id,
)

CUSTOMER = derived_id("customer", 1)


def told(event, **more):
    fields = {
        "event_id": new_id(),
        "occurred_at": SIGNED_AT,
        "agreement_id": agreement_id(),
        "merchant_id": MERCHANT,
        "customer_id": CUSTOMER,
    }
    return event(**(fields | more))


async def test_an_agreement_is_opened_once_with_the_schedule_that_was_signed(world):
    signing = a_signing()
    for _ in range(2):
        await world.hear(signing)
        await world.hear(signing)
        await world.forget_what_was_heard()

    rows = await world.instalments(agreement_id())

    assert [(row.seq, row.due_on, row.amount_fen) for row in rows] == [
        (line.seq, line.due_on, line.amount_fen) for line in signing.instalments
    ]
    async with world.db.connection() as conn:
        assert await invariants.broken(conn, stuck_before=world.clock.now()) == []


async def test_a_mandate_may_come_before_its_agreement_and_its_end_not_before_itself(world):
    gone = told(MandateRevoked, mandate_id=a_mandate().mandate_id, revoked_by="customer")
    with pytest.raises(MandateUnknown):
        await world.hear(gone)
    await world.hear(a_mandate())
    await world.hear(told(MandateClosed, mandate_id=a_mandate().mandate_id))
    await world.hear(gone)
    await world.forget_what_was_heard()
    await world.hear(a_mandate())
    await world.hear(a_signing())

    async with world.db.connection() as conn:
        mandate = (await mandates.newest(conn, [agreement_id()]))[agreement_id()]
    assert mandate.state.value == "closed"


@pytest.mark.parametrize(
    "event",
    [
        told(AgreementActivated),
        told(AgreementCancelled),
        told(RefundRequested, settlement_id=new_id(), amount_fen=1, reason="r"),
    ],
    ids=["activated", "cancelled", "refund"],
)
async def test_news_of_an_agreement_that_is_not_here_yet_comes_again(world, event):
    with pytest.raises(AgreementUnknown):
        await world.hear(event)
    await world.hear(a_signing())

    await world.hear(event)


async def test_an_activation_after_the_cancellation_starts_nothing(world):
    await world.hear(a_merchant())
    await world.hear(a_mandate())
    await world.hear(a_signing())
    await world.hear(told(AgreementCancelled))
    await world.hear(told(AgreementActivated))

    await world.live(days=60)

    rows = await world.instalments(agreement_id())
    assert {row.state for row in rows} == {InstalmentState.CANCELLED}
    assert world.said(ChargeCollected) == []


async def test_older_news_of_a_merchant_changes_nothing(world):
    later = SIGNED_AT + timedelta(days=1)
    await world.hear(
        MerchantSuspended(event_id=new_id(), occurred_at=later, merchant_id=MERCHANT, reason="law")
    )
    await world.hear(a_merchant())

    async with world.db.connection() as conn:
        facts = await merchants.facts(conn, [MERCHANT])
    assert not facts[MERCHANT].eligible


async def test_more_money_back_than_was_collected_is_left_to_a_person(world):
    await world.signed(periods=1)
    await world.live(days=12)
    asked = told(RefundRequested, settlement_id=new_id(), amount_fen=10**9, reason="r")

    await world.hear(asked)
    await world.live(days=1)

    books = await world.books("alipay")
    assert books["refunded_fen"] == books["captured_fen"]
    async with world.db.connection() as conn:
        kinds = [row["kind"] for row in await conn.fetch("SELECT kind FROM tasks")]
    assert kinds == ["refund_without_charge"]


def shipment(event, seq, **more):
    ids = {
        "shipment_id": derived_id("shipment", seq),
        "instalment_id": derived_id("instalment", agreement_id(), seq),
        "seq": seq,
    }
    return told(event, **ids, **more)


@pytest.mark.parametrize("first", [True, False])
async def test_a_parcel_a_week_late_holds_the_next_charge_until_it_comes(world, first):
    agreement = await world.signed(periods=2)
    promise = shipment(ShipmentPlanned, 1, ship_on=date(2027, 3, 14), deliver_by=date(2027, 3, 20))
    arrival = shipment(ShipmentDelivered, 1, carrier="zto", tracking_no="1")
    if first:
        await world.hear(arrival)
    await world.hear(promise)
    await world.live(days=50)
    assert len(world.said(ChargeCollected)) == (2 if first else 1)

    await world.hear(arrival)
    await world.live(days=15)

    rows = await world.instalments(agreement)
    assert [row.state for row in rows] == [InstalmentState.PAID] * 2


async def test_a_cancelled_parcel_is_not_late(world):
    await world.signed(periods=2)
    planned = shipment(ShipmentPlanned, 1, ship_on=date(2027, 3, 14), deliver_by=date(2027, 3, 20))
    await world.hear(planned)
    await world.hear(shipment(ShipmentCancelled, 1, reason="gone"))

    await world.live(days=50)

    assert len(world.said(ChargeCollected)) == 2
