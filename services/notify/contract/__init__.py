"""What other services may know of notify."""

from services.notify.contract.events import (
    ContactOptedOut,
    MessageAccepted,
    MessageDelivered,
    MessageFailed,
    MessageUnknown,
)

__all__ = [
    "ContactOptedOut",
    "MessageAccepted",
    "MessageDelivered",
    "MessageFailed",
    "MessageUnknown",
]
