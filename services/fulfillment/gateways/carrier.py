"""What we ask of a tracking service, whichever one it is."""

from datetime import datetime
from typing import Protocol

from services.fulfillment.domain.parcel import Track
from shared.errors import Rejected, TryLater


class TrackingUnclear(TryLater):
    """The tracking service gave no clear answer."""

    code = "tracking-unclear"


class TrackingRefused(Rejected):
    """The tracking service will not follow this parcel."""

    code = "tracking-refused"


class Carrier(Protocol):
    """The port; phones are given only where the carrier tells nothing without them."""

    async def subscribe(
        self, carrier: str, tracking_no: str, *, phone: str, callback_url: str
    ) -> None:
        """
        Have news of a parcel sent to *callback_url*; doing so twice is no error.

        Raises:
            TrackingUnclear: Nobody knows whether it was taken up.
            TrackingRefused: The carrier or the number is unknown there.
        """
        ...

    async def query(self, carrier: str, tracking_no: str, *, phone: str) -> Track | None:
        """
        Return a parcel's track now, or None if there is none.

        Raises:
            TrackingUnclear: There was no clear answer.
        """
        ...

    def read_push(self, body: bytes, *, now: datetime) -> Track:
        """
        Return what a push says.

        Raises:
            Unauthentic: The tracking service did not sign it.
            Malformed: It is signed, but makes no sense.
        """
        ...
