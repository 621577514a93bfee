"""What fulfillment tells the others."""

from datetime import date
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.events import Event


class ShipmentItem(BaseModel):
    """So many of one SKU in a shipment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sku: str
    name: str
    quantity: int


class _ShipmentEvent(Event):
    about: ClassVar[str] = "agreement_id"

    shipment_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    seq: int


class ShipmentPlanned(_ShipmentEvent):
    """A paid period will be shipped; *deliver_by* is what we promise."""

    subject: ClassVar[str] = "fulfillment.shipment.planned.v1"

    ship_on: date
    deliver_by: date


class ShipmentReminderDue(_ShipmentEvent):
    """The customer must be told today what leaves the warehouse tomorrow."""

    subject: ClassVar[str] = "fulfillment.shipment.reminder_due.v1"

    ship_on: date
    stage: str
    items: tuple[ShipmentItem, ...]


class ShipmentPushed(_ShipmentEvent):
    """The warehouse has the order."""

    subject: ClassVar[str] = "fulfillment.shipment.pushed.v1"

    warehouse_order_no: str


class ShipmentOutOfStock(_ShipmentEvent):
    """The warehouse lacks *sku*; it is substituted, or the shipment waits until a day."""

    subject: ClassVar[str] = "fulfillment.shipment.out_of_stock.v1"

    sku: str
    substitute_sku: str | None
    wait_until: date | None


class ShipmentDispatched(_ShipmentEvent):
    """The parcel has left; from now on what was held for it is spent."""

    subject: ClassVar[str] = "fulfillment.shipment.dispatched.v1"

    carrier: str
    tracking_no: str
    supply_cost_fen: int
    items: tuple[ShipmentItem, ...]


class ShipmentDelivered(_ShipmentEvent):
    """The carrier says that the parcel was signed for."""

    subject: ClassVar[str] = "fulfillment.shipment.delivered.v1"

    carrier: str
    tracking_no: str


class ShipmentCancelled(_ShipmentEvent):
    """The parcel will not be sent; what was held for it is free."""

    subject: ClassVar[str] = "fulfillment.shipment.cancelled.v1"

    reason: str


class ShipmentLost(_ShipmentEvent):
    """The carrier has lost the parcel or stopped telling; a person must look."""

    subject: ClassVar[str] = "fulfillment.shipment.lost.v1"

    carrier: str
    tracking_no: str


class ShipmentReturned(_ShipmentEvent):
    """The parcel has come back to the warehouse."""

    subject: ClassVar[str] = "fulfillment.shipment.returned.v1"

    carrier: str
    tracking_no: str


class StageChanged(Event):
    """
    A pet grows into its next stage; its parcels change.

    Told at least five days before *from_day*, the first departure that may differ.
    """

    subject: ClassVar[str] = "fulfillment.stage.changed.v1"
    about: ClassVar[str] = "agreement_id"

    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    pet_id: UUID
    from_stage: str
    to_stage: str
    from_day: date | None = None
