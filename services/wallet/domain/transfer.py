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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """*amount_fen* (positive) is debited to one account and credited to the other."""

    merchant_id: UUID
    cause_id: UUID
    kind: TransferKind
    debit_account: str
    credit_account: str
    amount_fen: int
    customer_id: UUID
    agreement_id: UUID
    occurred_at: datetime
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
