"""What wallet asks of licensed institutions: to pay money out, and to advance money."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.wallet.domain.advance import Advance
from services.wallet.domain.errors import AdvanceRefused
from services.wallet.domain.order import Answer, Verdict
from services.wallet.domain.payout import Payout


@dataclass(frozen=True, slots=True)
class Offer:
    """A partner's offer; interest in millionths of what is outstanding, each day."""

    reference: str
    interest_ppm: int
    valid_until: datetime


class PayoutChannel(Protocol):
    """
    A licensed channel at the supervised account.

    An order's number is the payout's; the same number never pays twice.  Neither call
    raises: what is not clear is ``Verdict.UNKNOWN``, and only ``query`` leaves it.
    """

    async def pay(self, payout: Payout) -> Answer:
        """Ask for a transfer from the supervised account."""
        ...

    async def query(self, payout: Payout) -> Answer:
        """Ask what became of a transfer."""
        ...


class AdvancePartner(Protocol):
    """A bank or licensed factor that buys delivered receivables; see ``PayoutChannel``."""

    async def quote(self, number: str, amount_fen: int) -> Offer:
        """
        Ask for an offer.

        Raises:
            AdvanceRefused: There is none.
            PartnerUnclear: No answer that can be relied upon.
        """
        ...

    async def draw(self, advance: Advance) -> Answer:
        """Ask the partner to pay an advance to the merchant."""
        ...

    async def query(self, advance: Advance) -> Answer:
        """Ask what became of a draw."""
        ...

    async def repay(self, payout: Payout) -> Answer:
        """Have the partner take a repayment from the supervised account."""
        ...

    async def query_repaid(self, payout: Payout) -> Answer:
        """Ask what became of a repayment."""
        ...


class NoInstitution:
    """
    Stands where no licensed institution is contracted: nothing is sent, nothing is refused.

    Orders wait as unclear until one is there; offers are refused.
    """

    async def pay(self, payout: Payout) -> Answer:  # noqa: ARG002 - nobody to tell
        """Leave it for later."""
        return Answer(Verdict.UNSEEN, reason="no institution")

    async def query(self, order: Payout | Advance) -> Answer:  # noqa: ARG002
        """Nobody has seen it."""
        return Answer(Verdict.UNSEEN, reason="no institution")

    async def quote(self, number: str, amount_fen: int) -> Offer:  # noqa: ARG002
        """Refuse: there is nobody who may lend."""
        raise AdvanceRefused("No licensed partner is contracted.", reason="no institution")

    async def draw(self, advance: Advance) -> Answer:  # noqa: ARG002
        """Refuse: there is nobody who may lend."""
        return Answer(Verdict.REFUSED, reason="no institution")

    async def repay(self, payout: Payout) -> Answer:
        """Leave it for later."""
        return await self.pay(payout)

    async def query_repaid(self, payout: Payout) -> Answer:
        """Nobody has seen it."""
        return await self.query(payout)
