"""What we ask of a cloud warehouse, whichever one it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from services.fulfillment.domain.agreement import Recipient
from services.fulfillment.domain.contents import Item
from services.fulfillment.domain.shipment import Report
from shared.errors import TryLater


class WarehouseUnclear(TryLater):
    """The warehouse gave no clear answer: it may or may not have done what we asked."""

    code = "warehouse-unclear"


@dataclass(frozen=True, slots=True)
class Order:
    """One shipment as the warehouse gets it; sending it again under its number updates it."""

    shipment_no: str
    buyer_id: UUID
    recipient: Recipient
    items: tuple[Item, ...]
    paid_fen: int
    paid_at: datetime
    payment_no: str
    deliver_by: date


@dataclass(frozen=True, slots=True)
class Taken:
    """The warehouse did it; *order_no* is its own number of the order."""

    order_no: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The warehouse will not do it, in its own words."""

    reason: str


Answer = Taken | Refused


@dataclass(frozen=True, slots=True)
class Push:
    """News of the warehouse; *report* is None where they are not about an order."""

    delivery_key: str
    report: Report | None


class Warehouse(Protocol):
    """
    The port; every method may raise ``WarehouseUnclear``.

    Answers come by the number asked about; what is missing was not answered.
    """

    async def upload(self, orders: Sequence[Order]) -> Mapping[str, Answer]:
        """Place or update *orders*; by shipment number."""
        ...

    async def find(self, shipment_nos: Sequence[str]) -> Mapping[str, Report]:
        """Return what has become of orders, by shipment number."""
        ...

    async def cancel(self, order_nos: Sequence[str]) -> Mapping[str, Answer]:
        """Cancel orders that have not left; by the warehouse's number."""
        ...

    async def stock(self, skus: Sequence[str]) -> Mapping[str, int]:
        """Return how many pieces of each SKU can be sold now."""
        ...

    def read_push(self, body: bytes, *, now: datetime) -> Push:
        """
        Return what a push says.

        Raises:
            Unauthentic: The warehouse did not sign it, or not lately.
            Malformed: It is signed, but makes no sense.
        """
        ...
