"""What wallet answers over HTTP."""

from datetime import datetime
from uuid import UUID

from services.wallet.contract.redemptions import LotView, RedemptionView
from services.wallet.contract.states import (
    CauseKind,
    EndedAs,
    HoldState,
    RefundReason,
    TransferKind,
)
from shared.web import PageQuery, View


class AgreementMoneyView(View):
    """What became of the money of one agreement, in fen; bonus is counted apart."""

    agreement_id: UUID
    periods: int
    periods_paid: int
    periods_left: int
    credited_fen: int
    held_fen: int
    captured_fen: int
    penalty_fen: int
    refunded_fen: int
    spent_fen: int
    unspent_fen: int
    bonus_credited_fen: int
    bonus_held_fen: int
    bonus_captured_fen: int
    bonus_spent_fen: int
    bonus_lapsed_fen: int
    bonus_unspent_fen: int
    ended_as: EndedAs | None
    ended_at: datetime | None


class WalletView(View):
    """A customer's pet wallet at one merchant, in fen."""

    customer_id: UUID
    principal_fen: int
    bonus_fen: int
    held_fen: int
    agreements: list[AgreementMoneyView]


class TransferView(View):
    """Money that moved: one account was debited, the other credited."""

    transfer_id: UUID
    kind: TransferKind
    cause_kind: CauseKind
    cause_id: UUID
    debit_account: str
    credit_account: str
    amount_fen: int
    customer_id: UUID | None
    agreement_id: UUID | None
    trade_no: str | None
    occurred_at: datetime


class HoldView(View):
    """Money set aside for one period's parcel."""

    hold_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    customer_id: UUID
    amount_fen: int
    bonus_fen: int
    state: HoldState
    captured_fen: int
    freed_fen: int
    shipment_id: UUID | None
    placed_at: datetime
    closed_at: datetime | None


class HoldFilter(PageQuery):
    """Which holds to list."""

    agreement_id: UUID | None = None
    customer_id: UUID | None = None
    state: HoldState | None = None


class SettlementView(View):
    """A request to send money of an agreement back, and how far it has got."""

    settlement_id: UUID
    agreement_id: UUID
    rail: str
    amount_fen: int
    refunded_fen: int
    reason: RefundReason
    requested_at: datetime
    failure: str | None
    failed_at: datetime | None


class LedgerView(View):
    """One agreement's money, its holds and its refunds."""

    money: AgreementMoneyView
    customer_id: UUID
    rail: str | None
    holds: list[HoldView]
    settlements: list[SettlementView]


class AccountView(View):
    """One account of the merchant; the balance stands on its normal side."""

    code: str
    unit: str
    normal_side: str
    balance_fen: int


class StatementLineView(View):
    """In which of the merchant's statements a transfer stands."""

    cause_id: UUID
    kind: TransferKind
    statement_id: UUID


class ExplanationView(View):
    """
    Everything that was booked for one instalment, hold, redemption, settlement, or refund.

    ``lots`` are what an instalment brought and what of it is free; ``settlement`` is the
    request that money goes back.
    """

    cause_id: UUID
    hold: HoldView | None
    redemption: RedemptionView | None
    settlement: SettlementView | None
    lots: list[LotView]
    transfers: list[TransferView]
    statement_lines: list[StatementLineView]
