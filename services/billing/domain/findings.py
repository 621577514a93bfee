"""What we learned about one charge or refund, however we learned it."""

from dataclasses import dataclass
from datetime import datetime

from shared.rails.classes import FailureClass


@dataclass(frozen=True, slots=True)
class Paid:
    """The rail has the money; ``paid_at`` by the rail's own clock, or None if it did not say."""

    rail_trade_no: str
    amount_fen: int
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The rail proved that no money moved under this number, and none will."""

    failure: FailureClass
    code: str


@dataclass(frozen=True, slots=True)
class Pending:
    """The rail has the order and has not decided; ``unpaid`` orders may be closed by us."""

    unpaid: bool = False


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nobody can say; only a query or a verified notification will."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotFound:
    """The rail never received an order under this number."""


Finding = Paid | Failed | Pending | Unclear | NotFound


@dataclass(frozen=True, slots=True)
class Refunded:
    """The money is on its way back, finally."""

    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefundRefused:
    """The rail will not refund this; ``final`` tells that asking again is useless."""

    code: str
    final: bool


@dataclass(frozen=True, slots=True)
class RefundPending:
    """Accepted or unclear; ask again, or repeat under the same number."""

    reason: str = ""


RefundFinding = Refunded | RefundRefused | RefundPending
