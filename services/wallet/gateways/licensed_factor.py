"""Advances by a bank or licensed factor that buys delivered receivables."""

from datetime import datetime
from http import HTTPStatus
from typing import Final

from services.wallet.domain.advance import Advance
from services.wallet.domain.errors import AdvanceRefused, PartnerUnclear
from services.wallet.domain.order import Answer
from services.wallet.domain.payout import Payout
from services.wallet.gateways.institution import Offer
from services.wallet.gateways.signed_json import SignedJson

MOST_PPM: Final = 10_000


class LicensedFactor:
    """The advance port in the signed JSON profile."""

    def __init__(self, wire: SignedJson) -> None:
        self._wire = wire

    async def quote(self, number: str, amount_fen: int) -> Offer:
        """
        Ask for an offer on delivered receivables.

        Raises:
            AdvanceRefused: There is none.
            PartnerUnclear: No answer that can be relied upon.
        """
        body = {"advance_no": number, "amount_fen": amount_fen}
        status, told = await self._wire.call("POST", "/v1/quotes", body)
        if status >= HTTPStatus.BAD_REQUEST:
            raise AdvanceRefused("There is no offer.", reason=str(told.get("code")))
        try:
            ppm = int(told["interest_ppm_per_day"])
            until = datetime.fromisoformat(str(told["valid_until"]))
            reference = str(told["quote_no"])
        except (KeyError, TypeError, ValueError) as error:
            raise PartnerUnclear("The offer makes no sense.") from error
        if not 0 <= ppm <= MOST_PPM or until.tzinfo is None or not reference:
            raise PartnerUnclear("The offer makes no sense.", interest_ppm=ppm)
        return Offer(reference, ppm, until)

    async def draw(self, advance: Advance) -> Answer:
        """Ask the partner to pay an advance to the merchant."""
        body = {
            "advance_no": advance.number,
            "quote_no": advance.quote_ref,
            "amount_fen": advance.amount_fen,
        }
        return await self._wire.order("POST", "/v1/draws", body, amount_fen=advance.amount_fen)

    async def query(self, advance: Advance) -> Answer:
        """Ask what became of a draw."""
        path = f"/v1/draws/{advance.number}"
        return await self._wire.order("GET", path, None, amount_fen=advance.amount_fen)

    async def repay(self, payout: Payout) -> Answer:
        """Have the partner take a repayment from the supervised account."""
        body = {"repayment_no": payout.number, "amount_fen": payout.amount_fen}
        return await self._wire.order("POST", "/v1/repayments", body, amount_fen=payout.amount_fen)

    async def query_repaid(self, payout: Payout) -> Answer:
        """Ask what became of a repayment."""
        path = f"/v1/repayments/{payout.number}"
        return await self._wire.order("GET", path, None, amount_fen=payout.amount_fen)
