"""A hold sets money aside for one parcel: placed, then captured or released, once."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from services.wallet.contract.states import HoldState
from services.wallet.domain.errors import HoldClosedOtherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """
    Money of one instalment, set aside in the wallet.

    Of a captured hold ``captured_fen`` was spent and the rest is free again.
    ``bonus_fen`` of the amount came from bonus: it is spent first and freed last, so that
    what goes back is principal as far as principal was taken.
    """

    merchant_id: UUID
    hold_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    customer_id: UUID
    amount_fen: int
    placed_at: datetime
    bonus_fen: int = 0
    state: HoldState = HoldState.PLACED
    captured_fen: int = 0
    shipment_id: UUID | None = None
    closed_at: datetime | None = None

    @property
    def freed_fen(self) -> int:
        """Return what the closing of this hold gave back to the wallet."""
        return 0 if self.state is HoldState.PLACED else self.amount_fen - self.captured_fen

    @property
    def captured_bonus_fen(self) -> int:
        """Return how much of what was spent was bonus."""
        return min(self.captured_fen, self.bonus_fen)

    @property
    def freed_bonus_fen(self) -> int:
        """Return how much of what is free again is bonus: what principal cannot explain."""
        return max(0, self.freed_fen - (self.amount_fen - self.bonus_fen))


def amount_to_hold(hold_fen: int, *, amount_fen: int) -> int:
    """
    Return what to set aside: *hold_fen*, but never more than the instalment brought.

    *amount_fen* is its principal and its bonus together.
    """
    return max(0, min(hold_fen, amount_fen))


def capture(hold: Hold, shipment_id: UUID, *, amount_fen: int, now: datetime) -> Hold:
    """
    Return *hold* after *amount_fen* of it was spent on a shipment and the rest freed.

    Capturing again for the same shipment changes nothing.

    Raises:
        HoldClosedOtherwise: It was released, or spent on another shipment.
        ValueError: *amount_fen* is not between 0 and what is held.
    """
    if not 0 <= amount_fen <= hold.amount_fen:
        raise ValueError(f"Cannot capture {amount_fen} of {hold.amount_fen} fen")
    match hold.state:
        case HoldState.PLACED:
            return replace(
                hold,
                state=HoldState.CAPTURED,
                captured_fen=amount_fen,
                shipment_id=shipment_id,
                closed_at=now,
            )
        case HoldState.CAPTURED if hold.shipment_id == shipment_id:
            return hold
        case HoldState.CAPTURED | HoldState.RELEASED:
            raise _closed_otherwise(hold, shipment_id)
        case _:
            assert_never(hold.state)


def release(hold: Hold, shipment_id: UUID, *, now: datetime) -> Hold:
    """
    Return *hold* after its shipment was cancelled and all of it is free.

    Releasing again for the same shipment changes nothing.

    Raises:
        HoldClosedOtherwise: It was captured, or released for another shipment.
    """
    match hold.state:
        case HoldState.PLACED:
            return replace(hold, state=HoldState.RELEASED, shipment_id=shipment_id, closed_at=now)
        case HoldState.RELEASED if hold.shipment_id == shipment_id:
            return hold
        case HoldState.CAPTURED | HoldState.RELEASED:
            raise _closed_otherwise(hold, shipment_id)
        case _:
            assert_never(hold.state)


def _closed_otherwise(hold: Hold, shipment_id: UUID) -> HoldClosedOtherwise:
    return HoldClosedOtherwise(
        "The hold was closed in another way.",
        hold_id=str(hold.hold_id),
        state=hold.state.value,
        closed_for=str(hold.shipment_id),
        shipment_id=str(shipment_id),
    )
