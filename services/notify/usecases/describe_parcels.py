"""What fulfillment's events mean for the customer.  No I/O."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

from services.fulfillment.contract import (
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentItem,
    ShipmentLost,
    ShipmentOutOfStock,
    ShipmentReminderDue,
    StageChanged,
)
from services.notify.domain.causes import Wanted
from shared.ids import derived_id

STAGE_NAMES: Final = {
    "kitten": "幼猫",
    "puppy": "幼犬",
    "baby": "幼宠",
    "young": "幼年",
    "junior": "成长期",
    "growing": "成长期",
    "adult": "成年",
    "senior": "老年",
}
CARRIER_NAMES: Final = {
    "sf": "顺丰",
    "shunfeng": "顺丰",
    "yto": "圆通",
    "yuantong": "圆通",
    "zto": "中通",
    "zhongtong": "中通",
    "sto": "申通",
    "shentong": "申通",
    "yunda": "韵达",
    "jd": "京东快递",
    "jtexpress": "极兔",
    "ems": "EMS",
}
ITEMS_SHOWN: Final = 24
"""Characters of a list of goods; the rest is in the mini-program."""


class _Shipment(Protocol):
    @property
    def shipment_id(self) -> UUID: ...
    @property
    def instalment_id(self) -> UUID: ...
    @property
    def agreement_id(self) -> UUID: ...
    @property
    def merchant_id(self) -> UUID: ...
    @property
    def customer_id(self) -> UUID: ...
    @property
    def seq(self) -> int: ...


def reminder_due(event: ShipmentReminderDue) -> Iterator[Wanted]:
    """Tell what leaves the warehouse tomorrow."""
    yield _about(
        event,
        "shipment.reminder_due",
        cause_id=derived_id("reminder", event.shipment_id, event.ship_on),
        ship_on=event.ship_on.isoformat(),
        items=_listed(event.items),
    )


def dispatched(event: ShipmentDispatched) -> Iterator[Wanted]:
    """Tell carrier and number of a parcel."""
    carrier = CARRIER_NAMES.get(event.carrier.lower(), event.carrier) or "快递"
    yield _about(event, "shipment.dispatched", carrier=carrier, tracking_no=event.tracking_no)


def delivered(event: ShipmentDelivered) -> Iterator[Wanted]:
    """Tell that a parcel was signed for."""
    yield _about(event, "shipment.delivered", tracking_no=event.tracking_no)


def out_of_stock(event: ShipmentOutOfStock) -> Iterator[Wanted]:
    """Tell of a substitute, or of the day until which the shipment waits."""
    if event.substitute_sku is None and event.wait_until is None:
        return
    waits = event.wait_until is not None and event.substitute_sku is None
    news = event.wait_until if waits else event.substitute_sku
    facts = {"wait_until_on": event.wait_until.isoformat()} if event.wait_until and waits else {}
    yield _about(
        event,
        "shipment.waiting" if waits else "shipment.substituted",
        cause_id=derived_id("out_of_stock", event.shipment_id, event.sku, news),
        **facts,
    )


def cancelled(event: ShipmentCancelled) -> Iterator[Wanted]:
    """Tell that a parcel will not come."""
    yield _about(event, "shipment.cancelled")


def lost(event: ShipmentLost) -> Iterator[Wanted]:
    """Tell that we look for a parcel."""
    yield _about(event, "shipment.lost", tracking_no=event.tracking_no)


def stage_changed(event: StageChanged) -> Iterator[Wanted]:
    """Tell that parcels change because the pet has grown."""
    yield Wanted(
        cause="stage.changed",
        cause_id=derived_id("stage", event.agreement_id, event.pet_id, event.to_stage),
        template="stage.changed",
        merchant_id=event.merchant_id,
        customer_id=event.customer_id,
        agreement_id=event.agreement_id,
        facts={"stage": STAGE_NAMES.get(event.to_stage, "新的成长")},
    )


def _listed(items: Sequence[ShipmentItem]) -> str:
    text = "、".join(f"{item.name or item.sku}×{item.quantity}" for item in items) or "套餐商品"
    return text if len(text) <= ITEMS_SHOWN else text[: ITEMS_SHOWN - 1] + "…"


def _about(
    event: _Shipment, template: str, *, cause_id: UUID | None = None, **facts: Any
) -> Wanted:
    return Wanted(
        cause=template,
        cause_id=cause_id or event.shipment_id,
        template=template,
        merchant_id=event.merchant_id,
        customer_id=event.customer_id,
        agreement_id=event.agreement_id,
        instalment_id=event.instalment_id,
        facts={"seq": event.seq} | facts,
    )
