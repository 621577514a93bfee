"""What becomes of a merchant's earned money each day: repaid, kept as deposit, paid out."""

from dataclasses import dataclass

from services.wallet.domain.merchant_terms import MerchantTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """
    One merchant's money, in fen.

    ``stated_fen`` is what its last statement says is payable, ``undelivered_fen`` what was
    earned by parcels that are still under way; ``supervised_fen`` is the money there is.
    """

    payable_fen: int
    stated_fen: int
    undelivered_fen: int
    supervised_fen: int
    guarantee_fen: int = 0
    required_fen: int = 0
    advance_fen: int = 0
    partner_fen: int = 0
    supplier_fen: int = 0

    @property
    def delivered_fen(self) -> int:
        """Return what the merchant has earned by goods and services that have arrived."""
        return max(0, self.payable_fen - self.undelivered_fen)

    @property
    def free_fen(self) -> int:
        """Return what of it is also stated: all that may leave the merchant's payable."""
        return max(0, min(self.payable_fen, self.stated_fen) - self.undelivered_fen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """
    What to do with it, in fen.

    ``repay_fen`` and ``keep_fen`` move inside the books; the others leave the supervised
    account, the partner's first and the merchant's last.
    """

    repay_fen: int = 0
    keep_fen: int = 0
    to_partner_fen: int = 0
    to_supplier_fen: int = 0
    to_merchant_fen: int = 0


def distribute(position: Position, terms: MerchantTerms | None) -> Distribution:
    """
    Divide what is free: first the advance, then the deposit, then the merchant.

    Only what is delivered and stated is divided (customer money belongs to the customer until
    then), and nothing is paid that the supervised account does not have.  Less than the
    minimum waits; more than the maximum goes on another day.
    """
    agreed = terms or MerchantTerms()
    free_fen = position.free_fen
    repay_fen = min(free_fen, position.advance_fen)
    free_fen -= repay_fen
    keep_fen = min(free_fen, max(0, position.required_fen - position.guarantee_fen))
    free_fen -= keep_fen
    cash_fen = max(0, position.supervised_fen)
    owed_fen = max(0, position.partner_fen - (position.advance_fen - repay_fen))
    partner_fen = min(cash_fen, owed_fen)
    cash_fen -= partner_fen
    supplier_fen = min(cash_fen, max(0, position.supplier_fen))
    cash_fen -= supplier_fen
    merchant_fen = min(free_fen, cash_fen, agreed.payout_maximum_fen)
    return Distribution(
        repay_fen=repay_fen,
        keep_fen=keep_fen,
        to_partner_fen=partner_fen,
        to_supplier_fen=supplier_fen,
        to_merchant_fen=merchant_fen if merchant_fen >= agreed.payout_minimum_fen else 0,
    )
