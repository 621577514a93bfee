"""Parcels: one vocabulary of states for all carriers, and which news counts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.calendar import at_in_china, day_in_china


class ParcelState(StrEnum):
    """Where a parcel is."""

    CREATED = "created"
    INFO_RECEIVED = "info_received"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    ATTEMPT_FAILED = "attempt_failed"
    READY_FOR_PICKUP = "ready_for_pickup"
    EXCEPTION = "exception"
    REFUSED = "refused"
    DELIVERED = "delivered"
    RETURNING = "returning"
    RETURNED = "returned"
    CANCELLED = "cancelled"


RANK: Final[Mapping[ParcelState, int]] = {
    ParcelState.CREATED: 0,
    ParcelState.INFO_RECEIVED: 10,
    ParcelState.PICKED_UP: 20,
    ParcelState.IN_TRANSIT: 30,
    ParcelState.EXCEPTION: 35,
    ParcelState.OUT_FOR_DELIVERY: 40,
    ParcelState.ATTEMPT_FAILED: 45,
    ParcelState.READY_FOR_PICKUP: 50,
    ParcelState.REFUSED: 60,
    ParcelState.DELIVERED: 70,
    ParcelState.RETURNING: 80,
    ParcelState.RETURNED: 90,
    ParcelState.CANCELLED: 95,
}
"""Of two pieces of news of the same moment the higher one counts."""

ENDED: Final = frozenset({ParcelState.DELIVERED, ParcelState.RETURNED, ParcelState.CANCELLED})

STUCK_AFTER_DAYS: Final = 5
"""Days without news after which somebody must ask the carrier."""
LOST_AFTER_DAYS: Final = 10
"""Days without news after which a parcel counts as lost."""
WATCH_HOUR: Final = 12
FUTURE_ALLOWED: Final = timedelta(minutes=10)
SUBSCRIPTIONS: Final = 4
"""How often one waybill may be subscribed in a month (kuaidi100, subscription rules)."""

_MOBILE: Final = re.compile(r"(?<!\d)(1[3-9]\d)\d{4}(\d{4})(?!\d)")


@dataclass(frozen=True, slots=True)
class Parcel:
    """
    One box on its way.

    ``head_at`` is the carrier's time of its state, ``news_at`` when we last heard
    anything; ``token`` is in the address at which its carrier calls us.
    """

    merchant_id: UUID
    parcel_id: UUID
    shipment_id: UUID
    carrier: str
    tracking_no: str
    token: str
    state: ParcelState
    sent_at: datetime
    news_at: datetime
    due_at: datetime | None
    head_at: datetime | None = None
    subscribed_at: datetime | None = None
    tries: int = 0
    fence: int = 0
    stuck_at: datetime | None = None
    delivered_seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One line of a track; *state* is None where the carrier's code is unknown to us."""

    at: datetime
    state: ParcelState | None
    code: str
    text: str

    @property
    def key(self) -> str:
        """Return what makes this line the same one when it is told again."""
        words = f"{self.at.isoformat()}\x1f{self.code}\x1f{self.text}"
        return sha256(words.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Track:
    """All a carrier says of one parcel; *carrier* is set where it was corrected."""

    tracking_no: str
    nodes: tuple[Node, ...]
    aborted: bool = False
    carrier: str | None = None


def masked(text: str) -> str:
    """Return a carrier's words without the mobile numbers of couriers and receivers."""
    return _MOBILE.sub(r"\1****\2", text)


def follow(parcel: Parcel, nodes: Iterable[Node], *, now: datetime) -> Parcel:
    """
    Return *parcel* after hearing *nodes*, in whatever order and however often.

    The state is that of the newest node; equal times are decided by rank.  Nodes from
    the future are not believed.
    """
    believed = [
        (node.at, RANK[node.state], node.state)
        for node in nodes
        if node.state is not None and node.at <= now + FUTURE_ALLOWED
    ]
    if not believed:
        return parcel
    at, rank, state = max(believed)
    if parcel.head_at is not None and (at, rank) <= (parcel.head_at, RANK[parcel.state]):
        return parcel
    moved = replace(parcel, state=state, head_at=at, news_at=now, stuck_at=None)
    return replace(moved, due_at=_watch_at(moved))


def subscribed(parcel: Parcel, *, now: datetime) -> Parcel:
    """Return *parcel* watched by the carrier; from now on only silence is suspicious."""
    return replace(parcel, subscribed_at=now, tries=0, due_at=_watch_at(parcel))


def silent(parcel: Parcel, *, now: datetime) -> tuple[Parcel, bool]:
    """Return *parcel* after a look that found no news, and whether it counts as lost."""
    if day_in_china(now) >= day_in_china(parcel.news_at) + timedelta(days=LOST_AFTER_DAYS):
        return replace(parcel, due_at=None, stuck_at=parcel.stuck_at or now), True
    lost_at = _days_after(parcel.news_at, LOST_AFTER_DAYS)
    return replace(parcel, stuck_at=parcel.stuck_at or now, due_at=lost_at), False


def all_in(parcels: Sequence[Parcel], state: ParcelState) -> bool:
    """Return whether there are parcels and every one is in *state*."""
    return bool(parcels) and all(parcel.state is state for parcel in parcels)


def _watch_at(parcel: Parcel) -> datetime | None:
    return None if parcel.state in ENDED else _days_after(parcel.news_at, STUCK_AFTER_DAYS)


def _days_after(moment: datetime, days: int) -> datetime:
    return at_in_china(day_in_china(moment) + timedelta(days=days), WATCH_HOUR)


def watched(parcel: Parcel) -> Parcel:
    """Return *parcel* to be looked at when it has been silent for too long."""
    return replace(parcel, due_at=_watch_at(parcel))
