"""A rail held back to the number of calls a second that it takes."""

from collections.abc import Mapping
from datetime import date

from aiolimiter import AsyncLimiter

from services.billing.domain.attempt import Attempt
from services.billing.domain.findings import Finding, RefundFinding
from services.billing.domain.refund import Refund
from services.billing.gateways.rail import NotOpened, NotTold, Opened, Rail, Told
from shared.rails.permissions import Permissions


class PacedRail:
    """*rail*, called at most *calls_per_s* times a second of real time; who waits goes in order."""

    def __init__(self, rail: Rail, calls_per_s: float) -> None:
        self._rail = rail
        self._pace = AsyncLimiter(max(1.0, calls_per_s), 1.0)

    async def charge(self, attempt: Attempt) -> Finding:
        """Charge when it is our turn."""
        async with self._pace:
            return await self._rail.charge(attempt)

    async def query(self, attempt: Attempt) -> Finding:
        """Query when it is our turn."""
        async with self._pace:
            return await self._rail.query(attempt)

    async def close(self, attempt: Attempt) -> None:
        """Close when it is our turn."""
        async with self._pace:
            await self._rail.close(attempt)

    async def open_payment(self, attempt: Attempt) -> Opened | NotOpened:
        """Open a payment when it is our turn."""
        async with self._pace:
            return await self._rail.open_payment(attempt)

    async def refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        """Refund when it is our turn."""
        async with self._pace:
            return await self._rail.refund(refund, charge)

    async def query_refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        """Ask for a refund when it is our turn."""
        async with self._pace:
            return await self._rail.query_refund(refund, charge)

    async def tell_customer(self, rail_agreement_no: str, amount_fen: int) -> Told | NotTold:
        """Announce when it is our turn."""
        async with self._pace:
            return await self._rail.tell_customer(rail_agreement_no, amount_fen)

    async def move_plan(self, rail_agreement_no: str, day: date) -> date | None:
        """Move a plan when it is our turn."""
        async with self._pace:
            return await self._rail.move_plan(rail_agreement_no, day)


def paced(rails: Mapping[str, Rail], rows: Permissions, *, share: float) -> dict[str, Rail]:
    """Return *rails*, each held to *share* of the least that one of its products permits."""
    held: dict[str, Rail] = {}
    for name, rail in rails.items():
        known = [row.calls_per_s for row in rows.values() if row.rail == name]
        rates = [rate for rate in known if rate is not None]
        held[name] = PacedRail(rail, min(rates) * share) if rates else rail
    return held
