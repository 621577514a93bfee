"""A transfer moves money from one account to another; nothing else changes a balance."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.wallet.contract.states import CauseKind, TransferKind
from services.wallet.domain.accounts import Side, normal_side
from shared.ids import derived_id

CAUSE_OF: Final[Mapping[TransferKind, CauseKind]] = {
    TransferKind.COLLECTED: CauseKind.INSTALMENT,
    TransferKind.HELD: CauseKind.INSTALMENT,
    TransferKind.RELEASED: CauseKind.INSTALMENT,
    TransferKind.CAPTURED: CauseKind.INSTALMENT,
    TransferKind.CAPTURED_FEE: CauseKind.INSTALMENT,
    TransferKind.CAPTURED_SUPPLY: CauseKind.INSTALMENT,
    TransferKind.PENALTY: CauseKind.SETTLEMENT,
    TransferKind.REFUND_REQUESTED: CauseKind.SETTLEMENT,
    TransferKind.REFUNDED: CauseKind.REFUND,
    TransferKind.PENALTY_KEPT: CauseKind.INSTALMENT,
    TransferKind.BONUS_GRANTED: CauseKind.INSTALMENT,
    TransferKind.BONUS_HELD: CauseKind.INSTALMENT,
    TransferKind.BONUS_RELEASED: CauseKind.INSTALMENT,
    TransferKind.BONUS_CAPTURED: CauseKind.INSTALMENT,
    TransferKind.BONUS_CAPTURED_FEE: CauseKind.INSTALMENT,
    TransferKind.BONUS_CAPTURED_SUPPLY: CauseKind.INSTALMENT,
    TransferKind.BONUS_LAPSED: CauseKind.SETTLEMENT,
    TransferKind.SPENT: CauseKind.REDEMPTION,
    TransferKind.SPENT_BONUS: CauseKind.REDEMPTION,
    TransferKind.SPENT_FEE: CauseKind.REDEMPTION,
    TransferKind.RETURNED: CauseKind.RETURN,
    TransferKind.RETURNED_BONUS: CauseKind.RETURN,
    TransferKind.RETURNED_FEE: CauseKind.RETURN,
    TransferKind.SETTLED: CauseKind.DAY,
    TransferKind.SETTLED_BACK: CauseKind.DAY,
    TransferKind.RAIL_FEE: CauseKind.DAY,
    TransferKind.FEE_BORNE: CauseKind.DAY,
    TransferKind.PAYOUT: CauseKind.PAYOUT,
    TransferKind.PAYOUT_FAILED: CauseKind.PAYOUT,
    TransferKind.SUPPLIER_PAID: CauseKind.PAYOUT,
    TransferKind.GUARANTEE_KEPT: CauseKind.GUARANTEE,
    TransferKind.GUARANTEE_FREED: CauseKind.GUARANTEE,
    TransferKind.GUARANTEE_USED: CauseKind.GUARANTEE,
    TransferKind.ADVANCE_DRAWN: CauseKind.ADVANCE,
    TransferKind.ADVANCE_INTEREST: CauseKind.ADVANCE,
    TransferKind.ADVANCE_REPAID: CauseKind.ADVANCE,
    TransferKind.ADVANCE_SETTLED: CauseKind.PAYOUT,
    TransferKind.RENEWAL_BONUS: CauseKind.STATEMENT,
    TransferKind.SUPPLY_REBATE: CauseKind.STATEMENT,
    TransferKind.PROMOTION_BORNE: CauseKind.STATEMENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """
    *amount_fen* (positive) is debited to one account and credited to the other.

    Money of the merchant alone has neither customer nor agreement.
    """

    merchant_id: UUID
    cause_id: UUID
    kind: TransferKind
    debit_account: str
    credit_account: str
    amount_fen: int
    occurred_at: datetime
    customer_id: UUID | None = None
    agreement_id: UUID | None = None
    trade_no: str | None = None

    @property
    def cause_kind(self) -> CauseKind:
        """Return what ``cause_id`` names."""
        return CAUSE_OF[self.kind]

    @property
    def tie(self) -> str:
        """Return what orders transfers of one moment."""
        return f"{self.cause_id} {self.kind}"

    @property
    def transfer_id(self) -> UUID:
        """Return the one id that a transfer of this kind from this cause can have."""
        return derived_id("transfer", self.merchant_id, self.cause_id, self.kind)


AccountKey = tuple[UUID, str]
"""Merchant and code."""


def changes(transfers: Iterable[Transfer]) -> dict[AccountKey, int]:
    """
    Return by how much each balance changes, in fen.

    An account that is moved and moved back is still named: it must exist.
    """
    totals: Counter[AccountKey] = Counter()
    for transfer in transfers:
        for code, side in (
            (transfer.debit_account, Side.DEBIT),
            (transfer.credit_account, Side.CREDIT),
        ):
            sign = 1 if normal_side(code) is side else -1
            totals[transfer.merchant_id, code] += sign * transfer.amount_fen
    return dict(totals)
