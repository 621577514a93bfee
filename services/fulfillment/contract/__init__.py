"""What other services may know of fulfillment."""

from services.fulfillment.contract.events import (
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentItem,
    ShipmentLost,
    ShipmentOutOfStock,
    ShipmentPlanned,
    ShipmentPushed,
    ShipmentReminderDue,
    ShipmentReturned,
    StageChanged,
)

__all__ = [
    "ShipmentCancelled",
    "ShipmentDelivered",
    "ShipmentDispatched",
    "ShipmentItem",
    "ShipmentLost",
    "ShipmentOutOfStock",
    "ShipmentPlanned",
    "ShipmentPushed",
    "ShipmentReminderDue",
    "ShipmentReturned",
    "StageChanged",
]
