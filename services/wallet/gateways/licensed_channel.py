"""Payouts by a licensed channel's transfer from the supervised account."""

from services.wallet.domain.order import Answer
from services.wallet.domain.payout import Payout
from services.wallet.gateways.signed_json import SignedJson


class LicensedChannel:
    """The payout port in the signed JSON profile: ``/v1/transfers``."""

    def __init__(self, wire: SignedJson) -> None:
        self._wire = wire

    async def pay(self, payout: Payout) -> Answer:
        """Ask for a transfer; the number makes it one."""
        body = {
            "transfer_no": payout.number,
            "payee_account": payout.account_ref,
            "amount_fen": payout.amount_fen,
            "purpose": f"{payout.beneficiary} {payout.day.isoformat()}",
        }
        return await self._wire.order("POST", "/v1/transfers", body, amount_fen=payout.amount_fen)

    async def query(self, payout: Payout) -> Answer:
        """Ask what became of a transfer."""
        path = f"/v1/transfers/{payout.number}"
        return await self._wire.order("GET", path, None, amount_fen=payout.amount_fen)
