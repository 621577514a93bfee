"""A payout: money that leaves the supervised account for a merchant, supplier or partner."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import assert_never
from uuid import UUID

from services.wallet.contract.merchant_states import Beneficiary, PayoutState
from services.wallet.contract.states import TransferKind
from services.wallet.domain import accounts as chart
from services.wallet.domain.order import Answer, Verdict, next_look
from services.wallet.domain.transfer import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """
    *amount_fen* for ``beneficiary``, taken from ``account``.

    ``account_ref`` is the channel's own token of a bank account; no number is kept here.
    While ``next_at`` is set somebody must still look at it.
    """

    merchant_id: UUID
    payout_id: UUID
    beneficiary: Beneficiary
    account: str
    account_ref: str
    amount_fen: int
    day: date
    state: PayoutState
    created_at: datetime
    next_at: datetime | None = None
    tries: int = 0
    reference: str | None = None
    failure: str | None = None
    ended_at: datetime | None = None

    @property
    def number(self) -> str:
        """Return the number that the channel knows it by; the same at each try."""
        return self.payout_id.hex


def hear(payout: Payout, answer: Answer, *, now: datetime) -> Payout:
    """Return *payout* after an answer to it or to a query; a final one stays as it is."""
    if payout.next_at is None:
        return payout
    match answer.verdict:
        case Verdict.DONE:
            return replace(
                payout,
                state=PayoutState.SUCCEEDED,
                next_at=None,
                reference=answer.reference,
                ended_at=now,
            )
        case Verdict.REFUSED:
            return replace(
                payout,
                state=PayoutState.FAILED,
                next_at=None,
                failure=answer.reason,
                ended_at=now,
            )
        case Verdict.UNSEEN:
            # It never got there: the same number may be sent again.
            later = next_look(payout.tries, now=now)
            return replace(payout, state=PayoutState.PREPARED, next_at=later)
        case Verdict.PENDING | Verdict.UNKNOWN:
            later = next_look(payout.tries, now=now)
            return replace(payout, state=PayoutState.UNKNOWN, next_at=later)
        case _:
            assert_never(answer.verdict)


def booked(payout: Payout) -> Transfer:
    """Return the transfer that is written before anybody is asked to pay."""
    match payout.beneficiary:
        case Beneficiary.MERCHANT:
            kind = TransferKind.PAYOUT
        case Beneficiary.SUPPLIER:
            kind = TransferKind.SUPPLIER_PAID
        case Beneficiary.PARTNER:
            kind = TransferKind.ADVANCE_SETTLED
        case _:
            assert_never(payout.beneficiary)
    return Transfer(
        merchant_id=payout.merchant_id,
        cause_id=payout.payout_id,
        kind=kind,
        debit_account=payout.account,
        credit_account=chart.SUPERVISED,
        amount_fen=payout.amount_fen,
        occurred_at=payout.created_at,
    )


def returned(payout: Payout, *, now: datetime) -> Transfer:
    """Return the transfer that puts the money of a failed payout back."""
    return Transfer(
        merchant_id=payout.merchant_id,
        cause_id=payout.payout_id,
        kind=TransferKind.PAYOUT_FAILED,
        debit_account=chart.SUPERVISED,
        credit_account=payout.account,
        amount_fen=payout.amount_fen,
        occurred_at=now,
    )
