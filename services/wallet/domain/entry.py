"""What one instalment brings into the books, and the transfers that say so."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.wallet.contract.states import TransferKind
from services.wallet.domain import accounts as chart
from services.wallet.domain.transfer import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """
    What one instalment brings; ``hold_fen`` is None where nothing is to be shipped.

    ``principal_fen`` and ``penalty_fen`` came by ``rail``; a month that the merchant gives
    has no rail and only bonus.
    """

    merchant_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    customer_id: UUID
    hold_id: UUID
    rail: str | None
    trade_no: str | None
    seq: int
    periods: int
    principal_fen: int
    bonus_fen: int
    penalty_fen: int
    hold_fen: int | None
    collected_at: datetime


@dataclass(frozen=True, slots=True)
class Credited:
    """
    What became of a credit; without a hold, as when its agreement has ended, no ``hold_id``.

    ``moved`` tells whether the balances were moved with it.
    """

    instalment_id: UUID
    merchant_id: UUID
    agreement_id: UUID
    ended: bool
    hold_id: UUID | None
    hold_fen: int
    hold_bonus_fen: int
    moved: bool


def entered(credit: Credit, credited: Credited, *, now: datetime) -> Iterator[Transfer]:
    """Yield the transfers that *credited* wrote: the same as the statement that wrote them."""
    principal = chart.wallet(credit.customer_id, chart.Purse.PRINCIPAL)
    bonus = chart.wallet(credit.customer_id, chart.Purse.BONUS)
    held = chart.wallet(credit.customer_id, chart.Purse.HELD)
    rail = chart.rail(credit.rail or "")
    by_bonus_fen = credited.hold_bonus_fen
    came, set_aside = credit.collected_at, now
    for kind, debit, to, amount_fen, at in (
        (TransferKind.COLLECTED, rail, principal, credit.principal_fen, came),
        (TransferKind.PENALTY_KEPT, rail, chart.MERCHANT_PAYABLE, credit.penalty_fen, came),
        (TransferKind.BONUS_GRANTED, chart.PROMOTION, bonus, credit.bonus_fen, came),
        (TransferKind.HELD, principal, held, credited.hold_fen - by_bonus_fen, set_aside),
        (TransferKind.BONUS_HELD, bonus, held, by_bonus_fen, set_aside),
    ):
        if amount_fen:
            yield Transfer(
                merchant_id=credit.merchant_id,
                cause_id=credit.instalment_id,
                kind=kind,
                debit_account=debit,
                credit_account=to,
                amount_fen=amount_fen,
                customer_id=credit.customer_id,
                agreement_id=credit.agreement_id,
                occurred_at=at,
                trade_no=credit.trade_no
                if kind in {TransferKind.COLLECTED, TransferKind.PENALTY_KEPT}
                else None,
            )
