"""What billing asks of any payment rail, in billing's own words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from services.billing.domain.attempt import Attempt
from services.billing.domain.findings import Finding, RefundFinding
from services.billing.domain.refund import Refund


@dataclass(frozen=True, slots=True)
class Opened:
    """The customer can pay now, with these parameters in the mini-program."""

    client: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NotOpened:
    """The rail does not open a payment; ``clear`` tells that it surely did not."""

    code: str
    clear: bool


@dataclass(frozen=True, slots=True)
class Told:
    """The rail has told the customer of a charge to come."""


@dataclass(frozen=True, slots=True)
class NotTold:
    """
    It has not; ``final`` tells that asking again is useless.

    ``standing``: it refuses because an announcement stands already, maybe this very one.
    """

    code: str
    final: bool
    standing: bool = False


class Rail(Protocol):
    """One payment rail; no call raises for what the rail or the network did."""

    async def charge(self, attempt: Attempt) -> Finding:
        """Send an automatic charge; the same attempt again is the same order."""
        ...

    async def query(self, attempt: Attempt) -> Finding:
        """Ask what became of an order."""
        ...

    async def close(self, attempt: Attempt) -> None:
        """Ask the rail to let nobody pay an order any more; what came of it a query tells."""
        ...

    async def open_payment(self, attempt: Attempt) -> Opened | NotOpened:
        """Open an order that the customer pays himself."""
        ...

    async def refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        """Send money back; the same refund again is the same order."""
        ...

    async def query_refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        """Ask what became of a refund."""
        ...

    async def tell_customer(self, rail_agreement_no: str, amount_fen: int) -> Told | NotTold:
        """Let the rail itself announce a charge."""
        ...

    async def move_plan(self, rail_agreement_no: str, day: date) -> date | None:
        """Move the rail's plan to *day* if that is later; return its date now, None if unclear."""
        ...
