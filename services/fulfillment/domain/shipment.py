"""The life of a shipment: one per funded instalment, and the moves it may make."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.fulfillment.domain.errors import MoveForbidden
from services.fulfillment.domain.growth import Stage
from shared.calendar import at_in_china, day_in_china
from shared.ids import derived_id


class ShipmentState(StrEnum):
    """Where a shipment is; PUSHED means that the warehouse was asked, and may know it."""

    PLANNED = "planned"
    REMINDED = "reminded"
    PUSHED = "pushed"
    ACCEPTED = "accepted"
    OUT_OF_STOCK = "out_of_stock"
    CANCELLING = "cancelling"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    RETURNED = "returned"
    LOST = "lost"
    CANCELLED = "cancelled"
    CLOSED = "closed"


_S = ShipmentState

MOVES: Final[Mapping[ShipmentState, frozenset[ShipmentState]]] = {
    _S.PLANNED: frozenset({_S.REMINDED, _S.CANCELLED}),
    _S.REMINDED: frozenset({_S.PUSHED, _S.CANCELLED, _S.CANCELLING, _S.DISPATCHED}),
    _S.PUSHED: frozenset(
        {_S.ACCEPTED, _S.OUT_OF_STOCK, _S.DISPATCHED, _S.CANCELLED, _S.CANCELLING}
    ),
    _S.ACCEPTED: frozenset({_S.OUT_OF_STOCK, _S.DISPATCHED, _S.CANCELLED, _S.CANCELLING}),
    _S.OUT_OF_STOCK: frozenset(
        {_S.REMINDED, _S.ACCEPTED, _S.DISPATCHED, _S.CANCELLED, _S.CANCELLING}
    ),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.DISPATCHED}),
    _S.DISPATCHED: frozenset({_S.DELIVERED, _S.RETURNED, _S.LOST}),
    _S.DELIVERED: frozenset({_S.CLOSED, _S.RETURNED}),
    _S.LOST: frozenset({_S.DELIVERED, _S.RETURNED}),
    _S.RETURNED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.CLOSED: frozenset(),
}

OPEN: Final = frozenset(_S) - {_S.RETURNED, _S.CANCELLED, _S.CLOSED}
"""States that must end some day; ``LOST`` waits for a person."""

SHIP_AFTER_DAYS: Final = 2
"""Days from the money to the parcel's departure: the day between is the reminder's."""
DELIVER_WITHIN_DAYS: Final = 5
"""Days from the departure that we promise for the way."""
WAIT_DAYS: Final = 7
"""How long a shipment waits for stock, goods or an address; then its money is freed."""
RETURN_DAYS: Final = 7
"""
Days after delivery in which the customer may return goods without a reason.

Source: interim measures on seven-day returns of online purchases, 2017.
"""
REMIND_HOUR: Final = 10
PUSH_HOUR: Final = 9
CHECK_HOUR: Final = 18
CLOSE_HOUR: Final = 4
RETRY_MINUTES: Final = (5, 15, 30, 60, 60, 60, 60, 60)
"""Minutes between tries while the warehouse gives no clear answer; then each morning."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """
    One period's parcel.

    ``due_at`` is when somebody must look after it next; ``fence`` grows with each claim;
    ``revision`` counts its contents; ``tries`` those calls that gave no clear answer;
    ``order_no`` is the warehouse's own number; ``wait_until`` ends a wait for goods.
    """

    merchant_id: UUID
    shipment_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    customer_id: UUID
    pet_id: UUID
    hold_id: UUID
    seq: int
    hold_fen: int
    state: ShipmentState
    ship_on: date
    deliver_by: date
    planned_at: datetime
    since: datetime
    due_at: datetime | None
    stage: Stage | None = None
    revision: int = 0
    fence: int = 0
    tries: int = 0
    order_no: str | None = None
    wait_until: date | None = None
    reason: str | None = None


class OrderState(StrEnum):
    """What the warehouse says of an order, in our words."""

    ACCEPTED = "accepted"
    SHORT = "short"
    HELD = "held"
    DISPATCHED = "dispatched"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Report:
    """
    The warehouse's word on one order, from a push or a query.

    ``carrier`` is our code of it; ``items`` are the SKUs with quantities it speaks of.
    """

    shipment_no: str
    order_no: str
    state: OrderState
    carrier: str = ""
    tracking_no: str = ""
    sent_at: datetime | None = None
    items: tuple[tuple[str, int], ...] = ()


def shipment_id_for(instalment_id: UUID) -> UUID:
    """Return the id of the one shipment that an instalment can have."""
    return derived_id("shipment", instalment_id)


def shipment_no(shipment_id: UUID) -> str:
    """Return our order number at the warehouse: 34 letters and digits."""
    return f"YF{shipment_id.hex}"


def shipment_id_of(number: str) -> UUID | None:
    """Return whose number this is, None if it cannot be one of ours."""
    try:
        return UUID(hex=number[2:]) if number.startswith("YF") and len(number) == 34 else None  # noqa: PLR2004
    except ValueError:
        return None


def ship_on(now: datetime) -> date:
    """Return the day on which a parcel funded *now* leaves."""
    return day_in_china(now) + timedelta(days=SHIP_AFTER_DAYS)


def planned_for(shipment: Shipment, day: date) -> Shipment:
    """Return *shipment* leaving on *day*, with its reminder at ten the day before."""
    return replace(
        shipment,
        ship_on=day,
        deliver_by=day + timedelta(days=DELIVER_WITHIN_DAYS),
        due_at=at_in_china(day - timedelta(days=1), REMIND_HOUR),
    )


def move(
    shipment: Shipment,
    to: ShipmentState,
    *,
    now: datetime,
    due_at: datetime | None,
    reason: str | None = None,
) -> Shipment:
    """
    Return *shipment* in its next state.

    Raises:
        MoveForbidden: There is no way from its state to *to*.
    """
    if to not in MOVES[shipment.state]:
        raise MoveForbidden(
            "This shipment cannot go there.",
            shipment_id=shipment.shipment_id,
            state=shipment.state,
            to=to,
        )
    return replace(
        shipment,
        state=to,
        since=now,
        due_at=due_at,
        tries=0,
        reason=reason or shipment.reason,
    )


def remind(shipment: Shipment, stage: Stage, *, now: datetime) -> Shipment:
    """
    Fix the contents and tell the customer; the parcel leaves tomorrow at the earliest.

    A reminder that is late moves the departure, so that it stays a day ahead.
    """
    tomorrow = day_in_china(now) + timedelta(days=1)
    told = planned_for(shipment, max(shipment.ship_on, tomorrow))
    due_at = at_in_china(told.ship_on, PUSH_HOUR)
    moved = move(told, _S.REMINDED, now=now, due_at=due_at)
    return replace(moved, stage=stage, revision=shipment.revision + 1)


def wait_a_day(shipment: Shipment, *, now: datetime, reason: str) -> Shipment:
    """
    Return *shipment* waiting for tomorrow, or cancelled when it has waited long enough.

    What is only planned moves its departure; anything else is tried again at nine.
    """
    today = day_in_china(now)
    until = shipment.wait_until or today + timedelta(days=WAIT_DAYS)
    if today >= until:
        return give_up(shipment, now=now, reason=reason)
    waiting = replace(shipment, wait_until=until, reason=reason)
    if shipment.state is _S.PLANNED:
        moved = max(shipment.ship_on, today + timedelta(days=1)) + timedelta(days=1)
        return planned_for(waiting, moved)
    return replace(waiting, due_at=at_in_china(today + timedelta(days=1), PUSH_HOUR))


def give_up(shipment: Shipment, *, now: datetime, reason: str) -> Shipment:
    """
    Return *shipment* cancelled, or on the way there if the warehouse may know of it.

    A push that may be under way keeps its lease: only after it can the warehouse be
    asked for certain.
    """
    match shipment.state:
        case _S.PLANNED:
            return move(shipment, _S.CANCELLED, now=now, due_at=None, reason=reason)
        case _S.REMINDED if shipment.order_no is None:
            return move(shipment, _S.CANCELLED, now=now, due_at=None, reason=reason)
        case _S.PUSHED:
            due_at = max(now, shipment.due_at or now)
            return move(shipment, _S.CANCELLING, now=now, due_at=due_at, reason=reason)
        case _S.REMINDED | _S.ACCEPTED | _S.OUT_OF_STOCK:
            return move(shipment, _S.CANCELLING, now=now, due_at=now, reason=reason)
        case (
            _S.CANCELLING
            | _S.DISPATCHED
            | _S.DELIVERED
            | _S.RETURNED
            | _S.LOST
            | _S.CANCELLED
            | _S.CLOSED
        ):
            return shipment
        case _:
            assert_never(shipment.state)


def unclear(shipment: Shipment, *, now: datetime) -> Shipment:
    """Return *shipment* to be asked about again soon; nobody knows what happened."""
    asked = replace(shipment, tries=shipment.tries + 1)
    if shipment.tries < len(RETRY_MINUTES):
        return replace(asked, due_at=now + timedelta(minutes=RETRY_MINUTES[shipment.tries]))
    return replace(asked, due_at=at_in_china(day_in_china(now) + timedelta(days=1), PUSH_HOUR))


def hear(shipment: Shipment, report: Report, *, now: datetime) -> Shipment:
    """
    Return *shipment* after the warehouse's word on it, which may be late or repeated.

    What it says of a shipment that is further already changes nothing but the number.
    """
    known = replace(shipment, order_no=shipment.order_no or report.order_no or None)
    match report.state:
        case OrderState.ACCEPTED:
            return _accepted(known, now=now, wait_until=None)
        case OrderState.HELD:
            return _accepted(known, now=now, wait_until=shipment.wait_until)
        case OrderState.SHORT if shipment.state in {_S.PUSHED, _S.ACCEPTED}:
            return move(known, _S.OUT_OF_STOCK, now=now, due_at=now)
        case OrderState.DISPATCHED if _S.DISPATCHED in MOVES[shipment.state]:
            return move(known, _S.DISPATCHED, now=now, due_at=None)
        case OrderState.CANCELLED if _S.CANCELLED in MOVES[shipment.state]:
            reason = shipment.reason if shipment.state is _S.CANCELLING else "warehouse_cancelled"
            return move(known, _S.CANCELLED, now=now, due_at=None, reason=reason)
        case OrderState.SHORT | OrderState.DISPATCHED | OrderState.CANCELLED:
            return known
        case _:
            assert_never(report.state)


def is_told(shipment: Shipment, report: Report) -> bool:
    """
    Return whether a push says nothing new, so that the warehouse need not be asked.

    While an order is being pushed its answer is on the way; pushes about it are echoes.
    """
    match report.state:
        case OrderState.ACCEPTED:
            return shipment.state is not _S.OUT_OF_STOCK
        case OrderState.SHORT | OrderState.HELD:
            return shipment.state is not _S.ACCEPTED
        case OrderState.CANCELLED:
            return shipment.state not in {_S.ACCEPTED, _S.OUT_OF_STOCK, _S.CANCELLING}
        case OrderState.DISPATCHED:
            return False
        case _:
            assert_never(report.state)


def next_check(now: datetime) -> datetime:
    """Return the next six in the evening in China, when missing pushes are asked for."""
    today = at_in_china(day_in_china(now), CHECK_HOUR)
    return today if today > now else today + timedelta(days=1)


def closes_at(delivered: datetime) -> datetime:
    """Return when a delivered shipment is over: after the time for returns."""
    return at_in_china(day_in_china(delivered) + timedelta(days=RETURN_DAYS + 1), CLOSE_HOUR)


def _accepted(shipment: Shipment, *, now: datetime, wait_until: date | None) -> Shipment:
    if shipment.state in {_S.PUSHED, _S.OUT_OF_STOCK}:
        moved = move(shipment, _S.ACCEPTED, now=now, due_at=next_check(now))
        return replace(moved, wait_until=wait_until)
    if shipment.state is _S.ACCEPTED:
        return replace(shipment, tries=0, due_at=next_check(now))
    return shipment
