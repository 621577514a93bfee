"""What became of the money of one agreement, and what of it must go back when it ends."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.wallet.contract.states import EndedAs, HoldState, RefundReason
from services.wallet.domain.errors import AgreementEnded, NothingToRefund, RefundAboveRest
from services.wallet.domain.hold import Hold
from shared.ids import derived_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """
    The money of one agreement, in fen.

    Principal: credited = held + captured + spent + penalty + refunded + unspent.
    Bonus, always apart from it: credited = held + captured + spent + lapsed + unspent.
    ``spent_fen`` was spent in the shop, less what was returned; ``refunded_fen`` left the
    wallet to be refunded; ``rail`` is None until money came.
    """

    merchant_id: UUID
    agreement_id: UUID
    customer_id: UUID
    rail: str | None = None
    periods: int = 0
    periods_paid: int = 0
    credited_fen: int = 0
    held_fen: int = 0
    captured_fen: int = 0
    penalty_fen: int = 0
    refunded_fen: int = 0
    spent_fen: int = 0
    bonus_credited_fen: int = 0
    bonus_held_fen: int = 0
    bonus_captured_fen: int = 0
    bonus_spent_fen: int = 0
    bonus_lapsed_fen: int = 0
    open_holds: int = 0
    settlements: int = 0
    ended_as: EndedAs | None = None
    ended_at: datetime | None = None
    penalty_due_fen: int = 0

    @property
    def unspent_fen(self) -> int:
        """Return what of this agreement's money is free in the wallet's principal."""
        gone = self.held_fen + self.captured_fen + self.penalty_fen + self.refunded_fen
        return self.credited_fen - gone - self.spent_fen

    @property
    def bonus_unspent_fen(self) -> int:
        """Return what of this agreement's bonus is free."""
        gone = self.bonus_held_fen + self.bonus_captured_fen + self.bonus_lapsed_fen
        return self.bonus_credited_fen - gone - self.bonus_spent_fen

    @property
    def periods_left(self) -> int:
        """Return how many periods are still to be paid; none once it has ended."""
        return 0 if self.ended_as else max(0, self.periods - self.periods_paid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A request to send *amount_fen* of an agreement back to its original route."""

    merchant_id: UUID
    settlement_id: UUID
    agreement_id: UUID
    customer_id: UUID
    seq: int
    rail: str
    amount_fen: int
    reason: RefundReason
    requested_at: datetime
    refunded_fen: int = 0
    failure: str | None = None
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """
    A ledger after its unspent money was taken out: first the penalty, then the refund.

    Bonus is no money of the customer's: what is left of it lapses, back to the merchant's
    promotion.  What was bought with it stays bought.
    """

    ledger: Ledger
    settlement_id: UUID
    penalty_fen: int
    lapsed_fen: int
    refund: Settlement | None


def without(ledger: Ledger, closed: Hold) -> Ledger:
    """Return *ledger* after one of its holds was closed."""
    assert closed.state is not HoldState.PLACED
    return replace(
        ledger,
        held_fen=ledger.held_fen - (closed.amount_fen - closed.bonus_fen),
        captured_fen=ledger.captured_fen + closed.captured_fen - closed.captured_bonus_fen,
        bonus_held_fen=ledger.bonus_held_fen - closed.bonus_fen,
        bonus_captured_fen=ledger.bonus_captured_fen + closed.captured_bonus_fen,
        open_holds=ledger.open_holds - 1,
    )


def settle(ledger: Ledger, *, now: datetime) -> Settled | None:
    """
    Take the unspent money out of an ended agreement; None when there is nothing to do.

    It waits for the last open hold.  Money that comes free or arrives later makes
    another settlement, with the next number.
    """
    if ledger.ended_as is None or ledger.open_holds:
        return None
    lapsed_fen = ledger.bonus_unspent_fen
    if not ledger.unspent_fen and not lapsed_fen:
        return None
    seq = ledger.settlements + 1
    settlement_id = derived_id("settlement", ledger.agreement_id, seq)
    penalty_fen = min(ledger.penalty_due_fen - ledger.penalty_fen, ledger.unspent_fen)
    refund_fen = ledger.unspent_fen - penalty_fen
    after = replace(
        ledger,
        settlements=seq,
        penalty_fen=ledger.penalty_fen + penalty_fen,
        refunded_fen=ledger.refunded_fen + refund_fen,
        bonus_lapsed_fen=ledger.bonus_lapsed_fen + lapsed_fen,
    )
    reason = RefundReason(ledger.ended_as.value)
    refund = _refund(after, settlement_id, refund_fen, reason, now=now) if refund_fen else None
    return Settled(after, settlement_id, penalty_fen, lapsed_fen, refund)


def give_back(
    ledger: Ledger, amount_fen: int, *, settlement_id: UUID, reason: RefundReason, now: datetime
) -> Settled:
    """
    Take *amount_fen* of unspent principal out of a running agreement, to go back.

    Bonus is never given back; what is held for a parcel, or was spent, is not free.

    Raises:
        AgreementEnded: All that is free goes back by itself, the penalty first.
        NothingToRefund: No principal is free.
        RefundAboveRest: Less is free; ``rest_fen`` names it.
    """
    about = {"agreement_id": str(ledger.agreement_id)}
    if ledger.ended_as is not None:
        raise AgreementEnded("What an ended agreement has left goes back by itself.", **about)
    if ledger.unspent_fen <= 0:
        raise NothingToRefund("No unspent money of this agreement is here.", **about)
    if amount_fen > ledger.unspent_fen:
        raise RefundAboveRest(
            "Less than this is left.", rest_fen=ledger.unspent_fen, amount_fen=amount_fen, **about
        )
    after = replace(
        ledger,
        settlements=ledger.settlements + 1,
        refunded_fen=ledger.refunded_fen + amount_fen,
    )
    refund = _refund(after, settlement_id, amount_fen, reason, now=now)
    return Settled(after, settlement_id, 0, 0, refund)


def _refund(
    ledger: Ledger, settlement_id: UUID, amount_fen: int, reason: RefundReason, *, now: datetime
) -> Settlement:
    assert ledger.rail is not None, "money came in by a rail"
    return Settlement(
        merchant_id=ledger.merchant_id,
        settlement_id=settlement_id,
        agreement_id=ledger.agreement_id,
        customer_id=ledger.customer_id,
        seq=ledger.settlements,
        rail=ledger.rail,
        amount_fen=amount_fen,
        reason=reason,
        requested_at=now,
    )
