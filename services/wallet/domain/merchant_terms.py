"""What was agreed with a merchant: shares, limits, deposit, advance; dated reference data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from services.wallet.contract.merchant_states import BorneBy
from shared.money import share_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantTerms:
    """
    Terms from a day on; thousandths are per mille of what is named, amounts are fen.

    The supplier's cost of a parcel is, in this order: the sum of ``sku_costs_fen`` if each
    of its items stands there, ``supply_per_mille`` of what was held, or what the shipment
    says.  ``renewal_bonus_per_mille`` of what a month delivered is paid by the platform's
    fee, ``supply_rebate_per_mille`` of its supply cost by the supplier.  The deposit is the
    largest of: ``guarantee_monthly_per_mille`` (30 % by contract) of a month's fulfilment,
    ``guarantee_balance_per_mille`` of the prepaid balance at the last quarter's end (20 %,
    30 % or 40 % by the issuer's class), and ``guarantee_floor_fen`` (local rules); an
    insurance or a bank's guarantee of ``guarantee_insured_fen`` offsets it.
    """

    fee_per_mille: int = 20
    rail_fee_borne_by: BorneBy = BorneBy.PLATFORM
    supply_per_mille: int | None = None
    sku_costs_fen: Mapping[str, int] = field(default_factory=dict)
    renewal_bonus_per_mille: int = 0
    supply_rebate_per_mille: int = 0
    payout_minimum_fen: int = 10_000
    payout_maximum_fen: int = 100_000_000
    guarantee_monthly_per_mille: int = 300
    guarantee_balance_per_mille: int = 0
    guarantee_floor_fen: int = 0
    guarantee_insured_fen: int = 0
    advance_per_mille: int = 400


@dataclass(frozen=True, slots=True)
class DatedTerms:
    """Terms and the first day on which they count."""

    from_day: date
    terms: MerchantTerms


def terms_on(known: Iterable[DatedTerms], day: date) -> MerchantTerms | None:
    """Return the newest of *known* that has come by *day*; None before the first."""
    past = [one for one in known if one.from_day <= day]
    return max(past, key=lambda one: one.from_day).terms if past else None


def supply_cost(
    terms: MerchantTerms | None,
    *,
    amount_fen: int,
    told_fen: int,
    items: Iterable[tuple[str, int]],
) -> int:
    """Return the supplier's cost in fen of a parcel with *items* (SKU and quantity)."""
    if terms is None:
        return told_fen
    parts = list(items)
    if parts and all(sku in terms.sku_costs_fen for sku, _ in parts):
        return sum(terms.sku_costs_fen[sku] * quantity for sku, quantity in parts)
    if terms.supply_per_mille is not None:
        return share_of(amount_fen, per_mille=terms.supply_per_mille)
    return told_fen
